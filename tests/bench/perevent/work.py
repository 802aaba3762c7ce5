"""Friction of the inner side: work that lies waiting, work done again."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rejse.transforms.rules import SECOND
from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece, inside
from tests.bench.perevent.journey import Journey

REWORK_SCALE = 3


def internal_waits(journey: Journey) -> Iterator[Piece]:
    """Hand-offs taken up after they were due; this log has no queued work."""
    for ask in journey.asks:
        if ask.received is not None and ask.received.us > ask.due:
            usual = (ask.due - ask.event.us) / SECOND
            wait = (ask.received.us - ask.event.us) / SECOND
            excess = (wait - usual) / max(usual, 1.0)
            piece = inside("internal_wait", ask.received, excess, usual, -math.expm1(-excess))
            piece.earlier = ask.event
            yield piece


def rework(journey: Journey) -> Iterator[Piece]:
    """Internal activities done again: one piece a journey, where that first happened."""
    done: dict[str, Event] = {}
    again: list[tuple[Event, Event]] = []
    for event in journey.events:
        if event.is_internal:
            before = done.get(event.activity)
            if before is not None:
                again.append((before, event))
            done[event.activity] = event
    if again:
        (before, event), times = again[0], len(again)
        piece = inside("rework", event, float(times), intensity=-math.expm1(-times / REWORK_SCALE))
        piece.earlier = before
        yield piece
