"""Cutting threads into journeys, and when each of them closes.

The cut is a fold over the total order (`fold`). Where nothing but the cap looks further back than
the last end, all threads are cut at once; threads that meet their cap, may have a new need after
an end, or whose type is not the same all along are folded one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.case_assignment import Threads
from rejse.transforms.journeys.fold import NEED, START, Fold
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.schema.parameters import Rules

REASONS = ("start rule", "new need", "cap", "end rule", "silence")


@dataclass(frozen=True)
class Cut:
    """Journeys of sorted threads: begin of each, deadline (microseconds) and what sets it.

    `kind` is the type of each event's journey as far as it is known at the event.
    """

    journeys: Groups
    deadline: Ints
    reason: Ints  # place in REASONS
    kind: Categorical


@dataclass(frozen=True)
class _Rows:
    """What the fold reads of each event, in thread order."""

    time: Ints
    end: Bools  # the event is an end
    weak: Bools  # a bad end, taken back by whatever follows that the company does not drive
    takes_away: Bools  # a mapped outcome that is no end takes an end away
    outbound: Bools
    goes_on: Bools  # not driven by the company
    gap: Ints
    window: Ints
    cap: Ints

    @property
    def settles(self) -> Bools:
        """Rows after which it is known whether the journey is ended, but for bad ends that the
        company tells of: those leave a good end as it is.
        """
        return self.end | self.takes_away | (self.weak & ~self.outbound)

    def ended(self, settled: Ints, outward: Ints, goes_on: Ints) -> tuple[Bools, Ints]:
        """Is a journey ended, and by which row, given its last rows that settle it, that tell of
        a bad end outward, and that go on?
        """
        held = pick(self.end, settled, False)
        by = np.where((outward > settled) & ~held, outward, settled)
        weak = pick(self.weak, by, False)
        over = pick(self.time, goes_on, -FAR) > pick(self.time, by, FAR)
        return (by >= 0) & (pick(self.end, by, False) | (weak & ~over)), by


def cut(events: Events, threads: Threads, needs: Needs, rules: Rules) -> Cut:
    """Cut threads (rule 5) whose events stand in thread order."""
    whole = threads.segments
    kind, known_before = _running(whole, threads.kind)
    rows = _rows(events, threads, kind, known_before, rules)
    start = _starts(events, kind, rules)
    begins, doubtful = _local_cuts(threads, rows, start & ~threads.has_case)
    journeys = Groups.where(begins)
    doubtful |= _beyond(journeys, rows) & ~whole.begins
    doubtful |= _new_needs(events, threads, journeys, rows, needs, start & threads.has_case)
    doubtful |= begins & ~whole.begins & ~_one_type(threads)
    why = np.where(start & ~threads.has_case, START, 0)
    shown = np.where(why == START, rows.time, FAR)
    if doubtful.any():
        fold = Fold(events, threads, needs, rules)
        for thread in np.unique(whole.ids[doubtful]):
            first, last = int(whole.starts[thread]), int(whole.lasts[thread])
            begins[first : last + 1] = False
            for row, reason, time in fold.thread(first, last + 1):
                begins[row], why[row], shown[row] = True, reason, time
    journeys = Groups.where(begins)
    kind, _ = _running(journeys, threads.kind)
    return _deadlines(
        journeys, threads, _rows(events, threads, kind, kind, rules), why, shown, kind
    )


def _running(journeys: Groups, kind: Categorical) -> tuple[Categorical, Categorical]:
    """First known type of the journey so far, at each row and before it."""
    since = journeys.broadcast(journeys.first_row(kind.known))
    row = np.arange(journeys.n)
    found = pick(kind.codes, since, NULL)
    at = np.where((since >= 0) & (row >= since), found, NULL)
    before = np.where((since >= 0) & (row > since), found, NULL)
    return kind.recode(at), kind.recode(before)


def _one_type(threads: Threads) -> Bools:
    """Rows of threads in which all events have one type, or none has any."""
    codes, segments = threads.kind.codes, threads.segments
    if not len(codes):
        return np.zeros(0, dtype=bool)
    same: Bools = segments.broadcast(segments.min(codes) == segments.max(codes))
    return same


def _rows(
    events: Events, threads: Threads, kind: Categorical, known: Categorical, rules: Rules
) -> _Rows:
    # Whether an event is an end is judged by the type known with it; how long the deadline runs,
    # by the type known when it was set.
    end, weak = (
        event_flags.is_end(events, kind, rules),
        event_flags.is_weak_end(events, kind, rules),
    )
    mapped = ~np.isnan(event_flags.outcome01(events, kind, rules))
    outbound = events.is_any("direction", "outbound")
    gap = event_flags.by_type(known, rules, lambda of: of.gap)
    if threads.has_case.any():
        of_case = event_flags.by_type(known, rules, lambda of: of.case_gap)
        gap = np.where(threads.has_case, of_case, gap)
    return _Rows(
        events.time,
        end,
        weak,
        mapped & ~end & ~weak & ~outbound,
        outbound,
        ~event_flags.is_company_driven(events),
        gap,
        event_flags.by_type(known, rules, lambda of: of.reopen_window),
        event_flags.by_type(known, rules, lambda of: of.cap),
    )


def _starts(events: Events, kind: Categorical, rules: Rules) -> Bools:
    """Start activities of the rows' types."""
    out = np.zeros(events.n, dtype=bool)
    for code, name in ((NULL, None), *enumerate(kind.names.to_pylist())):
        wanted = rules.type_of(name).start_activities
        if wanted:
            out |= (kind.codes == code) & events.is_any("activity", *wanted)
    return out


