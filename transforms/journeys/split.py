"""Split cases into journeys, and set the deadline at which each closes.

The rule is a fold over the total order (`fold`). Where nothing but the cap looks further back than
the last end, all cases are split at once. Cases that reach the cap, may have a new need after an
end, or have more than one type are folded one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.case_assignment import CaseAssignment
from rejse.transforms.journeys.fold import NEED, START, Fold
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.schema.parameters import Rules

REASONS = ("start rule", "new need", "cap", "end rule", "silence")


@dataclass(frozen=True)
class JourneyBounds:
    """Journeys of sorted cases: begin of each, deadline (microseconds) and what sets it.

    `kind` is the type of each event's journey as far as it is known at the event.
    """

    journeys: Groups
    deadline: Ints
    reason: Ints  # place in REASONS
    kind: Categorical


@dataclass(frozen=True)
class _Rows:
    """Columns that decide a split, events sorted by case."""

    time: Ints
    end: Bools
    weak: Bools  # a bad end, taken back by any later event that is not company-driven
    takes_away: Bools  # a mapped outcome that is no end takes an end back
    outbound: Bools
    goes_on: Bools  # not driven by the company
    gap: Ints
    window: Ints
    cap: Ints

    @property
    def settles(self) -> Bools:
        """Rows after which it is known whether the journey is ended.

        Outbound bad ends are not among them: they do not replace a good end.
        """
        return self.end | self.takes_away | (self.weak & ~self.outbound)

    def ended(self, settled: Ints, outward: Ints, goes_on: Ints) -> tuple[Bools, Ints]:
        """Return whether a journey is ended, and by which row.

        Args:
            settled: its last row that settles it, -1 if none.
            outward: its last outbound bad end, -1 if none.
            goes_on: its last row that is not company-driven, -1 if none.
        """
        held = pick(self.end, settled, False)
        by = np.where((outward > settled) & ~held, outward, settled)
        weak = pick(self.weak, by, False)
        over = pick(self.time, goes_on, -FAR) > pick(self.time, by, FAR)
        return (by >= 0) & (pick(self.end, by, False) | (weak & ~over)), by


def split_journeys(
    events: Events, assignment: CaseAssignment, needs: Needs, rules: Rules
) -> JourneyBounds:
    """Split the cases of events sorted by case into journeys (rule 5)."""
    cases = assignment.segments
    kind, known_before = _running(cases, assignment.kind)
    rows = _rows(events, assignment, kind, known_before, rules)
    start = _starts(events, kind, rules)
    begins, doubtful = _local_cuts(assignment, rows, start & ~assignment.has_case)
    journeys = Groups.where(begins)
    doubtful |= _beyond(journeys, rows) & ~cases.begins
    doubtful |= _new_needs(events, assignment, journeys, rows, needs, start & assignment.has_case)
    doubtful |= begins & ~cases.begins & ~_one_type(assignment)
    why = np.where(start & ~assignment.has_case, START, 0)
    shown_at = np.where(why == START, rows.time, FAR)
    if doubtful.any():
        fold = Fold(events, assignment, needs, rules)
        for case in np.unique(cases.ids[doubtful]):
            first, last = int(cases.starts[case]), int(cases.lasts[case])
            begins[first : last + 1] = False
            for row, reason, time in fold.split_case(first, last + 1):
                begins[row], why[row], shown_at[row] = True, reason, time
    journeys = Groups.where(begins)
    kind, _ = _running(journeys, assignment.kind)
    return _deadlines(
        journeys, assignment, _rows(events, assignment, kind, kind, rules), why, shown_at, kind
    )


def _running(journeys: Groups, kind: Categorical) -> tuple[Categorical, Categorical]:
    """Return the first known type of the journey, up to each row and before it."""
    since = journeys.broadcast(journeys.first_row(kind.known))
    row = np.arange(journeys.n)
    first_type = pick(kind.codes, since, NULL)
    at = np.where((since >= 0) & (row >= since), first_type, NULL)
    before = np.where((since >= 0) & (row > since), first_type, NULL)
    return kind.recode(at), kind.recode(before)


def _one_type(assignment: CaseAssignment) -> Bools:
    """Return the rows of cases whose events have all one type, or none."""
    codes, segments = assignment.kind.codes, assignment.segments
    if not len(codes):
        return np.zeros(0, dtype=bool)
    same: Bools = segments.broadcast(segments.min(codes) == segments.max(codes))
    return same


def _rows(
    events: Events, assignment: CaseAssignment, kind: Categorical, known: Categorical, rules: Rules
) -> _Rows:
    # The type known with an event decides whether it is an end; the type known before it, how long
    # the deadline runs.
    end, weak = (
        event_flags.is_end(events, kind, rules),
        event_flags.is_weak_end(events, kind, rules),
    )
    mapped = ~np.isnan(event_flags.outcome01(events, kind, rules))
    outbound = events.is_one("direction", "outbound")
    gap = event_flags.by_type(known, rules, lambda of: of.gap)
    if assignment.has_case.any():
        of_case = event_flags.by_type(known, rules, lambda of: of.case_gap)
        gap = np.where(assignment.has_case, of_case, gap)
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
    """Return the rows with a start activity of their type."""
    out = np.zeros(events.n, dtype=bool)
    for code, name in ((NULL, None), *enumerate(kind.names.to_pylist())):
        wanted = rules.type_of(name).start_activities
        if wanted:
            out |= (kind.codes == code) & events.is_one("activity", *wanted)
    return out


def _local_cuts(assignment: CaseAssignment, rows: _Rows, start: Bools) -> tuple[Bools, Bools]:
    """Return the splits by start rule, end rule and silence, and the rows where these are unsure.

    Caps and needs are left out.
    """
    cases = assignment.segments
    time, inside = rows.time, ~cases.begins
    start = start & inside
    settled = cases.last_row_before(rows.settles | start)
    outward = cases.last_row_before(rows.weak & rows.outbound)
    ended, by = rows.ended(settled, outward, cases.last_row_before(rows.goes_on))
    over = inside & ended & (time - pick(time, by, 0) > rows.window)
    # After the first event beyond the deadline a new journey has begun, and the end is behind it.
    behind = ended & (cases.last_row_before(over) > by)
    silent = inside & (~ended | behind) & (time - cases.before(time, 0) > rows.gap)
    # An outbound bad end keeps a good end of the same journey, not one of an earlier journey.
    unsure = (outward > settled) & pick(rows.end, settled, False)
    return cases.begins | start | (over & ~behind) | silent, unsure


def _beyond(journeys: Groups, rows: _Rows) -> Bools:
    """Return the events after the cap of their journey."""
    first = journeys.broadcast(rows.time[journeys.starts])
    return np.asarray(rows.time - first > rows.cap)


def _new_needs(
    events: Events,
    assignment: CaseAssignment,
    journeys: Groups,
    rows: _Rows,
    needs: Needs,
    start: Bools,
) -> Bools:
    """Return the events after an end of their journey that may begin a new one.

    They may state a new need, or are a start activity in a logged case.
    """
    first_end = journeys.first_row(rows.end | rows.weak)
    after = rows.time > journeys.broadcast(pick(rows.time, first_end, FAR))
    if not after.any():
        return after
    sold = events.is_one("outcome", "sold")
    again = sold & (journeys.last_row_before(sold) >= 0)
    return after & (start | (rows.goes_on & (again | needs.changes(journeys))))


def _deadlines(
    journeys: Groups,
    assignment: CaseAssignment,
    rows: _Rows,
    why: Ints,
    shown_at: Ints,
    kind: Categorical,
) -> JourneyBounds:
    """Return the deadline of each journey, and its reason, as known at its last event."""
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
    case_last = assignment.segments.lasts[assignment.segments.ids[last]]
    next_row = np.where(following <= case_last, following, NULL)
    at, reason = pick(shown_at, next_row, FAR), pick(why, next_row, 0)
    by_start, by_need = (
        np.where(reason == start_reason, at, FAR) for start_reason in (START, NEED)
    )
    # Ties: the next journey first, as the deadline has not passed yet; then the cap.
    options = np.stack([by_start, by_need, by_cap, by_end, silent])
    place = np.argmin(options, axis=0)
    return JourneyBounds(journeys, options[place, np.arange(len(last))], place, kind)
