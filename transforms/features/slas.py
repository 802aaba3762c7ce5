"""Service levels: what was agreed for a kind of journey, and whether it was achieved.

`slas` declares them by journey type: `response` runs until the first answer of the company that is
not internal, made by no machine and not pushed; `resolution` until the end that holds; `handoff`
says when the receiver (`to_owner`, null: any) of a hand-off is due. The first two start at the
journey's first need-driven event, with the row that holds then; their clock stands still from an
event that waits for the customer until he acts or an event waits for somebody else
(docs/reference/friction.md#service-levels). With `is_working_time` it runs in the working hours of
the owner of the step in which it started; where these are not known the level is not measurable.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import FAR, KEY_MARK, AsOf, pair_key
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.journeys.watermarks import passed
from rejse.transforms.schema import durations
from rejse.transforms.schema.parameters import DAY

if TYPE_CHECKING:
    from rejse.transforms.features.context import JourneyContext

KINDS = ("response", "resolution", "handoff")
STATUS = ("achieved", "breached", "open")
ACHIEVED, BREACHED, OPEN = range(3)
LONGEST = 36_500 * DAY


@dataclass(frozen=True)
class SlaResults:
    """One row a journey and service level; rows are events of the spine, -1 for none."""

    journey: Ints
    sla: Categorical
    kind: Categorical
    row: Ints  # event at which the clock started
    due: Ints  # FAR: not due while it waits for the customer, or nobody's hours are known
    met: Ints
    elapsed: Ints  # microseconds on the clock until met
    status: Ints  # -1: not measurable, the owner's hours are not known

    def __len__(self) -> int:
        return len(self.journey)


def valid_slas(table: pa.Table, has_calendar: bool, types: Collection[str] = ()) -> None:
    """Raises ValueError, naming the row, where a row of `slas` makes no sense.

    `types` are the names of all journey types; where there are none every name is one.
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


def _of_kind(data: Operational, *kinds: str) -> pa.Table:
    table = data.table("slas")
    return table.filter(pc.is_in(table.column("kind"), pa.array(kinds, pa.string())))


def handoff_due(sessionised: SessionisedEvents, data: Operational, rows: Ints, usual: Ints) -> Ints:
    """When the hand-offs asked for by the events `rows` are due: by the SLA for the receiver, else
    for any, else `usual` (also where the receiver's working hours are not known).
    """
    index: AsOf | None = data.cached("slas of hand-offs", lambda: _of_handoffs(data))
    if index is None or not len(rows):
        return usual
    kind = _types(sessionised).rows(sessionised.journeys.ids[rows])
    to_owner = sessionised.events.coded("to_owner").rows(rows)
    anybody = Categorical.named(np.zeros(len(rows)), [""])
    time = sessionised.events.time[rows]
    row = index.rows(pair_key(kind, to_owner), time)
    row = np.where(row == NULL, index.rows(pair_key(kind, anybody), time), row)
    span, working = _spans(index, row)
    due = np.where(row == NULL, usual, time + span)
    worked, known = data.calendar.after(to_owner, time, span)
    return np.where(working, np.where(known, worked, usual), due)


def _of_handoffs(data: Operational) -> AsOf | None:
    """Rows for hand-offs by journey type and receiver, "" for any; None where there are none."""
    table = _of_kind(data, "handoff")
    if not table.num_rows:
        return None
    receiver = pc.fill_null(table.column("to_owner"), "")
    key = pc.binary_join_element_wise(table.column("journey_type"), receiver, KEY_MARK)
    return AsOf.of(table.append_column("key", key), "key")


def _types(sessionised: SessionisedEvents) -> Categorical:
    n = len(sessionised.journeys)
    return sessionised.journey_kind.fallback(Categorical.named(np.zeros(n), ["other"]))


def _spans(index: AsOf, row: Ints) -> tuple[Ints, Bools]:
    """Time given by the rows, in microseconds, and whether it is working time."""
    spans = [durations.parse(text) for text in index.table.column("due").to_pylist()]
    flag, known = index.number("is_working_time", row)
    given = np.array([*spans, 0], np.int64)[row]
    return given, known & flag.astype(bool)


