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
    """Promises made and moved; those only delivered are orphans."""
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
    moves = [one for one in later if _op(one) in ("moved", "made")]
    closing = next((e for e in later if _op(e) in ("delivered", "cancelled")), None)
    due = _due(event, [one for one in moves if closing is None or one.order < closing.order])
    delivered = closing if closing and _op(closing) == "delivered" else None
    status = _open(due, passed) if closing is None else _closed(due, closing)
    kind = event.promise["kind"]
    return Promise(name, kind, journey, event, due, delivered, status, len(moves))


def _due(made: Event, moves: list[Event]) -> int | None:
    """Due time in force: a move counts only if made at or before it."""
    due: int | None = None
    for event in (made, *moves):
        said = event.promise["due_time"] if event.promise else None
        if said is not None and (due is None or event.us <= due):
            due = said
    return due


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
