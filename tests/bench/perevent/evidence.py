"""Pieces of evidence of friction, ranked in their step, with hazards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from rejse.transforms.rules import WEIGHTS
from tests.bench.perevent.event import Event
from tests.bench.perevent.step import Step
from tests.bench.perevent.visit import Visit

NODES = (
    "customer_wait", "promise_broken", "reopened", "dead_end", "abandonment", "internal_wait",
    "rework", "upsell_in_problem", "over_pressure",
)  # fmt: skip
LIGHTER, HEAVIER, HEAVIEST = 0.5, 1.5, 0.95
DECIMALS = 12


@dataclass(slots=True, eq=False)
class Piece:
    """A piece of evidence: `event` proves it, `earlier` what it stands against."""

    kind: str
    step: Step
    previous: Step | None
    event: Event
    earlier: Event | None
    us: int
    raw: float = 1.0
    expected: float | None = None
    intensity: float = 1.0
    confidence: float = 1.0
    minutes: float | None = None
    basis: int = 0
    detail: str | None = None
    weight: float = 0.0
    severity: float = 0.0
    rank: int = 0
    number: int = 1
    hazard: float = 0.0
    hazard_lo: float = 0.0
    hazard_hi: float = 0.0

    def __post_init__(self) -> None:
        self.weight = self.weight or WEIGHTS[self.kind]
        self.severity = self._severity(self.weight)

    def _severity(self, weight: float) -> float:
        return round(weight * self.intensity * self.confidence, DECIMALS)

    @property
    def locus(self) -> str:
        """Whether it lies in a step or between two."""
        return "node" if self.kind in NODES else "edge"

    @property
    def order(self) -> tuple[float, str, int, int, bool, str]:
        """By falling severity; ties by kind and by what came first."""
        detail = self.detail
        return -self.severity, self.kind, self.us, self.event.n, detail is None, detail or ""

    def place(self, rank: int, number: int) -> None:
        """Take its rank in the step: each counts half of the one before."""
        self.rank, self.number = rank, number
        self.hazard = _hazard(self.severity, rank)
        self.hazard_lo = _hazard(self._severity(LIGHTER * self.weight), rank)
        self.hazard_hi = _hazard(self._severity(min(HEAVIER * self.weight, HEAVIEST)), rank)


def between(kind: str, one: Visit, other: Visit, confidence: float = 1.0) -> Piece:
    """From where the earlier contact stood when the later one began: the two may overlap."""
    first, last = other.first, one.last
    if last.order > first.order:
        last = next(event for event in reversed(one.events) if event.order < first.order)
    return Piece(kind, step_of(first), step_of(last), first, last, first.us, confidence=confidence)


def inside(
    kind: str, event: Event, raw: float = 1.0, expected: float | None = None,
    intensity: float = 1.0,
) -> Piece:  # fmt: skip
    """In the step of the event that proves it."""
    step = step_of(event)
    return Piece(kind, step, None, event, None, event.us, raw, expected, intensity)


def step_of(event: Event) -> Step:
    """Its step, which every event of a story has."""
    assert event.step is not None
    return event.step


def _hazard(severity: float, rank: int) -> float:
    return -math.log1p(-severity) / float(2**rank)


def rank(pieces: list[Piece]) -> list[Piece]:
    """Pieces that weigh something, in order of step and rank; steps sum their hazards up."""
    heavy = [piece for piece in pieces if piece.severity > 0]
    heavy.sort(key=lambda piece: (piece.step.id, piece.order))
    for _, of_step in groupby(heavy, lambda piece: piece.step.id):
        n_of: dict[str, int] = {}
        for place, piece in enumerate(of_step):
            n_of[piece.kind] = n_of.get(piece.kind, 0) + 1
            piece.place(place, n_of[piece.kind])
            piece.step.hazard += piece.hazard
            piece.step.journey.pieces.append(piece)
    return heavy
