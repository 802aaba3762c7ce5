"""Compute what a score would be without some evidence: arithmetic, no causal claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import fsum


@dataclass(frozen=True)
class Evidence:
    """A piece of evidence of a journey: a row of `friction_evidence` without its keys."""

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
    """A score under a condition, and its gain over the real one."""

    condition: str
    step_id: str | None
    score: Score
    friction_less: float
    health_more: float | None


def hazards(evidence: Iterable[Evidence]) -> dict[str, float]:
    """Return the hazard of each piece by evidence id, ranked in its incident as in the core."""
    import numpy as np

    from rejse.transforms.scoring.friction.score import rank_hazards

    pieces = sorted(evidence, key=lambda e: (e.kind, e.occurred_at, e.evidence_id))
    steps = {step_id: code for code, step_id in enumerate({e.step_id: 0 for e in pieces})}
    incident = np.array([steps[e.step_id] for e in pieces], dtype=np.int64)
    severity = np.array([e.severity for e in pieces], dtype=np.float64)
    ranked = rank_hazards(severity, incident, np.arange(len(pieces)))
    return {e.evidence_id: float(h) for e, h in zip(pieces, ranked.hazard, strict=True)}


def score(evidence: Iterable[Evidence], outcome01: float | None) -> Score:
    """Score a journey with this evidence and this outcome (null where it is not known)."""
    return _scores([fsum(hazards(evidence).values())], outcome01)[0]


def _scores(totals: list[float], outcome01: float | None) -> list[Score]:
    """Return the score at each total hazard H."""
    import numpy as np

    from rejse.transforms.scoring.metrics import health

    hazard = np.array(totals)
    friction, delivery = health.friction_of(hazard), health.delivery_of(hazard)
    outcome = np.full(len(totals), np.nan if outcome01 is None else outcome01)
    well = health.health_of(outcome=outcome, delivery=delivery)
    return [
        Score(h, float(f), float(d), outcome01, None if np.isnan(w) else float(w))
        for h, f, d, w in zip(totals, friction, delivery, well, strict=True)
    ]


#: Kinds that disappear where the known fields are passed on with the customer.
CONTEXT = frozenset({"handoff_without_context", "reasked_info", "info_conflict"})


def what_ifs(evidence: tuple[Evidence, ...], outcome01: float | None) -> tuple[WhatIf, ...]:
    """Score without each incident, best gain first; then as if all context had been passed.

    Removing an incident leaves the ranks inside the others; removing some of its evidence ranks the
    rest of an incident again.
    """
    by_piece = hazards(evidence)
    incidents: dict[str, list[float]] = {}
    for piece in evidence:
        incidents.setdefault(piece.step_id, []).append(by_piece[piece.evidence_id])
    whole = fsum(by_piece.values())
    rest = [piece for piece in evidence if piece.kind not in CONTEXT]
    left = [max(0.0, whole - fsum(hazard)) for hazard in incidents.values()]
    real, passed, *without = _scores([whole, fsum(hazards(rest).values()), *left], outcome01)
    conditions = [
        _against(real, "without this incident", step_id, then)
        for step_id, then in zip(incidents, without, strict=True)
    ]
    conditions.sort(key=lambda w: (-w.friction_less, w.step_id or ""))
    if len(rest) < len(evidence):
        conditions.append(_against(real, "with the context passed", None, passed))
    return tuple(conditions)


def _against(real: Score, condition: str, step_id: str | None, then: Score) -> WhatIf:
    more = None
    if then.health_ops is not None and real.health_ops is not None:
        more = then.health_ops - real.health_ops
    return WhatIf(condition, step_id, then, real.friction_score - then.friction_score, more)
