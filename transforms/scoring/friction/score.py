"""From severity to hazard: the arithmetic of the friction score
(docs/reference/friction.md#hazard).

An incident is a step together with the edge that leads into it. Inside it evidence is ranked by
falling severity and counts half as much at each rank, so that one bad hand-over seen in three
ways is one incident.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Ints, Reals
from rejse.transforms.columnar.groups import Array, Groups
from rejse.transforms.columnar.radix_sort import sorted_by

MAX_SEVERITY = 0.95
DECIMALS = 12


@dataclass(frozen=True)
class Hazards:
    """Severity, rank in its incident (from 0) and hazard of each piece of evidence."""

    severity: Reals
    rank: Ints
    hazard: Reals


def severity(weight: Reals, intensity: Reals, confidence: Reals, scale: float = 1.0) -> Reals:
    """s = min(w * scale, .95) * g * confidence, rounded to 12 decimals."""
    scaled = np.minimum(weight * scale, MAX_SEVERITY)
    return np.asarray(np.round(scaled * intensity * confidence, DECIMALS))


def rank_hazards(severities: Reals, incident: Ints, *ties: Array) -> Hazards:
    """h = 0.5^rank * -ln(1 - s), ranked inside each incident by falling severity.

    Equal severities are ranked by `ties`, the first foremost (kind, time, id): no result depends
    on the order of the rows.
    """
    rank = np.zeros(len(incident), dtype=np.int64)
    rows = np.flatnonzero(np.bincount(incident)[incident] > 1)  # most incidents have one piece
    rows = rows[sorted_by(incident[rows], -severities[rows], *(tie[rows] for tie in ties))]
    rank[rows] = Groups.of(incident[rows]).row_number
    return Hazards(severities, rank, np.ldexp(-np.log1p(-severities), -rank))


def total(hazard: Reals, owner: Ints, size: int) -> Reals:
    """H of each of `size` owners (journeys, steps): the sum of its hazards."""
    return np.bincount(owner, weights=hazard, minlength=size).astype(np.float64)
