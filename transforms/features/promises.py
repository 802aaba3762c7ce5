"""Promises: made, moved, kept, late, broken, cancelled or open
(docs/reference/friction.md#promises).

A promise belongs to its customer, whatever journeys its events are in, and to the step in which it
was made. A missing delivery counts only once the watermark has passed the due time. A promise ends
at its due time plus the give-up time; without a due time, at the time it was made plus the give-up
time. Later events are no part of it, so that it cannot change once its journey is final.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, take, valid, values
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Array, Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.dimensions.working_hours import end_of_day, known_zones
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.journeys.watermarks import passed
from rejse.transforms.schema import contract

STATUS = ("kept", "late", "broken", "open", "cancelled")
KEPT, LATE, BROKEN, OPEN, CANCELLED = range(5)


@dataclass(frozen=True)
class Promises:
    """One row a promise; rows are sessionised events, -1 for none; times in microseconds."""

    name: pa.Array
    made: Ints
    kind: Categorical
    due: Ints  # FAR without a due time
    delivered: Ints
    status: Ints
    n_moves: Ints
    latest: Ints  # last time at which an event can change the row
    value: Categorical  # what was promised when it was made
    owner: Categorical  # owner of the delivery, where stated when it was made
    n_orphans: int


@dataclass(frozen=True)
class _Log:
    """Promise events sorted by promise and total order."""

    row: Ints
    op: Categorical
    due: Ints
    value: Categorical
    time: Ints
    by_customer: Bools

    def of(self, *ops: str) -> Bools:
        return self.op.of_names(ops)

    @property
    def moves(self) -> Bools:
        """Events that give a promise made before a new due time."""
        return self.of("moved", "made")

    @property
    def closes(self) -> Bools:
        """Events that settle the promise."""
        return self.of("delivered", "cancelled")


def promises(
    sessionised: SessionisedEvents, watermark: int, lateness: int, give_up: int, data: Operational
) -> Promises:
    """Judge the promises of all customers at the watermark.

    A promise due on a day without a time is due until that day ends in the zone that its event
    logged (`tz`), else of its owner's calendar, else in UTC. All times are microseconds.
    """
    rows, logged = _logged_promises(sessionised.events)
    if not len(rows):
        return _no_promises()
    names = Categorical.of(pc.struct_field(logged, "id"))
    customer = sessionised.events.coded(contract.CUSTOMER_KEY).codes[rows].astype(np.int64)
    order = sorted_by(customer, names.codes, sessionised.rank[rows])
    rows, names, logged = rows[order], names.rows(order), take(logged, order)
    groups = Groups.of(customer[order], names.codes)
    log = _read(sessionised, logged, rows, data)
    made = groups.first_row(log.of("made"))
    real = np.flatnonzero(made >= 0)
    end, due, limit = _terms(log, groups, made, give_up)
    part = _after(log, groups, made) & (log.time <= limit)
    done = groups.first_row(part & log.closes)
    n_moves = groups.count(part & log.moves)
    status = _status(
        log, made, done, due, passed(due, watermark, lateness), passed(end, watermark, lateness)
    )
    delivered = np.where(pick(log.of("delivered"), done, False), done, NULL)
    kinds = Categorical.of(pc.struct_field(logged, "kind"))
    # A move may set a due time so far back that the promise had ended before the move.
    latest = np.maximum(end, groups.max(np.where(part, log.time, 0)))
    return Promises(
        names.rows(groups.starts[real]).arrow().cast(pa.string()), rows[made[real]],
        kinds.rows(made[real]), due[real], pick(rows, delivered[real]), status[real],
        n_moves[real], latest[real], log.value.rows(made[real]),
        Categorical.of(pc.struct_field(logged, "owner")).rows(made[real]), int((made < 0).sum()),
    )  # fmt: skip


def _logged_promises(events: Events) -> tuple[Ints, pa.Array]:
    """Return the rows that log a promise by id, and what they log."""
    if not events.has("promise"):
        return np.zeros(0, np.int64), pa.nulls(0)
    rows = np.flatnonzero(events.carries("promise"))
    logged = events.rows(rows).column("promise")
    named = np.flatnonzero(valid(pc.struct_field(logged, "id")))
    return rows[named], take(logged, named)


def _read(sessionised: SessionisedEvents, logged: pa.Array, rows: Ints, data: Operational) -> _Log:
    events = sessionised.events
    due, day = pc.struct_field(logged, "due_time"), pc.struct_field(logged, "due_date")
    dated = valid(day)
    ends = np.full(len(rows), FAR)
    if dated.any():
        zone = known_zones(events.coded("tz").rows(rows))
        zone = zone.fallback(data.zone_of(sessionised.owner.rows(rows), events.time[rows]))
        days = values(day.cast(pa.int32())).astype(np.int64)
        ends[dated] = end_of_day(days[dated], zone.rows(np.flatnonzero(dated)))
    times = np.where(valid(due), values(due), ends)
    customer = events.is_any("actor_type", "customer")[rows]
    op, value = (Categorical.of(pc.struct_field(logged, part)) for part in ("op", "value"))
    return _Log(rows, op, times, value, events.time[rows], customer)


def _after(log: _Log, groups: Groups, made: Ints) -> Bools:
    """Return the events after the promise was made that move or settle it."""
    since = groups.broadcast(made)
    return np.asarray((log.moves | log.closes) & (np.arange(groups.n) > since) & (since >= 0))


def _end(made: Ints, due: Ints, give_up: int) -> Ints:
    """Return the last time of a promise, given when it was made and is due."""
    return np.minimum(np.where(due == FAR, made, due), FAR - give_up) + give_up


def _terms(log: _Log, groups: Groups, made: Ints, give_up: int) -> tuple[Ints, Ints, Ints]:
    """Return end and due time in force of each promise, and the end in force before each event.

    A move counts only by the due time and the end in force, and before the promise is settled.
    """
    due = pick(log.due, made, FAR)
    end = _end(pick(log.time, made, FAR), due, give_up)
    limit, after, closes = groups.broadcast(end), _after(log, groups, made), log.closes
    for at in np.flatnonzero(after & log.moves & (log.due != FAR)):
        promise = groups.ids[at]
        before = slice(made[promise], at)
        is_settled = (closes[before] & (log.time[before] <= limit[before])).any()
        if not is_settled and log.time[at] <= min(due[promise], limit[at]):
            due[promise] = log.due[at]
            end[promise] = _end(log.time[at], log.due[at], give_up)
            limit[at + 1 : groups.lasts[promise] + 1] = end[promise]
    return end, due, limit


def _status(
    log: _Log, made: Ints, done: Ints, due: Ints, is_overdue: Bools, is_over: Bools
) -> Ints:
    """Return kept, late, broken, open or cancelled for each promise."""
    dated = due != FAR
    at = pick(log.time, done, FAR)
    delivered = pick(log.of("delivered"), done, False)
    cancelled = (done >= 0) & ~delivered
    by_customer = cancelled & pick(log.by_customer, done, False) & (at <= due)
    promised, delivered_value = pick(log.value.codes, made), pick(log.value.codes, done)
    is_other_value = (
        ~dated & (promised != NULL) & (delivered_value != NULL) & (promised != delivered_value)
    )
    never = ~delivered & ~cancelled & dated
    status = np.full(len(made), OPEN)
    status[delivered & (at <= due)] = KEPT
    status[delivered & (at > due)] = LATE
    status[delivered & is_other_value] = BROKEN
    status[never & is_overdue] = LATE
    status[never & is_over] = BROKEN
    status[cancelled] = BROKEN
    status[by_customer] = CANCELLED
    return status


def _no_promises() -> Promises:
    none: Array = np.zeros(0, np.int64)
    return Promises(
        pa.array([], pa.string()),
        none,
        Categorical.nulls(0),
        none,
        none,
        none,
        none,
        none,
        Categorical.nulls(0),
        Categorical.nulls(0),
        0,
    )
