"""Threads: which case, or which case-less strand of one type, an event belongs to (2-journeys).

Local to a customer and free of order: an event without a case looks only at events with one,
never at another guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms import facts
from rejse.transforms.arrays import NULL, Bools, Ints
from rejse.transforms.events import Coded, Events
from rejse.transforms.nearest import Candidates
from rejse.transforms.order import sorted_by
from rejse.transforms.rules import MINUTE, Rules
from rejse.transforms.segments import Segments

NEAR_IN_FAMILY = 30 * MINUTE


@dataclass(frozen=True)
class Threads:
    """Events sorted by thread, each thread in total order.

    `order` are the rows of the customer order; the other columns follow it. `kind` is the thread's
    journey type as far as it is known at the event (running), `known_before` before the event.
    """

    order: Ints
    segments: Segments
    has_case: Bools
    case: Coded
    kind: Coded
    known_before: Coded


def threads(
    events: Events, customers: Segments, places: Coded, records: Coded, rules: Rules
) -> Threads:
    """Put each event of customers in total order into its thread (rules 1 to 4).

    `places` is the journey type of each event's touchpoint, `records` that which the table of
    cases gives its case at its time.
    """
    kind = records.fallback(resolved_types(events, customers, places))
    case = events.coded("case_id")
    cases = case.codes.astype(np.int64)
    if case.known.any() and not case.known.all():
        cases = _attach(events, customers, kind, cases, rules)
    has_case = cases != NULL
    width = max(len(case.names), len(kind.names) + 1) + 1
    typed = np.where(kind.of_names(("other",)), NULL, kind.codes.astype(np.int64))
    strand = np.where(has_case, cases, typed + 1)
    key = (customers.ids * 2 + has_case) * width + strand
    order = sorted_by(key)
    segments = Segments.of(key[order])
    running, before = _running(segments, kind.rows(order))
    return Threads(order, segments, has_case[order], case.recode(cases[order]), running, before)


def resolved_types(events: Events, customers: Segments, places: Coded) -> Coded:
    """Journey type of each event: its own, else its case's so far, else its touchpoint's."""
    own = events.coded("journey_type").fallback(places)
    case = events.coded("case_id")
    if not (case.known.any() and own.known.any()):
        return own
    logged = events.coded("journey_type")
    key = np.where(case.known, customers.ids * (len(case.names) + 1) + case.codes + 1, 0)
    order = sorted_by(key)
    running, _ = _running(Segments.of(key[order]), own.rows(order))
    codes = np.empty_like(own.codes)
    codes[order] = running.codes
    keep = ~case.known | logged.known
    return own.recode(np.where(keep, own.codes, codes))


def _running(segments: Segments, kind: Coded) -> tuple[Coded, Coded]:
    """First known type of the segment so far, at each row and before it."""
    first = segments.first_row(kind.known)
    since = segments.spread(first)
    row = np.arange(segments.n)
    found = np.where(since >= 0, kind.codes[since], NULL)
    at = np.where((since >= 0) & (row >= since), found, NULL)
    before = np.where((since >= 0) & (row > since), found, NULL)
    return kind.recode(at), kind.recode(before)


def _attach(events: Events, customers: Segments, kind: Coded, case: Ints, rules: Rules) -> Ints:
    """Case of each event: its own, or that of the nearest case event within reach (rules 3, 4)."""
    reach = _Reach.of(events, customers, kind, case, rules)
    sent_by_company = facts.is_message(events) & ~facts.is_need_driven(events)
    may_be = customers.spread(customers.any(case != NULL))
    asking = np.flatnonzero((case == NULL) & may_be)
    width = len(kind.names) + 1
    by_type = customers.ids * width + kind.codes + 1
    typed = kind.codes[asking] != NULL
    out = case.copy()
    for rows, group in ((asking[typed], by_type), (asking[~typed], customers.ids)):
        found = _nearest(events, rows, group, reach, sent_by_company)
        out[rows] = np.where(found >= 0, case[found], NULL)
    return out


def _nearest(events: Events, rows: Ints, group: Ints, reach: _Reach, earlier_only: Bools) -> Ints:
    """Case event for each row: same correlation, same family near by, earlier, later."""
    correlation = events.coded("correlationid")
    family = facts.family(events.coded("channel"))
    cases, n = reach.rows, events.n
    time = events.time

    def near_before(q: Ints, c: Ints) -> Bools:
        return reach.before(q, c) & (time[q] - time[c] <= NEAR_IN_FAMILY)

    def near_after(q: Ints, c: Ints) -> Bools:
        return reach.after(q, c) & (time[c] - time[q] <= NEAR_IN_FAMILY) & ~earlier_only[q]

    def after(q: Ints, c: Ints) -> Bools:
        return reach.after(q, c) & ~earlier_only[q]

    def search(codes: Ints, known: Bools) -> tuple[Candidates, Ints, Ints]:
        keys = group * (int(codes.max(initial=0)) + 2) + codes + 1
        held = cases[known[cases]]
        return Candidates.of(held, keys[held], n), rows[known[rows]], keys

    found = np.full(n, NULL, dtype=np.int64)
    by_thread, asking, keys = search(correlation.codes.astype(np.int64), correlation.known)
    found[asking] = by_thread.earlier(asking, keys[asking], reach.before)
    asking = asking[found[asking] == NULL]
    found[asking] = by_thread.later(asking, keys[asking], after)
    everyone = np.ones(n, dtype=bool)
    in_family, asking, keys = search(family.codes.astype(np.int64), everyone)
    asking = asking[found[asking] == NULL]
    back = in_family.earlier(asking, keys[asking], near_before)
    ahead = in_family.later(asking, keys[asking], near_after)
    sooner = (ahead >= 0) & ((back < 0) | (time[ahead] - time[asking] < time[asking] - time[back]))
    found[asking] = np.where(sooner, ahead, back)
    anywhere = Candidates.of(cases, group[cases], n)
    for look, within in ((anywhere.earlier, reach.before), (anywhere.later, after)):
        asking = rows[found[rows] == NULL]
        found[asking] = look(asking, group[asking], within)
    return found[rows]


@dataclass(frozen=True)
class _Reach:
    """How far a case event reaches: its type's gap, or the window after an end of its case."""

    rows: Ints
    time: Ints
    reach: Ints
    window: Ints
    case_key: Ints
    ends: Candidates

    @classmethod
    def of(
        cls, events: Events, customers: Segments, kind: Coded, case: Ints, rules: Rules
    ) -> _Reach:
        gap = facts.by_type(kind, rules, lambda of: of.gap)
        window = facts.by_type(kind, rules, lambda of: of.reopen_window)
        ends = facts.is_end(events, kind, rules) & (case != NULL)
        case_key = customers.ids * (int(case.max()) + 2) + case + 1
        end_rows = np.flatnonzero(ends)
        return cls(
            np.flatnonzero(case != NULL),
            events.time,
            np.where(ends, window, gap),
            window,
            case_key,
            Candidates.of(end_rows, case_key[end_rows], events.n),
        )

    def after(self, query: Ints, found: Ints) -> Bools:
        """Is a later case event near enough?"""
        return self.time[found] - self.time[query] <= self.reach[found]

    def before(self, query: Ints, found: Ints) -> Bools:
        """Is an earlier case event near enough, and its case's last end not out of reach?"""
        near = self.time[query] - self.time[found] <= self.reach[found]
        ended = self.ends.earlier(query, self.case_key[found], _always)
        fresh = (ended < 0) | (self.time[query] - self.time[ended] <= self.window[ended])
        return near & fresh


def _always(query: Ints, found: Ints) -> Bools:
    return np.ones(len(found), dtype=bool)
