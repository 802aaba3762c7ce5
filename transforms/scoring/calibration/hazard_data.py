"""Compute hazard by journey and kind from weights, and weights from hazards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.scoring.friction.score import MAX_SEVERITY, rank_hazards, severity

#: Least weight that is proposed; a weight must be above 0.
LEAST_WEIGHT = 0.001
HALVINGS = 60  # of the interval in which a weight is sought: to the last digit of a double


@dataclass(frozen=True)
class Ends:
    """Closed journeys with an outcome, one row each.

    `customer` and `stratum` (journey type) are codes from 0, `moment` the last event in
    microseconds, `bad` whether the outcome is below one half.
    """

    bad: Bools
    customer: Ints
    stratum: Ints
    moment: Ints

    def __len__(self) -> int:
        return len(self.bad)

    def rows(self, rows: Ints) -> Ends:
        """Select journeys; codes stay."""
        return Ends(self.bad[rows], self.customer[rows], self.stratum[rows], self.moment[rows])


@dataclass(frozen=True)
class Pieces:
    """Evidence, one row each; severity = weight of its kind * factor.

    `journey` is a row of the ends, `incident` a code (step with the edge that leads into it),
    `kind` a code from 0, `factor` intensity * confidence in (0, 1].
    """

    journey: Ints
    incident: Ints
    kind: Ints
    factor: Reals

    def of(self, journeys: Ints, n: int) -> Pieces:
        """Select the evidence of some of `n` journeys, which are renumbered from 0."""
        place = np.full(n, -1, dtype=np.int64)
        place[journeys] = np.arange(len(journeys))
        kept = place[self.journey] >= 0
        few = Pieces(*(getattr(self, f)[kept] for f in self.__dataclass_fields__))
        return replace(few, journey=place[few.journey])

    def in_order(self) -> Pieces:
        """Sort by journey, incident, kind and factor, so that sums have one order."""
        order = sorted_by(self.journey, self.incident, self.kind, self.factor)
        return Pieces(*(getattr(self, f)[order] for f in self.__dataclass_fields__))


@dataclass(frozen=True)
class Shape:
    """Evidence of one kind: each distinct factor and its sum of 0.5^rank."""

    factor: Reals
    mass: Reals

    def hazard(self, weight: float) -> float:
        """Return the sum of 0.5^rank * -ln(1 - weight * factor), increasing in the weight."""
        return float(-(self.mass * np.log1p(-weight * self.factor)).sum())

    def weight(self, multiple: float, present: float) -> float:
        """Return the weight at which this evidence has `multiple` times its hazard under `present`.

        With all factors 1 that is 1 - (1 - present)^multiple. Within [LEAST_WEIGHT, .95]; without
        evidence the present weight.
        """
        if not len(self.factor):
            return present
        wanted = multiple * self.hazard(present)
        low, high = LEAST_WEIGHT, MAX_SEVERITY
        if wanted <= self.hazard(low):
            return low
        if wanted >= self.hazard(high):
            return high
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.hazard(middle) < wanted else (low, middle)
        return (low + high) / 2


def ranks(pieces: Pieces, weights: Reals) -> tuple[Ints, Reals]:
    """Return rank in its incident, and hazard, of each piece of evidence under these weights."""
    sizes = severity(weights[pieces.kind], pieces.factor, np.ones(len(pieces.kind)))
    hazards = rank_hazards(sizes, pieces.incident, pieces.kind)
    return hazards.rank, hazards.hazard


def by_kind(pieces: Pieces, hazard: Reals, n_journeys: int, n_kinds: int) -> Reals:
    """Return the hazard of each journey (row) and kind (column)."""
    cell = pieces.journey * n_kinds + pieces.kind
    summed = np.bincount(cell, weights=hazard, minlength=n_journeys * n_kinds)
    return np.asarray(summed.reshape(n_journeys, n_kinds), dtype=np.float64)


def shapes(pieces: Pieces, rank: Ints, n_kinds: int) -> list[Shape]:
    """Return the evidence of each kind, ranks fixed."""
    kind_shapes = []
    for kind in range(n_kinds):
        rows = pieces.kind == kind
        factor, place = np.unique(pieces.factor[rows], return_inverse=True)
        mass = np.bincount(place, weights=np.ldexp(1.0, -rank[rows]), minlength=len(factor))
        kind_shapes.append(Shape(factor, np.asarray(mass, dtype=np.float64)))
    return kind_shapes
