"""Cutting threads into journeys, and when each of them closes.

The cut is a fold over the total order: a deadline runs from the journey's last event, its end or
its first event, and an event after the deadline begins a new journey. Nothing but the cap looks
further back than the last end, so all threads are cut at once; only threads that meet their cap
are folded one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms import facts
from rejse.transforms.arrays import NULL, Bools, Ints
from rejse.transforms.as_of import FAR
from rejse.transforms.events import Coded, Events
from rejse.transforms.rules import Rules
from rejse.transforms.segments import Segments, pick
from rejse.transforms.threads import Threads

REASONS = ("start rule", "cap", "end rule", "silence")


@dataclass(frozen=True)
class Cut:
    """Journeys of sorted threads: begin of each, deadline (microseconds) and what sets it."""

    journeys: Segments
    deadline: Ints
    reason: Ints  # place in REASONS


@dataclass(frozen=True)
class _Rows:
    """What the fold reads of each event, in thread order."""

    time: Ints
    end: Bools  # the event is an end
    takes_away: Bools  # a mapped outcome that is no end takes an end away
    start: Bools  # start activity in a case-less thread
    caseless: Bools
    gap: Ints
    window: Ints
    cap: Ints

    @property
    def settles(self) -> Bools:
        """Rows after which it is known whether the journey is ended."""
        return self.end | self.takes_away | self.start


def cut(events: Events, threads: Threads, rules: Rules) -> Cut:
    """Cut threads (rule 5) whose events stand in thread order."""
    before = _rows(events, threads, threads.known_before, rules)
    begins = _local_cuts(threads.segments, before)
    journeys = Segments.where(begins | threads.segments.begins)
    first = journeys.spread(before.time[journeys.starts])
    over = (before.time - first > before.cap) & ~threads.segments.begins
    for thread in np.unique(threads.segments.ids[over]):
        start = threads.segments.starts[thread]
        rows = slice(start, start + threads.segments.lengths[thread])
        begins[rows] = _fold(before, rows)
    journeys = Segments.where(begins | threads.segments.begins)
    return _deadlines(journeys, threads, _rows(events, threads, threads.kind, rules))


def _rows(events: Events, threads: Threads, known: Coded, rules: Rules) -> _Rows:
    # Whether an event is an end is judged by the type known with it; how long the deadline runs,
    # by the type known when it was set.
    end = facts.is_end(events, threads.kind, rules)
    mapped = ~np.isnan(facts.outcome01(events, threads.kind, rules))
    inside = mapped & ~end & ~events.is_one("direction", "outbound")
    return _Rows(
        events.time,
        end,
        inside,
        _starts(events, threads, rules) & ~threads.segments.begins,
        ~threads.has_case,
        facts.by_type(known, rules, lambda of: of.gap),
        facts.by_type(known, rules, lambda of: of.reopen_window),
        facts.by_type(known, rules, lambda of: of.cap),
    )


def _starts(events: Events, threads: Threads, rules: Rules) -> Bools:
    """Start activities of the thread's type, in case-less threads."""
    out = np.zeros(events.n, dtype=bool)
    for code, name in enumerate(threads.kind.names.to_pylist()):
        wanted = rules.type_of(name).start_activities
        if wanted:
            out |= (threads.kind.codes == code) & events.is_one("activity", *wanted)
    if rules.type_of(None).start_activities:
        plain = threads.kind.codes == NULL
        out |= plain & events.is_one("activity", *rules.type_of(None).start_activities)
    return out & ~threads.has_case


def _local_cuts(threads: Segments, rows: _Rows) -> Bools:
    """Cuts by start rule, end rule and silence, as if there were no cap."""
    time, previous = rows.time, threads.before(rows.time, 0)
    inside = ~threads.begins
    settled = threads.last_row_before(rows.settles)
    ended = (settled >= 0) & pick(rows.end, settled, False)
    over = ended & (time - pick(time, settled, 0) > rows.window)
    # Once an event stands after the deadline, a new journey has begun and the end is behind it.
    behind = ended & (threads.last_row_before(over) > settled)
    silent = rows.caseless & (~ended | behind) & (time - previous > rows.gap)
    return inside & (rows.start | (over & ~behind) | silent)


def _fold(rows: _Rows, at: slice) -> Bools:
    """The rule itself, one thread, event by event: the reference for all cuts."""
    begins = np.zeros(at.stop - at.start, dtype=bool)
    first, last, end = int(rows.time[at.start]), int(rows.time[at.start]), FAR
    for i in range(at.start, at.stop):
        time = int(rows.time[i])
        deadline = first + int(rows.cap[i])
        if end != FAR:
            deadline = min(deadline, end + int(rows.window[i]))
        elif rows.caseless[i]:
            deadline = min(deadline, last + int(rows.gap[i]))
        if i == at.start or time > deadline or rows.start[i]:
            begins[i - at.start], first, end = True, time, FAR
        if rows.end[i]:
            end = time
        elif rows.takes_away[i]:
            end = FAR
        last = time
    return begins


def _deadlines(journeys: Segments, threads: Threads, rows: _Rows) -> Cut:
    """Deadline and reason of each journey from what is known at its last event."""
    last = journeys.lasts
    settled = journeys.last_row(rows.end | rows.takes_away)
    ended = (settled >= 0) & pick(rows.end, settled, False)
    by_cap = rows.time[journeys.starts] + rows.cap[last]
    by_end = np.where(ended, pick(rows.time, settled, 0) + rows.window[last], FAR)
    silent = np.where(rows.caseless[last] & ~ended, rows.time[last] + rows.gap[last], FAR)
    following = np.append(journeys.starts[1:], journeys.n)
    thread_last = threads.segments.lasts[threads.segments.ids[last]]
    next_row = np.where(following <= thread_last, following, NULL)
    by_start = np.where(pick(rows.start, next_row, False), pick(rows.time, next_row), FAR)
    # At a tie the deadline has not passed yet, so the start rule comes first; then the cap.
    options = np.stack([by_start, by_cap, by_end, silent])
    reason = np.argmin(options, axis=0)
    return Cut(journeys, options[reason, np.arange(len(last))], reason)
