"""Promises: made, moved, kept, late, broken, cancelled or open (9-rules, Evidence).

A promise is one of its customer, whatever journeys its events are in; it stands in the step in
which it was made. A non-event counts only once the frontier has passed its due time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms import schema
from rejse.transforms.arrays import NULL, Bools, Ints, valid, values
from rejse.transforms.as_of import FAR
from rejse.transforms.events import Coded
from rejse.transforms.frontier import passed
from rejse.transforms.segments import Array, Segments, pick, sorted_by
from rejse.transforms.sessionise import Spine

STATUS = ("kept", "late", "broken", "open", "cancelled")
KEPT, LATE, BROKEN, OPEN, CANCELLED = range(5)


@dataclass(frozen=True)
class Promises:
    """One row a promise; rows are events of the spine, -1 for none; times in microseconds."""

    name: pa.Array
    made: Ints
    kind: Coded
    due: Ints  # FAR without a due time
    delivered: Ints
    status: Ints
    n_moves: Ints
    latest: Ints  # last moment at which an event could still change the status
    value: Coded  # what it promised when it was made
    n_orphans: int


@dataclass(frozen=True)
class _Log:
    """Promise events sorted by promise and total order."""

    row: Ints
    op: Coded
    due: Ints
    value: Coded
    time: Ints
    by_customer: Bools

    def of(self, *ops: str) -> Bools:
        return self.op.of_names(ops)


def promises(spine: Spine, frontier: int, lateness: int, give_up: int) -> Promises:
    """Promises of all customers, judged at the frontier."""
    if not spine.events.has("promise"):
        return _nothing()
    column = spine.events.column("promise")
    ident = pc.struct_field(column, "id")
    rows = np.flatnonzero(valid(column) & valid(ident))
    if not len(rows):
        return _nothing()
    names = Coded.of(ident).rows(rows)
    customer = spine.events.coded(schema.CUSTOMER_KEY).codes[rows].astype(np.int64)
    order = sorted_by(customer, names.codes, spine.rank[rows])
    rows, names = rows[order], names.rows(order)
    groups = Segments.of(customer[order], names.codes)
    log = _read(spine, column, rows)
    made = groups.first_row(log.of("made"))
    real = np.flatnonzero(made >= 0)
    due, n_moves = _due(log, groups, made)
    done = _first_after(groups, log.of("delivered", "cancelled"), made)
    status = _status(log, made, done, due, frontier, lateness, give_up)
    delivered = np.where(pick(log.of("delivered"), done, False), done, NULL)
    kinds = Coded.of(pc.struct_field(column, "kind")).rows(rows)
    settled = np.where(due == FAR, 0, np.minimum(due, FAR - give_up) + give_up)
    return Promises(
        names.rows(groups.starts[real]).arrow().cast(pa.string()), rows[made[real]],
        kinds.rows(made[real]), due[real], pick(rows, delivered[real]), status[real],
        n_moves[real], settled[real], log.value.rows(made[real]), int((made < 0).sum()),
    )  # fmt: skip


def _read(spine: Spine, column: pa.Array, rows: Ints) -> _Log:
    events = spine.events
    due = pc.struct_field(column, "due_time")
    times = np.where(valid(due), values(due), FAR)[rows]
    customer = events.is_one("actor_type", "customer")[rows]
    op = Coded.of(pc.struct_field(column, "op")).rows(rows)
    value = Coded.of(pc.struct_field(column, "value")).rows(rows)
    return _Log(rows, op, times, value, events.time[rows], customer)


def _due(log: _Log, groups: Segments, made: Ints) -> tuple[Ints, Ints]:
    """Due time in force and number of moves; a move counts only if made by the due in force."""
    since = groups.spread(made)
    after = (np.arange(groups.n) > since) & (since >= 0)
    moves = after & log.of("moved", "made")
    due = pick(log.due, made, FAR)
    closing = groups.spread(_first_after(groups, log.of("delivered", "cancelled"), made))
    for at in np.flatnonzero(moves & ((closing < 0) | (np.arange(groups.n) < closing))):
        promise = groups.ids[at]
        if log.time[at] <= due[promise] and log.due[at] != FAR:
            due[promise] = log.due[at]
    return due, groups.count(moves)


def _first_after(groups: Segments, mask: Bools, made: Ints) -> Ints:
    """First row of `mask` after the promise was made, -1 if none."""
    since = groups.spread(made)
    return groups.first_row(mask & (np.arange(groups.n) > since) & (since >= 0))


def _status(
    log: _Log, made: Ints, done: Ints, due: Ints, frontier: int, lateness: int, give_up: int
) -> Ints:
    """Kept, late, broken, open or cancelled."""
    dated = due != FAR
    limit = np.where(dated, due, 0) + give_up
    at = pick(log.time, done, FAR)
    delivered = pick(log.of("delivered"), done, False)
    cancelled = (done >= 0) & ~delivered
    by_customer = cancelled & pick(log.by_customer, done, False) & (at <= due)
    said, got = pick(log.value.codes, made), pick(log.value.codes, done)
    another = ~dated & (said != NULL) & (got != NULL) & (said != got)
    never = ~delivered & ~cancelled & dated
    status = np.full(len(made), OPEN)
    status[delivered & (at <= due) & ~another] = KEPT
    status[delivered & dated & (at > due) & (at <= limit)] = LATE
    status[delivered & ((dated & (at > limit)) | another)] = BROKEN
    status[never & passed(due, frontier, lateness)] = LATE
    status[never & passed(limit, frontier, lateness)] = BROKEN
    status[cancelled] = BROKEN
    status[by_customer] = CANCELLED
    return status


def _nothing() -> Promises:
    none: Array = np.zeros(0, np.int64)
    return Promises(
        pa.array([], pa.string()),
        none,
        Coded.nulls(0),
        none,
        none,
        none,
        none,
        none,
        Coded.nulls(0),
        0,
    )