def _local_cuts(threads: Threads, rows: _Rows, start: Bools) -> tuple[Bools, Bools]:
    """Cuts by start rule, end rule and silence, as if there were neither cap nor needs; and where
    this cannot tell.
    """
    whole = threads.segments
    time, inside = rows.time, ~whole.begins
    start = start & inside
    settled = whole.last_row_before(rows.settles | start)
    outward = whole.last_row_before(rows.weak & rows.outbound)
    ended, by = rows.ended(settled, outward, whole.last_row_before(rows.goes_on))
    over = inside & ended & (time - pick(time, by, 0) > rows.window)
    # Once an event stands after the deadline, a new journey has begun and the end is behind it.
    behind = ended & (whole.last_row_before(over) > by)
    silent = inside & (~ended | behind) & (time - whole.before(time, 0) > rows.gap)
    # A bad end that the company tells of leaves a good end of the same journey, and no other one.
    unsure = (outward > settled) & pick(rows.end, settled, False)
    return whole.begins | start | (over & ~behind) | silent, unsure


def _beyond(journeys: Groups, rows: _Rows) -> Bools:
    """Events after the cap of their journey."""
    first = journeys.broadcast(rows.time[journeys.starts])
    return np.asarray(rows.time - first > rows.cap)


def _new_needs(
    events: Events, threads: Threads, journeys: Groups, rows: _Rows, needs: Needs, start: Bools
) -> Bools:
    """Events after an end of their journey that may be of a new need, or a start in a case."""
    first_end = journeys.first_row(rows.end | rows.weak)
    after = rows.time > journeys.broadcast(pick(rows.time, first_end, FAR))
    if not after.any():
        return after
    sold = events.is_any("outcome", "sold")
    again = sold & (journeys.last_row_before(sold) >= 0)
    return after & (start | (rows.goes_on & (again | needs.changes(journeys))))


def _deadlines(
    journeys: Groups, threads: Threads, rows: _Rows, why: Ints, shown: Ints, kind: Categorical
) -> Cut:
    """Deadline and reason of each journey from what is known at its last event."""
    last, time = journeys.lasts, rows.time
    ended, by = rows.ended(
        journeys.last_row(rows.settles),
        journeys.last_row(rows.weak & rows.outbound),
        journeys.last_row(rows.goes_on),
    )
    by_cap = time[journeys.starts] + rows.cap[last]
    by_end = np.where(ended, pick(time, by, 0) + rows.window[last], FAR)
    silent = np.where(ended, FAR, time[last] + rows.gap[last])
    following = np.append(journeys.starts[1:], journeys.n)
    thread_last = threads.segments.lasts[threads.segments.ids[last]]
    next_row = np.where(following <= thread_last, following, NULL)
    at, reason = pick(shown, next_row, FAR), pick(why, next_row, 0)
    by_start, by_need = (np.where(reason == one, at, FAR) for one in (START, NEED))
    # At a tie the deadline has not passed yet, so the next journey comes first; then the cap.
    options = np.stack([by_start, by_need, by_cap, by_end, silent])
    place = np.argmin(options, axis=0)
    return Cut(journeys, options[place, np.arange(len(last))], place, kind)
