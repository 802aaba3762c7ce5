"""Friction of work passed on: transfers, escalations, work that comes back unsolved."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece, step_of
from tests.bench.perevent.journey import Journey


def passed_on(journey: Journey) -> Iterator[Piece]:
    """Transfers and escalations: from their step to the next that is not pushed, else to none."""
    for event in journey.events:
        kind = _kind(event)
        if kind is not None:
            step = step_of(event)
            coming = (s for s in journey.steps[step.seq :] if not s.first.is_pushed)
            yield Piece(kind, next(coming, step), step, event, None, event.us)


def _kind(event: Event) -> str | None:
    """How the event passes the customer on; an escalated one is no transfer."""
    if event.outcome == "escalated":
        return "escalation"
    asks = event.to_owner is not None and not event.is_internal
    return "transfer" if asks or event.outcome == "transferred" else None


def ping_pongs(journey: Journey) -> Iterator[Piece]:
    """Hand-offs back to the owner before last."""
    for one in journey.handoffs:
        if one.is_ping_pong:
            event = one.receiver.first
            yield Piece("ping_pong", one.receiver, one.giver, event, one.giver.last, event.us)
