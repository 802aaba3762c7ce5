"""Promises to a customer and their fate, over all journeys."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tests.bench.perevent.company import WINDOWS
from tests.bench.perevent.event import Event
from tests.bench.perevent.journey import Journey

Told = tuple[Event, Journey]


@dataclass(slots=True, eq=False)
class Promise:
    """A promise; `made` is the event that made it, `delivered` the one that kept it."""

    id: str
    kind: str | None
    journey: Journey
    made: Event
    due: int | None
    delivered: Event | None
    status: str
    n_moves: int


def promises(journeys: list[Journey], passed: int) -> list[Promise]:
    """Promises made; those only delivered are orphans. Raises ValueError where one is moved."""
    said: dict[str, list[Told]] = defaultdict(list)
    for journey in journeys:
        for event in journey.events:
            if event.promise:
                said[event.promise["id"]].append((event, journey))
    found = []
    for name, events in said.items():
        events.sort(key=lambda told: told[0].order)
        start = next((i for i, (e, _) in enumerate(events) if _op(e) == "made"), None)
        if start is not None:
            found.append(_judged(name, events[start], [e for e, _ in events[start + 1 :]], passed))
    return found


def _judged(name: str, made: Told, later: list[Event], passed: int) -> Promise:
    """The promise, by what the later events do to it."""
    event, journey = made
    assert event.promise is not None
    ops = [_op(one) for one in later]
    if "moved" in ops:
        raise ValueError(f"promise {name}: expected none that is moved, came {ops}")
    closing = next((e for e in later if _op(e) in ("delivered", "cancelled")), None)
    due = event.promise["due_time"]
    delivered = closing if closing and _op(closing) == "delivered" else None
    status = _open(due, passed) if closing is None else _closed(due, closing)
    kind, n_moves = event.promise["kind"], ops.count("made")
    return Promise(name, kind, journey, event, due, delivered, status, n_moves)


def _op(event: Event) -> str | None:
    return event.promise["op"] if event.promise else None


def _closed(due: int | None, closing: Event) -> str:
    in_time = due is None or closing.us <= due
    if _op(closing) == "cancelled":
        return "cancelled" if in_time and closing.actor_type == "customer" else "broken"
    if due is None or in_time:
        return "kept"
    return "late" if closing.us <= due + WINDOWS.promise_give_up else "broken"


def _open(due: int | None, passed: int) -> str:
    if due is None or due >= passed:
        return "open"
    return "broken" if due + WINDOWS.promise_give_up < passed else "late"
