"""Service levels: what was agreed for a type of journey, and whether it was achieved.

`slas` declares levels by journey type:

- `response` runs until the first answer of the company that is not internal, not pushed and made
  by no machine;
- `resolution` runs until the end that holds;
- `handoff` says when the receiver (`to_owner`, null: any) of a hand-off is due
  (`handoffs.handoff_due`).

The first two start at the journey's first need-driven event, with the row valid at that time. Their
clock stops at an event that waits for the customer, until the customer acts or an event waits for
another party (docs/reference/friction.md#service-levels). With `is_working_time` it counts the
working hours of the owner of the step in which it started. Where these hours are not known the
level is not measurable.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import FAR, AsOf
from rejse.transforms.dimensions.working_hours import Calendar
from rejse.transforms.features.promises import Promises
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.journeys.watermarks import passed
from rejse.transforms.schema import durations
from rejse.transforms.schema.parameters import DAY

KINDS = ("response", "resolution", "handoff")
STATUS = ("achieved", "breached", "open")
ACHIEVED, BREACHED, OPEN = range(3)
LONGEST = 36_500 * DAY


@dataclass(frozen=True)
class SlaResults:
    """One row a journey and service level; rows are sessionised events, -1 for none."""

    journey: Ints
    sla: Categorical
    kind: Categorical
    row: Ints  # event at which the clock started
    due: Ints  # FAR: not due while it waits for the customer, or the hours are not known
    met: Ints
    elapsed: Ints  # microseconds on the clock until met
    status: Ints  # -1: not measurable, the owner's hours are not known

    def __len__(self) -> int:
        return len(self.journey)


def valid_slas(table: pa.Table, has_calendar: bool, types: Collection[str] = ()) -> None:
    """Check the rows of `slas`.

    `types` are the names of all journey types; without them every name is accepted. Raises
    ValueError, naming the row.
    """
    for number, row in enumerate(table.to_pylist(), start=1):
        if types and row["journey_type"] not in types:
            raise ValueError(
                f"row {number}: expected a journey_type {', '.join(sorted(types))}, came"
                f" {row['journey_type']!r}; correct it or declare it in journey_types"
            )
        if row["kind"] not in KINDS:
            expected = ", ".join(KINDS)
            raise ValueError(f"row {number}: expected a kind {expected}, came {row['kind']!r}")
        try:
            due = durations.parse(row["due"])
        except ValueError as fault:
            raise ValueError(f"row {number}: due: {fault}") from None
        if not 0 < due <= LONGEST:
            raise ValueError(
                f"row {number}: expected a due above 0 and up to 100 years, came {row['due']!r}"
            )
        if row["is_working_time"] and not has_calendar:
            raise ValueError(
                f"row {number}: expected a calendar for is_working_time, found none; configure"
                " operational.calendar or leave is_working_time out"
            )


def rows_of_kind(data: Operational, *kinds: str) -> pa.Table:
    """Return the rows of `slas` of some kinds."""
    table = data.table("slas")
    return table.filter(pc.is_in(table.column("kind"), pa.array(kinds, pa.string())))


def journey_types(sessionised: SessionisedEvents) -> Categorical:
    """Return the type of each journey, `other` where it has none."""
    n = len(sessionised.journeys)
    return sessionised.journey_kind.fallback(Categorical.named(np.zeros(n), ["other"]))


def time_limits(index: AsOf, row: Ints) -> tuple[Ints, Bools]:
    """Return the time (microseconds) that rows of `slas` give, and whether it is working time."""
    limits = [durations.parse(text) for text in index.table.column("due").to_pylist()]
    flag, known = index.number("is_working_time", row)
    return np.array([*limits, 0], np.int64)[row], known & flag.astype(bool)


@dataclass(frozen=True)
class _Inputs:
    """Values by which the levels of journeys are judged."""

    sessionised: SessionisedEvents
    calendar: Calendar
    step_owner: Categorical
    held_end: Ints
    closed: Bools
    watermark: int
    lateness: int

    @property
    def journeys(self) -> Groups:
        return self.sessionised.journeys


def sla_results(
    sessionised: SessionisedEvents,
    data: Operational,
    *,
    step_owner: Categorical,
    held_end: Ints,
    closed: Bools,
    watermark: int,
    lateness: int,
) -> SlaResults:
    """Judge the response and resolution levels of all journeys at the watermark.

    Args:
        sessionised: events of whole customers.
        data: operational tables; read are `slas` and `calendar`.
        step_owner: owner of each step.
        held_end: event that ended each journey for good, -1 if none.
        closed: journeys whose deadline has passed.
        watermark: time up to which all sources are complete, microseconds.
        lateness: allowed lateness, microseconds.
    """
    levels: list[_Level] = data.once("slas of journeys", lambda: _levels(data))
    if not levels:
        none, no_text = np.zeros(0, np.int64), Categorical.nulls(0)
        return SlaResults(none, no_text, no_text, none, none, none, none, none)

    inputs = _Inputs(sessionised, data.calendar, step_owner, held_end, closed, watermark, lateness)
    start = _Start.of(sessionised)
    parts = [_level_results(inputs, start, *level) for level in levels]

    def ints(name: str) -> Ints:
        return np.concatenate([getattr(part, name) for part in parts])

    def texts(name: str) -> Categorical:
        return Categorical.of(pa.chunked_array([getattr(part, name).arrow() for part in parts]))

    return SlaResults(
        ints("journey"), texts("sla"), texts("kind"), ints("row"), ints("due"), ints("met"),
        ints("elapsed"), ints("status"),
    )  # fmt: skip


#: Name and kind of a level, and its rows by journey type.
_Level = tuple[str, str, AsOf]


def _levels(data: Operational) -> list[_Level]:
    table = rows_of_kind(data, "response", "resolution")
    name, of_kind = table.column("sla"), table.column("kind")
    levels = []
    for sla, kind in sorted(set(zip(name.to_pylist(), of_kind.to_pylist(), strict=True))):
        rows = table.filter(pc.and_(pc.equal(name, sla), pc.equal(of_kind, kind)))
        levels.append((sla, kind, AsOf.of(rows, "journey_type")))
    return levels


@dataclass(frozen=True)
class _Start:
    """Where the clocks of all levels start and stop; events in total order."""

    opening: Ints  # first need-driven event of each journey, -1 if none
    time: Ints
    stops: Bools  # events after which the clock stops
    since: Bools  # is the event the opening of its journey, or after it?
    gap: Ints  # microseconds from each event to the next of its journey, 0 where the clock stops
    run: Ints  # time on the clock at each event

    @classmethod
    def of(cls, sessionised: SessionisedEvents) -> _Start:
        """Find where the clock of each journey starts, and where it stops."""
        journeys, in_time, events = sessionised.journeys, sessionised.by_time, sessionised.events
        opening = journeys.first_row(event_flags.is_need_driven(events)[in_time])
        time, stops = events.time[in_time], _stops(sessionised)
        gap = np.zeros(len(time), np.int64)
        gap[:-1] = np.diff(time)
        gap[journeys.lasts] = 0
        gap[stops] = 0
        since = np.arange(len(time)) >= journeys.broadcast(opening)
        return cls(opening, time, stops, since, gap, _run(journeys, opening, gap))


def _run(journeys: Groups, opening: Ints, gap: Ints) -> Ints:
    """Return the time on the clock at each event: the gaps since the opening of its journey."""
    whole = np.cumsum(gap) - gap
    return np.asarray(whole - journeys.broadcast(pick(whole, opening, 0)))


def _level_results(inputs: _Inputs, start: _Start, sla: str, kind: str, index: AsOf) -> SlaResults:
    """Judge one service level of one kind by the row of `index` valid at each opening."""
    sessionised, opening = inputs.sessionised, start.opening
    events, in_time = sessionised.events, sessionised.by_time
    began = pick(start.time, opening, 0)
    row = np.where(opening >= 0, index.rows(journey_types(sessionised), began), NULL)
    limit, working = time_limits(index, row)
    owner = inputs.step_owner.rows(
        np.where(opening >= 0, sessionised.steps.ids[in_time[opening]], NULL)
    )
    run, due, measured = _due(inputs, start, limit, working, owner)
    if kind == "response":
        met, settled = _answered(sessionised, start.since), np.ones(len(due), dtype=bool)
    else:
        met, settled = _ended(inputs, opening), inputs.closed
    met_at = pick(events.time[in_time], met, FAR)
    status = _status(met, due, met_at, settled, passed(due, inputs.watermark, inputs.lateness))
    at = np.flatnonzero(row >= 0)
    zeros = np.zeros(len(at))
    return SlaResults(
        journey=at,
        sla=Categorical.named(zeros, [sla]),
        kind=Categorical.named(zeros, [kind]),
        row=in_time[opening[at]],
        due=due[at],
        met=pick(in_time, met, NULL)[at],
        elapsed=pick(run, met, 0)[at],
        status=np.where(measured, status, NULL)[at],
    )


def _answered(sessionised: SessionisedEvents, since: Bools) -> Ints:
    """Return the place in total order of the first answer after each opening."""
    answers = _answers(sessionised.events)[sessionised.by_time]
    return sessionised.journeys.first_row(answers & since)


def _ended(inputs: _Inputs, opening: Ints) -> Ints:
    """Return the place in total order of the end that holds, unless it precedes the opening."""
    ended = pick(inputs.sessionised.moment, inputs.held_end, NULL)
    return np.where(ended >= opening, ended, NULL)


def _stops(sessionised: SessionisedEvents) -> Bools:
    """Return the events (in total order) after which the customer is awaited.

    Decided by the last event that waits for anyone or is the customer's own.
    """
    events, in_time = sessionised.events, sessionised.by_time
    awaited = events.is_one("waiting_for", "customer")[in_time]
    acts = events.is_one("actor_type", "customer") | events.coded("waiting_for").known
    last = sessionised.journeys.last_row_before(awaited | acts[in_time], inclusive=True)
    return np.asarray(pick(awaited, last, False))


def _due(
    inputs: _Inputs, start: _Start, limit: Ints, working: Bools, owner: Categorical
) -> tuple[Ints, Ints, Bools]:
    """Return the time on the clock at each event, each journey's due time, and if it is measurable.

    Events are in total order. `limit` (microseconds), `working` and `owner` are of each journey.
    """
    journeys, calendar = inputs.journeys, inputs.calendar
    time, run = start.time, start.run
    if working.any():
        gap, rows = start.gap.copy(), np.flatnonzero(journeys.broadcast(working) & (start.gap > 0))
        worked, _ = calendar.between(owner.rows(journeys.ids[rows]), time[rows], time[rows + 1])
        gap[rows] = worked
        run = _run(journeys, start.opening, gap)
    runs = start.since & (run < journeys.broadcast(limit))
    last = journeys.last_row(runs)
    rest, at = limit - pick(run, last, 0), pick(time, last, 0)
    due, measured = at + rest, np.ones(len(journeys), dtype=bool)
    if working.any():
        worked_until, known = calendar.after(owner, at, rest)
        due, measured = np.where(working, worked_until, due), known | ~working
    due = np.where((last == NULL) | pick(start.stops, last, False) | ~measured, FAR, due)
    return run, due, measured


def _answers(events: Events) -> Bools:
    """Return the answers of the company.

    Outbound, not by the customer or a machine and not pushed; or a human on an inbound event of a
    channel where both talk (an e-mail that an agent registers is no answer).
    """
    customer = events.is_one("actor_type", "customer")
    outbound = (
        events.is_one("direction", "outbound") & ~customer & ~event_flags.is_by_machine(events)
    )
    talks = events.is_one("actor_type", "human") & events.is_one(
        "channel", *event_flags.HUMAN_CHANNELS
    )
    within = events.is_one("direction", "inbound") & talks
    return (outbound | within) & ~event_flags.is_pushed(events)


def _status(met: Ints, due: Ints, met_at: Ints, settled: Bools, is_overdue: Bools) -> Ints:
    """Return achieved, breached or open; nothing is judged before the watermark has passed it."""
    is_met = met != NULL
    status = np.full(len(met), OPEN)
    status[is_met & settled & (met_at <= due)] = ACHIEVED
    status[(is_met & (met_at > due)) | (~is_met & is_overdue)] = BREACHED
    return status


def promised(levels: SlaResults, promises: Promises, journeys: Groups) -> Bools:
    """Return the levels that an event of the journey promises itself (a promise of kind sla).

    These are the levels whose name or kind is the promise's id or value. Where it names none, it is
    the level due nearest to the promise's due time (ties: least name, then kind).
    """
    out = np.zeros(len(levels), dtype=bool)
    own = np.flatnonzero(promises.kind.of_names(("sla",)))
    if not len(own) or not len(levels):
        return out
    promise, level = _pairs(journeys.ids[promises.made[own]], levels.journey)
    names = np.zeros(len(promise), dtype=bool)
    for promise_text in (Categorical.of(promises.name), promises.value):
        for level_text in (levels.sla, levels.kind):
            code, level_code = promise_text.rows(own[promise]).aligned(level_text.rows(level))
            names |= (code == level_code) & (code != NULL)
    out[level[names]] = True
    is_named = np.bincount(promise[names], minlength=len(own)) > 0
    due, level_due = promises.due[own[promise]], levels.due[level]
    dated = np.flatnonzero(~is_named[promise] & (due < FAR) & (level_due < FAR))
    nearest = dated[sorted_by(promise[dated], np.abs(due - level_due)[dated], level[dated])]
    firsts = np.flatnonzero(np.diff(promise[nearest], prepend=-1))
    out[level[nearest[firsts]]] = True
    return out


def _pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return the places of all pairs of equal values."""
    order = sorted_by(right)
    low, high = (np.searchsorted(right[order], left, side=side) for side in ("left", "right"))
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(left)), count), order[np.repeat(low, count) + within]


def is_late(
    levels: SlaResults, time: Ints, *, give_up: int, watermark: int, lateness: int
) -> Bools:
    """Return the breached levels that were met, or may still be, within the give-up time.

    `time` is that of each event. All times are microseconds.
    """
    limit = np.minimum(levels.due, FAR - give_up) + give_up
    in_time = pick(time, levels.met, FAR) <= limit
    return np.where(levels.met != NULL, in_time, ~passed(limit, watermark, lateness))


def latest(levels: SlaResults, give_up: int) -> Ints:
    """Return the last time at which an event can change each result; 0 where none is due."""
    return np.where(levels.due == FAR, 0, np.minimum(levels.due, FAR - give_up) + give_up)
