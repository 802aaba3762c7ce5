"""Threads: which case, or which case-less strand of one type, an event belongs to
(docs/reference/journeys.md#case-assignment).

Local to a customer and free of order: an event without a case looks only at events with one,
never at another guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.nearest_match import Candidates, Within
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.parameters import MINUTE, Rules

NEAR_IN_FAMILY = 30 * MINUTE


#: Journey type that the table of cases gives each event's case, one of them an event, at its time.
OfCase = Callable[[Categorical], Categorical]


@dataclass(frozen=True)
class Threads:
    """Events sorted by thread, each thread in total order.

    `order` are the rows of the customer order; the other columns follow it. `kind` is the journey
    type of each event by itself: the table of cases' for the case of its thread, else its own,
    else its touchpoint's, else that of another event of its thread at the same instant.
    """

    order: Ints
    segments: Groups
    has_case: Bools
    case: Categorical
    kind: Categorical


def threads(
    events: Events, customers: Groups, places: Categorical, of_case: OfCase, rules: Rules
) -> Threads:
    """Put each event of customers in total order into its thread (rules 1 to 4).

    `places` is the journey type of each event's touchpoint.
    """
    case, logged = events.coded("case_id"), events.coded("journey_type").fallback(places)
    cases, record = case.codes.astype(np.int64), of_case(case)
    kind = record.fallback(resolved_types(events, customers, logged))
    if case.known.any() and not case.known.all():
        cases = _attach(events, customers, kind, cases, rules)
    has_case = cases != NULL
    if len(record.names):
        record = of_case(case.recode(cases))
    typed = record.fallback(logged)
    width = max(len(case.names), len(typed.names) + 1) + 1
    strand = np.where(typed.of_names(("other",)), NULL, typed.codes.astype(np.int64))
    key = (customers.ids * 2 + has_case) * width + np.where(has_case, cases, strand + 1)
    order = sorted_by(key)
    segments, typed = Groups.of(key[order]), typed.rows(order)
    if (has_case[order] & ~typed.known).any():
        typed = _first_known(Groups.of(key[order], events.time[order]), typed)
    return Threads(order, segments, has_case[order], case.recode(cases[order]), typed)


def resolved_types(events: Events, customers: Groups, own: Categorical) -> Categorical:
    """Journey type by which an event finds its case: what it logs, else its case's so far, else
    its touchpoint's; `own` is the first and the last of these. Events of one instant are alike.
    """
    case = events.coded("case_id")
    if not (case.known.any() and own.known.any()):
        return own
    key = np.where(case.known, customers.ids * (len(case.names) + 1) + case.codes + 1, 0)
    order = sorted_by(key)
    segments, kind, time = Groups.of(key[order]), own.rows(order), events.time[order]
    since = segments.broadcast(segments.first_row(kind.known))
    codes = np.empty_like(own.codes)
    codes[order] = np.where((since >= 0) & (time >= time[since]), kind.codes[since], NULL)
    keep = ~case.known | events.coded("journey_type").known
    return own.recode(np.where(keep, own.codes, codes))


def _first_known(instants: Groups, kind: Categorical) -> Categorical:
    """The type of each row, where null the first known one of its instant."""
    first = instants.broadcast(instants.first_valid(kind.codes))
    return kind.recode(np.where(kind.known, kind.codes, first))


def _attach(events: Events, customers: Groups, kind: Categorical, case: Ints, rules: Rules) -> Ints:
    """Case of each event: its own, or that of the nearest case event within reach (rules 3, 4)."""
    reach = _Reach.of(events, customers, kind, case, rules)
    may_be = customers.broadcast(customers.any(case != NULL))
    asking = np.flatnonzero((case == NULL) & may_be)
    # Events of one instant ask alike: each looks back from the last of them.
    here = Groups.of(customers.ids, events.time)
    instant = here.lasts[here.ids]
    width = len(kind.names) + 1
    by_type = customers.ids * width + kind.codes + 1
    typed = kind.codes[asking] != NULL
    out = case.copy()
    for rows, group in ((asking[typed], by_type), (asking[~typed], customers.ids)):
        found = _nearest(events, rows, instant, group, reach)
        out[rows] = np.where(found >= 0, case[found], NULL)
    return out


def _nearest(events: Events, rows: Ints, instant: Ints, group: Ints, reach: _Reach) -> Ints:
    """Case event for each row: same correlation, same family near by, earlier, later.

    Earlier is at the event's instant or before it; messages that the company drives look for no
    later one.
    """
    correlation = events.coded("correlationid")
    family = event_flags.family(events.coded("channel"))
    looks_ahead = ~event_flags.is_company_driven(events)
    cases, n = reach.rows, events.n
    time = events.time

    def near_before(q: Ints, c: Ints) -> Bools:
        return reach.before(q, c) & (time[q] - time[c] <= NEAR_IN_FAMILY)

    def near_after(q: Ints, c: Ints) -> Bools:
        return reach.after(q, c) & (time[c] - time[q] <= NEAR_IN_FAMILY)

    def back(of: Candidates, asking: Ints, keys: Ints, within: Within = reach.before) -> Ints:
        return of.earlier(instant[asking], keys[asking], within, inclusive=True)

    def ahead(of: Candidates, asking: Ints, keys: Ints, within: Within = reach.after) -> Ints:
        out, free = np.full(len(asking), NULL), looks_ahead[asking]
        out[free] = of.later(instant[asking[free]], keys[asking[free]], within)
        return out

    def search(codes: Ints, known: Bools) -> tuple[Candidates, Ints, Ints]:
        keys = group * (int(codes.max(initial=0)) + 2) + codes + 1
        held = cases[known[cases]]
        return Candidates.of(held, keys[held], n), rows[known[rows]], keys

    found = np.full(n, NULL, dtype=np.int64)
    by_thread, asking, keys = search(correlation.codes.astype(np.int64), correlation.known)
    found[asking] = back(by_thread, asking, keys)
    asking = asking[found[asking] == NULL]
    found[asking] = ahead(by_thread, asking, keys)
    everyone = np.ones(n, dtype=bool)
    in_family, asking, keys = search(family.codes.astype(np.int64), everyone)
    asking = asking[found[asking] == NULL]
    before = back(in_family, asking, keys, near_before)
    after = ahead(in_family, asking, keys, near_after)
    sooner = time[after] - time[asking] < time[asking] - time[before]
    sooner = (after >= 0) & ((before < 0) | sooner)
    found[asking] = np.where(sooner, after, before)
    anywhere = Candidates.of(cases, group[cases], n)
    for look in (back, ahead):
        asking = rows[found[rows] == NULL]
        found[asking] = look(anywhere, asking, group)
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
        cls, events: Events, customers: Groups, kind: Categorical, case: Ints, rules: Rules
    ) -> _Reach:
        gap = event_flags.by_type(kind, rules, lambda of: of.gap)
        window = event_flags.by_type(kind, rules, lambda of: of.reopen_window)
        ends = event_flags.is_end(events, kind, rules) & (case != NULL)
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
        ended = self.ends.earlier(query, self.case_key[found], _always, inclusive=True)
        fresh = (ended < 0) | (self.time[query] - self.time[ended] <= self.window[ended])
        return near & fresh


def _always(query: Ints, found: Ints) -> Bools:
    return np.ones(len(found), dtype=bool)
