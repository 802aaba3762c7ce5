"""Steps: consecutive events at one touchpoint, by one owner and team, in one visit."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.perevent.event import Event
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.visit import added


@dataclass(slots=True, eq=False)
class Step:
    """A step of a journey; owner, silo and team are those of its first event."""

    id: str
    seq: int
    journey: Journey
    events: list[Event]
    intent: str | None = None
    outcome: str | None = None
    queue_s: int | None = None
    has_receiver: bool = False
    n_reasked: int = 0
    hazard: float = 0.0

    @property
    def first(self) -> Event:
        """Its first event."""
        return self.events[0]

    @property
    def last(self) -> Event:
        """Its last event."""
        return self.events[-1]

    @property
    def owner(self) -> str | None:
        """Owner of its first event."""
        return self.events[0].owner

    @property
    def team(self) -> str | None:
        """Team of its first event."""
        return self.events[0].place.team

    @property
    def touchpoint(self) -> str | None:
        """Where it took place."""
        return self.events[0].touchpoint

    @property
    def silo(self) -> str | None:
        """Silo of its touchpoint, else its owner."""
        return self.events[0].place.silo or self.owner

    @property
    def previous(self) -> Step | None:
        """The step before it in its journey."""
        return self.journey.steps[self.seq - 2] if self.seq > 1 else None

    def add(self, event: Event) -> None:
        """Take an event in."""
        self.events.append(event)
        self.sum_up(event)

    def sum_up(self, event: Event) -> None:
        """Note what the event says."""
        self.intent = self.intent or event.intent
        self.outcome = event.outcome or self.outcome
        self.queue_s = added(self.queue_s, event.wait_s)
        self.has_receiver = self.has_receiver or event.to_owner is not None
        event.step = self


def steps(journey: Journey) -> list[Step]:
    """Steps of a journey whose visits are known; its events know theirs."""
    found: list[Step] = []
    before: Event | None = None
    for event in journey.events:
        if before is None or _begins(before, event):
            seq = len(found) + 1
            step = Step(f"{journey.id}-{seq:04d}", seq, journey, [event])
            step.sum_up(event)
            found.append(step)
        else:
            found[-1].add(event)
        before = event
    return found


def _begins(before: Event, event: Event) -> bool:
    """Another place, team, visit or owner; owners by the table alone make no new step."""
    by_table = before.owner_from_table and event.owner_from_table
    return (
        before.visit is not event.visit
        or _place(before) != _place(event)
        or before.place.team != event.place.team
        or (before.owner != event.owner and not by_table)
    )


def _place(event: Event) -> tuple[str, str]:
    """Touchpoint; without one the activity (internal) or the channel stands in."""
    if event.touchpoint is not None:
        return "touchpoint", event.touchpoint
    return ("activity", event.activity) if event.is_internal else ("channel", event.channel)
