"""Metrics of friction (docs/reference/friction.md#friction-score)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Ints, Reals
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.friction.assess import ScoredJourneys
from rejse.transforms.scoring.friction.score import total
from rejse.transforms.scoring.metrics.health import friction_of


@metric(
    "journey",
    pa.int32(),
    label="Pieces of friction",
    unit="1",
    low=0,
    direction="lower_is_better",
    nullable=False,
)
def n_evidence(scored: ScoredJourneys) -> Ints:
    """Number of pieces of friction evidence."""
    return scored.n_evidence


@metric(
    "journey", pa.float64(), label="Friction hazard", unit="1", low=0, direction="lower_is_better"
)
def friction_hazard(scored: ScoredJourneys) -> Reals:
    """H, the sum of the hazards of the evidence; null below the coverage floor without evidence
    (docs/reference/friction.md#hazard).
    """
    return np.where(scored.is_scored, scored.hazard, np.nan)


@metric(
    "journey",
    pa.float64(),
    label="Friction",
    unit="points of 100",
    low=0,
    high=100,
    direction="lower_is_better",
)
def friction_score(scored: ScoredJourneys) -> Reals:
    """F = 100 * (1 - e^-H): one minus the chance that no step spoils the journey
    (docs/reference/friction.md#friction-score).
    """
    return np.where(scored.is_scored, friction_of(scored.hazard), np.nan)


@metric(
    "journey",
    pa.float64(),
    label="Friction at half weights",
    unit="points of 100",
    low=0,
    high=100,
    direction="lower_is_better",
)
def friction_score_lo(scored: ScoredJourneys) -> Reals:
    """Friction_score with all weights times .5 (docs/reference/friction.md#friction-score)."""
    return np.where(scored.is_scored, friction_of(scored.low), np.nan)


@metric(
    "journey",
    pa.float64(),
    label="Friction at one and a half weights",
    unit="points of 100",
    low=0,
    high=100,
    direction="lower_is_better",
)
def friction_score_hi(scored: ScoredJourneys) -> Reals:
    """Friction_score with all weights times 1.5, each at most .95
    (docs/reference/friction.md#friction-score).
    """
    return np.where(scored.is_scored, friction_of(scored.high), np.nan)


@metric(
    "journey",
    pa.float64(),
    label="Friction between steps",
    unit="1",
    low=0,
    high=1,
    direction="lower_is_better",
)
def friction_edge_share(scored: ScoredJourneys) -> Reals:
    """Hazard on edges / H: how much of the friction lies between steps; null without friction
    (docs/reference/friction.md#friction-score).
    """
    edges = total(scored.hazards.hazard * scored.is_edge, scored.journey, len(scored.hazard))
    share = np.divide(
        edges, scored.hazard, out=np.full(len(edges), np.nan), where=scored.hazard > 0
    )
    return np.asarray(np.minimum(share, 1.0))


@metric(
    "journey",
    pa.float64(),
    label="Evidence coverage",
    unit="1",
    low=0,
    high=1,
    direction="higher_is_better",
)
def evidence_coverage(scored: ScoredJourneys) -> Reals:
    """Launch kinds of friction whose fields an event of the journey carries or one of its sources
    declares, over all launch kinds (docs/reference/friction.md#coverage).
    """
    return scored.coverage
