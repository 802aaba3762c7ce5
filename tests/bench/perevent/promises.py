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
    end: int  # last moment at which an event could still change it


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
    due, closing, n_moves = event.promise["due_time"], None, 0
    last = event.us
    end = (last if due is None else due) + WINDOWS.promise_give_up
    for word in later:
        if word.us > end or not word.promise:
            continue
        said = word.promise["due_time"]
        if _op(word) in ("delivered", "cancelled"):
            last, closing = word.us, closing or word
        elif _op(word) in ("moved", "made"):
            last, n_moves = word.us, n_moves + 1
            if said is not None and closing is None and (due is None or word.us <= due):
                due, end = said, said + WINDOWS.promise_give_up
    delivered = closing if closing and _op(closing) == "delivered" else None
    status = _open(due, passed) if closing is None else _closed(due, closing)
    kind = event.promise["kind"]
    return Promise(name, kind, journey, event, due, delivered, status, n_moves, max(end, last))


def _op(event: Event) -> str | None:
    return event.promise["op"] if event.promise else None


def _closed(due: int | None, closing: Event) -> str:
    in_time = due is None or closing.us <= due
    if _op(closing) == "cancelled":
        return "cancelled" if in_time and closing.actor_type == "customer" else "broken"
    return "kept" if in_time else "late"


def _open(due: int | None, passed: int) -> str:
    if due is None or due >= passed:
        return "open"
    return "broken" if due + WINDOWS.promise_give_up < passed else "late"
