"""Assign each event to a case (docs/reference/journeys.md#case-assignment).

A case here is a logged case or, for events without one, all events of one journey type. The
assignment is local to a customer and independent of row order: an event without a case is compared
only with events that log one, never with another guess.
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

#: From the case of each event to the journey type that the table of cases gives it at its time.
OfCase = Callable[[Categorical], Categorical]


@dataclass(frozen=True)
class CaseAssignment:
    """Events sorted by case, those of one case in total order.

    `order` are rows of the customer order; the other columns follow it. `segments` are the cases.
    `kind` is the journey type of each event by itself: the one that the table of cases gives its
    case, else its own, else its touchpoint's, else that of another event of its case at the same
    instant.
    """

    order: Ints
    segments: Groups
    has_case: Bools
    case: Categorical
    kind: Categorical


def assign_cases(
    events: Events, customers: Groups, places: Categorical, of_case: OfCase, rules: Rules
) -> CaseAssignment:
    """Assign the events of customers, in total order, to cases (rules 1 to 4).

    Args:
        events: events in total order.
        customers: customers over these events.
        places: journey type of each event's touchpoint.
        of_case: journey type by case, as of each event's time.
        rules: gaps, windows and ends of each journey type.
    """
    case, logged = events.coded("case_id"), events.coded("journey_type").fallback(places)
    cases, type_by_case = case.codes.astype(np.int64), of_case(case)
    kind = type_by_case.fallback(resolved_types(events, customers, logged))
    if case.known.any() and not case.known.all():
        cases = _attach(events, customers, kind, cases, rules)
    has_case = cases != NULL
    if len(type_by_case.names):
        type_by_case = of_case(case.recode(cases))
    typed = type_by_case.fallback(logged)
    width = max(len(case.names), len(typed.names) + 1) + 1
    type_code = np.where(typed.of_names(("other",)), NULL, typed.codes.astype(np.int64))
    key = (customers.ids * 2 + has_case) * width + np.where(has_case, cases, type_code + 1)
    order = sorted_by(key)
    segments, typed = Groups.of(key[order]), typed.rows(order)
    if (has_case[order] & ~typed.known).any():
        typed = _first_known(Groups.of(key[order], events.time[order]), typed)
    return CaseAssignment(order, segments, has_case[order], case.recode(cases[order]), typed)


def resolved_types(events: Events, customers: Groups, own: Categorical) -> Categorical:
    """Return the journey type by which each event is matched to a case.

    It is the logged type, else that of its case so far, else its touchpoint's. `own` holds the
    first and the last of these. Events of one instant have the same type.
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
    """Replace null types by the first known type of the same instant."""
    first = instants.broadcast(instants.first_valid(kind.codes))
    return kind.recode(np.where(kind.known, kind.codes, first))


def _attach(events: Events, customers: Groups, kind: Categorical, case: Ints, rules: Rules) -> Ints:
    """Return the case of each event: logged, else that of the nearest case event within reach.

    Rules 3 and 4.
    """
    reach = _Reach.of(events, customers, kind, case, rules)
    may_be = customers.broadcast(customers.any(case != NULL))
    unassigned = np.flatnonzero((case == NULL) & may_be)
    # Events of one instant get the same answer: each looks back from the last of them.
    instants = Groups.of(customers.ids, events.time)
    instant = instants.lasts[instants.ids]
    width = len(kind.names) + 1
    by_type = customers.ids * width + kind.codes + 1
    typed = kind.codes[unassigned] != NULL
    out = case.copy()
    for rows, group in ((unassigned[typed], by_type), (unassigned[~typed], customers.ids)):
        nearest = _nearest(events, rows, instant, group, reach)
        out[rows] = np.where(nearest >= 0, case[nearest], NULL)
    return out


def _nearest(events: Events, rows: Ints, instant: Ints, group: Ints, reach: _Reach) -> Ints:
    """Return the case event for each row, -1 for none.

    Tried in this order: same correlation, same channel family within `NEAR_IN_FAMILY`, earlier,
    later. Earlier includes the event's own instant. Company-driven messages match no later event.
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

    def back(of: Candidates, queries: Ints, keys: Ints, within: Within = reach.before) -> Ints:
        return of.earlier(instant[queries], keys[queries], within, inclusive=True)

    def ahead(of: Candidates, queries: Ints, keys: Ints, within: Within = reach.after) -> Ints:
        out, free = np.full(len(queries), NULL), looks_ahead[queries]
        out[free] = of.later(instant[queries[free]], keys[queries[free]], within)
        return out

    def search(codes: Ints, known: Bools) -> tuple[Candidates, Ints, Ints]:
        keys = group * (int(codes.max(initial=0)) + 2) + codes + 1
        with_key = cases[known[cases]]
        return Candidates.of(with_key, keys[with_key], n), rows[known[rows]], keys

    nearest = np.full(n, NULL, dtype=np.int64)
    by_correlation, queries, keys = search(correlation.codes.astype(np.int64), correlation.known)
    nearest[queries] = back(by_correlation, queries, keys)
    queries = queries[nearest[queries] == NULL]
    nearest[queries] = ahead(by_correlation, queries, keys)
    any_row = np.ones(n, dtype=bool)
    in_family, queries, keys = search(family.codes.astype(np.int64), any_row)
    queries = queries[nearest[queries] == NULL]
    before = back(in_family, queries, keys, near_before)
    after = ahead(in_family, queries, keys, near_after)
    sooner = time[after] - time[queries] < time[queries] - time[before]
    sooner = (after >= 0) & ((before < 0) | sooner)
    nearest[queries] = np.where(sooner, after, before)
    anywhere = Candidates.of(cases, group[cases], n)
    for look in (back, ahead):
        queries = rows[nearest[rows] == NULL]
        nearest[queries] = look(anywhere, queries, group)
    return nearest[rows]


@dataclass(frozen=True)
class _Reach:
    """Reach of each case event: its type's gap, or the window after an end of its case."""

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

    def after(self, query: Ints, candidate: Ints) -> Bools:
        """Return whether a later case event is within reach."""
        return self.time[candidate] - self.time[query] <= self.reach[candidate]

    def before(self, query: Ints, candidate: Ints) -> Bools:
        """Return whether an earlier case event, and the last end of its case, are within reach."""
        near = self.time[query] - self.time[candidate] <= self.reach[candidate]
        ended = self.ends.earlier(query, self.case_key[candidate], _always, inclusive=True)
        fresh = (ended < 0) | (self.time[query] - self.time[ended] <= self.window[ended])
        return near & fresh


def _always(query: Ints, candidate: Ints) -> Bools:
    return np.ones(len(candidate), dtype=bool)
