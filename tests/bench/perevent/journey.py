"""Journeys: a customer's threads, cut by silence, end and cap."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rejse.transforms.rules import JourneyType
from tests.bench.perevent.event import Event

if TYPE_CHECKING:
    from tests.bench.perevent.evidence import Piece
    from tests.bench.perevent.fields import Fields, Request
    from tests.bench.perevent.handoffs import Ask, Handoff
    from tests.bench.perevent.promises import Promise
    from tests.bench.perevent.step import Step
    from tests.bench.perevent.visit import Visit

ID_DIGITS = 16


@dataclass(slots=True, eq=False)
class Journey:
    """A journey and what was found in it, in the order in which it is filled.

    After its `deadline` nothing belongs to it any more; `close_reason` is None while it is open.
    """

    customer: str
    kind: JourneyType
    events: list[Event]
    id: str = ""
    deadline: int = 0
    close_reason: str | None = None
    visits: list[Visit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    fields: Fields | None = None
    requests: list[Request] = field(default_factory=list)
    handoffs: list[Handoff] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    n_repeats: int = 0
    pieces: list[Piece] = field(default_factory=list)
    hazard: float = 0.0
    is_final: bool = False

    @classmethod
    def of(cls, customer: str, kind: JourneyType, events: list[Event]) -> Journey:
        """A journey of these events, which then know their place and the end before them."""
        end = None
        for n, event in enumerate(events):
            event.n, event.last_end = n, end
            if event.is_end:
                end = event
        parts = (customer, "none", kind.name, "events", events[0].id)
        digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
        return cls(customer, kind, events, digest[:ID_DIGITS])

    def close(self, passed: int) -> None:
        """Find its deadline, and whether that has passed."""
        events, kind = self.events, self.kind
        settled = next((e for e in reversed(events) if e.is_end or e.is_judgement), None)
        ended = settled is not None and settled.is_end
        by_cap = events[0].us + kind.cap
        by_rule = settled.us + kind.reopen_window if settled and ended else events[-1].us + kind.gap
        self.deadline = min(by_cap, by_rule)
        if self.deadline < passed:
            self.close_reason = "cap" if by_cap <= by_rule else "end rule" if ended else "silence"


def journeys(customer: str, events: Iterable[Event]) -> list[Journey]:
    """Journeys of a customer's events, which come in total order; threads are their types."""
    threads: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        threads[event.kind.name].append(event)
    return [
        Journey.of(customer, thread[0].kind, piece)
        for thread in threads.values()
        for piece in cut(thread)
    ]


def cut(thread: list[Event]) -> Iterator[list[Event]]:
    """Pieces of a thread without a case: a fold over the total order."""
    kind, piece = thread[0].kind, [thread[0]]
    ended = thread[0].us if thread[0].is_end else None
    for event in thread[1:]:
        quiet = piece[-1].us + kind.gap if ended is None else ended + kind.reopen_window
        if event.us > min(quiet, piece[0].us + kind.cap):
            yield piece
            piece, ended = [], None
        piece.append(event)
        if event.is_end:
            ended = event.us
        elif event.is_judgement:
            ended = None
    yield piece
