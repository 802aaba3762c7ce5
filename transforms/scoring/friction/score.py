"""Compute hazards from severities: the arithmetic of the friction score
(docs/reference/friction.md#hazard).

An incident is a step with the edge that leads into it. Its evidence is ranked by falling severity,
and each rank counts half as much as the one before: one bad hand-off seen in three ways is one
incident.
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
    """Return s = min(w * scale, .95) * g * confidence, rounded to 12 decimals."""
    scaled = np.minimum(weight * scale, MAX_SEVERITY)
    return np.asarray(np.round(scaled * intensity * confidence, DECIMALS))


def rank_hazards(severities: Reals, incident: Ints, *ties: Array) -> Hazards:
    """Return h = 0.5^rank * -ln(1 - s), ranked inside each incident by falling severity.

    Equal severities are ranked by `ties`, the first key first (kind, time, id), so that no result
    depends on the order of the rows.
    """
    rank = np.zeros(len(incident), dtype=np.int64)
    rows = np.flatnonzero(np.bincount(incident)[incident] > 1)  # most incidents have one piece
    rows = rows[sorted_by(incident[rows], -severities[rows], *(tie[rows] for tie in ties))]
    rank[rows] = Groups.of(incident[rows]).row_number
    return Hazards(severities, rank, np.ldexp(-np.log1p(-severities), -rank))


def total(hazard: Reals, owner: Ints, size: int) -> Reals:
    """Return H, the sum of the hazards, of each of `size` owners (journeys or steps)."""
    return np.bincount(owner, weights=hazard, minlength=size).astype(np.float64)