def sla_results(ctx: JourneyContext) -> SlaResults:
    """Results of the response and resolution levels of all journeys, judged at the frontier."""
    levels: list[_Level] = ctx.data.cached("slas of journeys", lambda: _levels(ctx.data))
    if not levels:
        none = np.zeros(0, np.int64)
        return SlaResults(
            none, Categorical.nulls(0), Categorical.nulls(0), none, none, none, none, none
        )

    start = _Start.of(ctx)
    parts = [_of_one(ctx, start, *level) for level in levels]

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
    table = _of_kind(data, "response", "resolution")
    name, of_kind = table.column("sla"), table.column("kind")
    found = []
    for sla, kind in sorted(set(zip(name.to_pylist(), of_kind.to_pylist(), strict=True))):
        rows = table.filter(pc.and_(pc.equal(name, sla), pc.equal(of_kind, kind)))
        found.append((sla, kind, AsOf.of(rows, "journey_type")))
    return found


@dataclass(frozen=True)
class _Start:
    """Where the clocks of all levels start, and where they stand still; events in total order."""

    opening: Ints  # first need-driven event of each journey, -1 if none
    time: Ints
    stands: Bools
    since: Bools  # is the event the opening of its journey, or after it?
    gap: Ints  # microseconds from each event to the next of its journey, 0 where the clock stands
    run: Ints  # time on the clock at each event

    @classmethod
    def of(cls, ctx: JourneyContext) -> _Start:
        journeys, in_time, events = ctx.journeys, ctx.sessionised.by_time, ctx.sessionised.events
        opening = journeys.first_row(event_flags.is_need_driven(events)[in_time])
        time, stands = events.time[in_time], _stands(ctx)
        gap = np.zeros(len(time), np.int64)
        gap[:-1] = np.diff(time)
        gap[journeys.lasts] = 0
        gap[stands] = 0
        since = np.arange(len(time)) >= journeys.broadcast(opening)
        return cls(opening, time, stands, since, gap, _run(journeys, opening, gap))


def _run(journeys: Groups, opening: Ints, gap: Ints) -> Ints:
    """Time on the clock at each event: the gaps since the opening of its journey."""
    whole = np.cumsum(gap) - gap
    return np.asarray(whole - journeys.broadcast(pick(whole, opening, 0)))


def _of_one(ctx: JourneyContext, start: _Start, sla: str, kind: str, index: AsOf) -> SlaResults:
    """Results of one service level of one kind, in the time that each journey's row gives it."""
    sessionised, events, opening = ctx.sessionised, ctx.sessionised.events, start.opening
    in_time = sessionised.by_time
    began = pick(start.time, opening, 0)
    said = np.where(opening >= 0, index.rows(_types(sessionised), began), NULL)
    span, working = _spans(index, said)
    owner = ctx.steps.owner.rows(
        np.where(opening >= 0, sessionised.steps.ids[in_time[opening]], NULL)
    )
    run, due, measured = _due(ctx, start, span, working, owner)
    met = _answered(ctx, start.since) if kind == "response" else _ended(ctx, opening)
    settled = ctx.closed | (kind == "response")
    status = _status(ctx, met, due, pick(events.time[in_time], met, FAR), settled)
    at = np.flatnonzero(said >= 0)
    one = np.zeros(len(at))
    return SlaResults(
        at, Categorical.named(one, [sla]), Categorical.named(one, [kind]), in_time[opening[at]],
        due[at],
        pick(in_time, met, NULL)[at], pick(run, met, 0)[at],
        np.where(measured, status, NULL)[at],
    )  # fmt: skip


def _answered(ctx: JourneyContext, since: Bools) -> Ints:
    """Place in total order of the first answer after each opening."""
    sessionised = ctx.sessionised
    return ctx.journeys.first_row(_answers(sessionised.events)[sessionised.by_time] & since)


def _ended(ctx: JourneyContext, opening: Ints) -> Ints:
    """Place in total order of the end that holds, if it is not before the opening."""
    ended = pick(ctx.sessionised.moment, ctx.held_end, NULL)
    return np.where(ended >= opening, ended, NULL)


def _stands(ctx: JourneyContext) -> Bools:
    """Events (in total order) after which the customer is awaited, by the last that says so."""
    events, in_time = ctx.sessionised.events, ctx.sessionised.by_time
    awaited = events.is_any("waiting_for", "customer")[in_time]
    acts = events.is_any("actor_type", "customer") | events.coded("waiting_for").known
    said = ctx.journeys.last_row_before(awaited | acts[in_time], inclusive=True)
    return np.asarray(pick(awaited, said, False))


