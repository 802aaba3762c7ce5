"""What a score would be without something: the arithmetic of the score, no causal claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import log1p


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence of a journey: a row of `friction_evidence` without its keys."""

    evidence_id: str
    step_id: str
    prev_step_id: str | None
    kind: str
    locus: str
    owner: str | None
    owner_to: str | None
    occurred_at: datetime
    basis: str
    raw_value: float
    unit: str | None
    expected_value: float | None
    base_weight: float
    intensity: float
    confidence: float
    severity: float
    kind_rank: int
    hazard: float
    share: float
    minutes_customer: float | None
    event_ids: tuple[str, ...]
    detail: str | None


@dataclass(frozen=True)
class Score:
    """Hazard H, friction F (0..100), delivery D (0..1), outcome O (0..1) and health (0..100)."""

    hazard: float
    friction_score: float
    delivery01: float
    outcome01: float | None
    health_ops: float | None


@dataclass(frozen=True)
class WhatIf:
    """A score under a condition, and what it would gain against the real one."""

    condition: str
    step_id: str | None
    score: Score
    friction_less: float
    health_more: float | None


def hazards(evidence: Iterable[Evidence]) -> dict[str, float]:
    """Hazard of each piece, by evidence id: halved with each rank inside its incident.

    An incident is a step with the edge into it; ranks fall by severity, ties by kind, time, id.
    """
    incidents: dict[str, list[Evidence]] = {}
    for piece in evidence:
        incidents.setdefault(piece.step_id, []).append(piece)
    found = {}
    for pieces in incidents.values():
        ordered = sorted(pieces, key=lambda e: (-e.severity, e.kind, e.occurred_at, e.evidence_id))
        for rank, piece in enumerate(ordered):
            found[piece.evidence_id] = -(0.5**rank) * log1p(-piece.severity)
    return found


def score(evidence: Iterable[Evidence], outcome01: float | None) -> Score:
    """Score of a journey with this evidence and this outcome (null where it is not known)."""
    import numpy as np

    from rejse.transforms.metrics import health

    hazard = float(sum(hazards(evidence).values()))
    delivery = health.delivery_of(np.array([hazard]))
    outcome = np.array([np.nan if outcome01 is None else outcome01])
    well = float(health.health_of(outcome=outcome, delivery=delivery)[0])
    return Score(
        hazard=hazard,
        friction_score=float(health.friction_of(np.array([hazard]))[0]),
        delivery01=float(delivery[0]),
        outcome01=outcome01,
        health_ops=None if np.isnan(well) else well,
    )


def what_ifs(evidence: tuple[Evidence, ...], outcome01: float | None) -> tuple[WhatIf, ...]:
    """Score without each incident, best gain first; then as if all context had been passed."""
    real = score(evidence, outcome01)
    steps = dict.fromkeys(piece.step_id for piece in evidence)
    found = [
        _against(real, "without this incident", step, [e for e in evidence if e.step_id != step])
        for step in steps
    ]
    found.sort(key=lambda w: (-w.friction_less, w.step_id or ""))
    rest = [piece for piece in evidence if piece.kind not in CONTEXT]
    if len(rest) < len(evidence):
        found.append(_against(real, "with the context passed", None, rest))
    return tuple(found)


#: Kinds that vanish where what is known goes along with the customer.
CONTEXT = frozenset({"handoff_without_context", "reasked_info"})


def _against(real: Score, condition: str, step_id: str | None, left: list[Evidence]) -> WhatIf:
    then = score(left, real.outcome01)
    more = None
    if then.health_ops is not None and real.health_ops is not None:
        more = then.health_ops - real.health_ops
    return WhatIf(condition, step_id, then, real.friction_score - then.friction_score, more)
