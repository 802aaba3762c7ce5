"""Sessions as contacts: channel, intent, outcome and actors, one row a session.

A contact is a session with an event that is not internal. The direction of its first such event is
the contact's. Channel and intent are the first logged, the outcome is the last logged
(docs/reference/journeys.md#contacts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema import contract


@dataclass(frozen=True)
class Contacts:
    """One row a session, sorted by journey and first event; rows are sessionised events."""

    journey: Ints
    first: Ints
    last: Ints
    is_contact: Bools
    is_message: Bools
    is_pushed: Bools
    is_by_machine: Bools  # opened by a bot or system of the company
    is_need_driven: Bools
    direction: Categorical
    family: Categorical
    channel: Categorical
    intent: Categorical
    outcome: Categorical
    has_human: Bools
    has_machine: Bools
    n_events: Ints

    @property
    def inbound(self) -> Bools:
        """Contacts that the customer began."""
        return self.is_contact & self.direction.of_names(("inbound",))

    def __len__(self) -> int:
        return len(self.first)


def contacts(sessionised: SessionisedEvents) -> Contacts:
    """Return the contacts of all journeys."""
    events, order, seg = sessionised.events, sessionised.session_order, sessionised.sessions

    def first_known(name: str) -> Categorical:
        column = events.coded(name)
        if not column.known.any():
            return Categorical.nulls(len(seg))
        return column.recode(seg.first_valid(column.codes[order]))

    outcome = events.coded("outcome")
    outward = ~events.is_one("direction", "internal")[order]
    opening = seg.first_row(outward)
    at = np.where(opening >= 0, opening, seg.starts)
    first = order[seg.starts]
    human = event_flags.is_human(events)
    machine = events.is_one("actor_type", "bot", "system")
    machine = machine | events.is_one("channel", *event_flags.SELF_SERVICE)
    return Contacts(
        journey=sessionised.session_journey,
        first=first,
        last=order[seg.lasts],
        is_contact=opening >= 0,
        is_message=event_flags.is_message(events)[first],
        is_pushed=event_flags.is_pushed(events)[order[at]],
        is_by_machine=event_flags.is_by_machine(events)[order[at]],
        is_need_driven=(opening >= 0) & event_flags.is_need_driven(events)[order[at]],
        direction=events.coded("direction").rows(order[at]),
        family=event_flags.family(events.coded("channel")).rows(first),
        channel=first_known("channel"),
        intent=first_known("intent"),
        outcome=outcome.recode(seg.last_valid(outcome.codes[order])),
        has_human=seg.any(human[order]),
        has_machine=seg.any(machine[order]),
        n_events=seg.lengths,
    )


def next_of(mask: Bools, journey: Ints) -> Ints:
    """Return, for each session in `mask`, the next one in `mask` of its journey, -1 if none."""
    rows = np.flatnonzero(mask)
    out = np.full(len(mask), NULL, dtype=np.int64)
    same = journey[rows[1:]] == journey[rows[:-1]] if len(rows) else np.zeros(0, bool)
    out[rows[:-1]] = np.where(same, rows[1:], NULL) if len(rows) else out[:0]
    return out


def earlier_same_intent(sessionised: SessionisedEvents, sessions: Contacts, window: int) -> Ints:
    """Return, for each inbound contact, the latest earlier one of its intent, -1 if none.

    Over all journeys of the customer, start to start at most `window` microseconds (inclusive).
    """
    inbound = np.flatnonzero(sessions.inbound & sessions.intent.known)
    customer = sessionised.events.coded(contract.CUSTOMER_KEY).codes[sessions.first[inbound]]
    intent, rank = sessions.intent.codes[inbound], sessionised.rank[sessions.first[inbound]]
    order = sorted_by(customer, intent, rank)
    rows = inbound[order]
    time = sessionised.events.time[sessions.first[rows]]
    same = np.zeros(len(rows), dtype=bool)
    same[1:] = _equal_to_before(customer[order]) & _equal_to_before(intent[order])
    same[1:] &= np.diff(time) <= window
    out = np.full(len(sessions), NULL, dtype=np.int64)
    out[rows[1:]] = np.where(same[1:], rows[:-1], NULL)
    return out


def _equal_to_before(x: Array) -> Bools:
    return np.asarray(x[1:] == x[:-1])


def intents_agree(sessions: Contacts, left: Ints, right: Ints) -> Bools:
    """Return whether two sessions have the same intent; an unknown intent agrees with all."""
    intent, other_intent = pick(sessions.intent.codes, left), pick(sessions.intent.codes, right)
    return np.asarray((intent == other_intent) | (intent == NULL) | (other_intent == NULL))