def _due(
    ctx: JourneyContext, start: _Start, span: Ints, working: Bools, owner: Categorical
) -> tuple[Ints, Ints, Bools]:
    """Time on the clock at each event (in total order), when each journey's level is due, and
    whether its clock is known.
    """
    journeys, calendar = ctx.journeys, ctx.data.calendar
    time, stands, run = start.time, start.stands, start.run
    if working.any():
        gap, each = start.gap.copy(), np.flatnonzero(journeys.broadcast(working) & (start.gap > 0))
        worked, _ = calendar.between(owner.rows(journeys.ids[each]), time[each], time[each + 1])
        gap[each] = worked
        run = _run(journeys, start.opening, gap)
    runs = start.since & (run < journeys.broadcast(span))
    last = journeys.last_row(runs)
    rest, at = span - pick(run, last, 0), pick(time, last, 0)
    due, measured = at + rest, np.ones(len(journeys), dtype=bool)
    if working.any():
        until, known = calendar.after(owner, at, rest)
        due, measured = np.where(working, until, due), known | ~working
    due = np.where((last == NULL) | pick(stands, last, False) | ~measured, FAR, due)
    return run, due, measured


def _answers(events: Events) -> Bools:
    """Answers of the company: outbound, not by the customer or a machine and not pushed; or a human
    on an inbound event of a channel where both talk (an e-mail that he registers is no answer).
    """
    customer = events.is_any("actor_type", "customer")
    outbound = (
        events.is_any("direction", "outbound") & ~customer & ~event_flags.is_by_machine(events)
    )
    talks = events.is_any("actor_type", "human") & events.is_any(
        "channel", *event_flags.HUMAN_CHANNELS
    )
    within = events.is_any("direction", "inbound") & talks
    return (outbound | within) & ~event_flags.is_pushed(events)


def _status(ctx: JourneyContext, met: Ints, due: Ints, met_at: Ints, settled: Bools) -> Ints:
    """Achieved, breached, or open: nothing is judged before the frontier has passed it."""
    over = passed(due, ctx.frontier, ctx.rules.windows.lateness)
    is_met = met != NULL
    status = np.full(len(met), OPEN)
    status[is_met & settled & (met_at <= due)] = ACHIEVED
    status[(is_met & (met_at > due)) | (~is_met & over)] = BREACHED
    return status


def promised(ctx: JourneyContext, found: SlaResults) -> Bools:
    """Levels that an event of the journey promises itself (a promise of kind sla): those whose
    name or kind its id or value is; where it names none, the one due nearest to its own due time
    (of equal ones the least name, then kind).
    """
    made, out = ctx.promises, np.zeros(len(found), dtype=bool)
    own = np.flatnonzero(made.kind.of_names(("sla",)))
    if not len(own) or not len(found):
        return out
    promise, level = _pairs(ctx.journeys.ids[made.made[own]], found.journey)
    names = np.zeros(len(promise), dtype=bool)
    for said in (Categorical.of(made.name), made.value):
        for meant in (found.sla, found.kind):
            one, other = said.rows(own[promise]).aligned(meant.rows(level))
            names |= (one == other) & (one != NULL)
    out[level[names]] = True
    is_named = np.bincount(promise[names], minlength=len(own)) > 0
    due, until = made.due[own[promise]], found.due[level]
    open_ = np.flatnonzero(~is_named[promise] & (due < FAR) & (until < FAR))
    nearest = open_[sorted_by(promise[open_], np.abs(due - until)[open_], level[open_])]
    firsts = np.flatnonzero(np.diff(promise[nearest], prepend=-1))
    out[level[nearest[firsts]]] = True
    return out


def _pairs(one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Places of all pairs of equal values."""
    order = sorted_by(other)
    low, high = (np.searchsorted(other[order], one, side=side) for side in ("left", "right"))
    count = high - low
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(one)), count), order[np.repeat(low, count) + within]


def is_late(ctx: JourneyContext, found: SlaResults) -> Bools:
    """Breached ones that were met, or may still be, within the give-up time of promises."""
    windows, time = ctx.rules.windows, ctx.sessionised.events.time
    limit = np.minimum(found.due, FAR - windows.promise_give_up) + windows.promise_give_up
    met = found.met != NULL
    in_time = pick(time, found.met, FAR) <= limit
    return np.where(met, in_time, ~passed(limit, ctx.frontier, windows.lateness))


def latest(found: SlaResults, give_up: int) -> Ints:
    """Last moment at which an event could still change each result; 0 where none is due."""
    return np.where(found.due == FAR, 0, np.minimum(found.due, FAR - give_up) + give_up)
