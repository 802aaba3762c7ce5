"""Visits: sessions of one channel family, and messages, each a contact of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.perevent.company import WINDOWS
from tests.bench.perevent.event import Event
from tests.bench.perevent.journey import Journey


@dataclass(slots=True, eq=False)
class Visit:
    """A session: `opening` is its first event that is not internal, None where it is no contact.

    `told` is its last event with an outcome, which is the visit's.
    """

    id: str
    seq: int
    events: list[Event]
    opening: Event | None = None
    intent: str | None = None
    outcome: str | None = None
    told: Event | None = None
    has_human: bool = False
    has_machine: bool = False
    talk_s: int | None = None
    wait_s: int | None = None
    n_sales: int = 0

    @property
    def first(self) -> Event:
        """Its first event."""
        return self.events[0]

    @property
    def last(self) -> Event:
        """Its last event."""
        return self.events[-1]

    @property
    def is_contact(self) -> bool:
        """Customer and company met."""
        return self.opening is not None

    @property
    def direction(self) -> str:
        """Who turned to whom."""
        return self.opening.direction if self.opening else "internal"

    @property
    def is_inbound(self) -> bool:
        """The customer turned to the company."""
        return self.direction == "inbound"

    @property
    def is_need_driven(self) -> bool:
        """A contact that the customer needed."""
        return self.opening is not None and self.opening.is_need_driven

    @property
    def is_personal(self) -> bool:
        """A contact that neither a machine sent nor the company pushed."""
        opening = self.opening
        return opening is not None and not (opening.is_sent_by_machine or opening.is_pushed)

    def sum_up(self) -> None:
        """Note what all its events say together."""
        for event in self.events:
            if self.opening is None and not event.is_internal:
                self.opening = event
            self.intent = self.intent or event.intent
            if event.outcome:
                self.outcome, self.told = event.outcome, event
            self.has_human = self.has_human or event.is_by_human
            self.has_machine = self.has_machine or event.is_by_machine
            self.talk_s = added(self.talk_s, event.talk_s)
            self.wait_s = added(self.wait_s, event.wait_s)
            self.n_sales += event.is_sales and not event.is_message


def added(total: int | None, more: int | None) -> int | None:
    """Sum of what is known; None while nothing is."""
    if more is None:
        return total
    return more if total is None else total + more


def visits(journey: Journey) -> list[Visit]:
    """Visits of a journey by their first event; its events know theirs."""
    found: list[Visit] = []
    latest: dict[str, Visit] = {}
    for event in journey.events:
        visit = None if event.is_message else latest.get(event.family)
        if visit is None or event.us - visit.last.us > WINDOWS.session_gap:
            seq = len(found) + 1
            visit = Visit(f"{journey.id}-s{seq}", seq, [event])
            found.append(visit)
            if not event.is_message:
                latest[event.family] = visit
        else:
            visit.events.append(event)
        event.visit = visit
    for visit in found:
        visit.sum_up()
    return found


def is_same_need(one: Visit, other: Visit) -> bool:
    """Same or unknown intent."""
    return one.intent is None or other.intent is None or one.intent == other.intent
