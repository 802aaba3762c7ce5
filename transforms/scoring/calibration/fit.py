"""Fit P(bad end) = 1 - exp(-(h0 + sum over kinds of g_k * x_k)), all parameters >= 0.

x_k is a journey's hazard of kind k under the present weights. h0, one a journey type, is the hazard
without observed friction. g_k = 1 means that the present weight fits. This is a generalised linear
model of good ends with log link, the complementary log-log model with additive hazards. Its
likelihood is concave, so there is one maximum.

Ranks inside an incident follow the weights. So weights are proposed, evidence is ranked again under
them, and the fit is repeated, until neither moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.scoring.calibration.hazard_data import (
    Ends,
    Pieces,
    Shape,
    by_kind,
    ranks,
    shapes,
)
from rejse.transforms.scoring.friction.score import MAX_SEVERITY

#: Standard deviation of the prior, in hazard of a whole piece of evidence around that under the
#: present weight: worth some six journeys where three in ten end badly, for every kind alike.
PRIOR = 0.25
#: Half a bad end and half a good one in each h0 (Jeffreys' for a chance): a type without the one
#: stays above zero, a type without the other stays finite.
HALF_EVENT = 0.5
LEAST_RATE = 1e-9
ROUNDS, SETTLED = 30, 1e-4
FULL_STEPS = 3  # rounds that go the whole way; the later ones half, where ranks flip to and fro


@dataclass(frozen=True)
class Design:
    """Journeys with equal values in the model are one row, with a count.

    `hazard` has a column a kind, `group` the row of each journey.
    """

    hazard: Reals
    bad: Bools
    stratum: Ints
    group: Ints
    n_strata: int

    @classmethod
    def of(cls, ends: Ends, hazard: Reals, n_strata: int) -> Design:
        """Build the design of these journeys."""
        rows = np.column_stack([ends.stratum, ends.bad, hazard])
        seen, group = np.unique(rows, axis=0, return_inverse=True)
        return cls(
            seen[:, 2:], seen[:, 1] > 0, seen[:, 0].astype(np.int64), group.reshape(-1), n_strata
        )

    def counts(self, weight: Reals | None = None) -> Reals:
        """Count the journeys in each row, each `weight` times."""
        n = np.bincount(self.group, weights=weight, minlength=len(self.bad))
        return np.asarray(n, dtype=np.float64)


def log_likelihood(point: Reals, design: Design, count: Reals) -> tuple[float, Reals]:
    """Return log-likelihood and gradient at (h0 of each type, g of each kind)."""
    rate, g = point[: design.n_strata], point[design.n_strata :]
    eta = np.maximum(rate[design.stratum] + design.hazard @ g, LEAST_RATE)
    of_bad, slope_of_bad = _log_bad(eta)
    value = np.where(design.bad, of_bad, -eta)
    slope = count * np.where(design.bad, slope_of_bad, -1.0)
    of_rate = np.bincount(design.stratum, weights=slope, minlength=design.n_strata)
    return float(count @ value), np.concatenate([of_rate, slope @ design.hazard])


def _log_bad(eta: Reals) -> tuple[Reals, Reals]:
    """Return the log of the chance of a bad end at hazard `eta`, and its slope."""
    chance = -np.expm1(-eta)
    return np.log(chance), np.exp(-eta) / chance


def spread(present: Reals) -> Reals:
    """Return the standard deviation of each kind's prior, in multiples of its present hazard."""
    return np.asarray(-PRIOR / np.log1p(-present))


def penalised(
    point: Reals, design: Design, count: Reals, centre: Reals, prior: Reals
) -> tuple[float, Reals]:
    """Return the negative log posterior, which `fit` minimises, and its gradient."""
    value, gradient = log_likelihood(point, design, count)
    rate, g = point[: design.n_strata], point[design.n_strata :]
    off = (g - centre) / prior
    of_bad, slope_of_bad = _log_bad(rate)
    value += HALF_EVENT * float((of_bad - rate).sum()) - 0.5 * float(off @ off)
    gradient = gradient + np.concatenate([HALF_EVENT * (slope_of_bad - 1), -off / prior])
    return -value, -gradient


def fit(
    design: Design, count: Reals, centre: Reals, prior: Reals, start: Reals | None = None
) -> Reals:
    """Return the point (h0 of each type, g of each kind) of largest posterior density.

    `centre` and `prior` are the prior's mean and standard deviation of each g. Raises
    RuntimeError where the search does not converge.
    """
    from scipy.optimize import minimize

    total = count.sum()
    if start is None:
        n_bad = np.bincount(design.stratum, weights=count * design.bad, minlength=design.n_strata)
        n_all = np.bincount(design.stratum, weights=count, minlength=design.n_strata)
        rate = (n_bad + HALF_EVENT) / (n_all + 1.0) / 2
        start = np.concatenate([rate, np.ones(len(centre))])

    start = np.maximum(start, LEAST_RATE)
    unit = _units(start, design, count, prior)

    def scaled(point: Reals) -> tuple[float, Reals]:
        value, gradient = penalised(point * unit, design, count, centre, prior)
        return value / total, gradient * unit / total

    least = np.concatenate([np.full(design.n_strata, LEAST_RATE), np.zeros(len(centre))])
    result = minimize(
        scaled,
        start / unit,
        jac=True,
        bounds=[(low, None) for low in least / unit],
        method="L-BFGS-B",
        options={"maxiter": 2_000, "maxfun": 20_000, "ftol": 1e-12, "gtol": 1e-9, "maxcor": 20},
    )
    if result.status == 1:
        raise RuntimeError(f"expected the fit to end within 2,000 steps, it did not: {result}")
    return np.asarray(np.maximum(result.x * unit, least))


def _units(point: Reals, design: Design, count: Reals, prior: Reals) -> Reals:
    """Return units in which the curvature at `point` is equal in all directions: a short search."""
    rate, g = point[: design.n_strata], point[design.n_strata :]
    eta = np.maximum(rate[design.stratum] + design.hazard @ g, LEAST_RATE)
    bend = count * design.bad * _bend(eta)
    of_rate = np.bincount(design.stratum, weights=bend, minlength=design.n_strata)
    of_kind = bend @ design.hazard**2 + prior**-2.0
    bent = np.concatenate([of_rate + HALF_EVENT * _bend(rate), of_kind])
    return np.asarray(bent**-0.5)


def _bend(eta: Reals) -> Reals:
    """Return the curvature of the log of the chance of a bad end at hazard `eta`."""
    return np.asarray(np.exp(-eta) / np.expm1(-eta) ** 2)


@dataclass(frozen=True)
class Proposal:
    """Proposed weights, and the fit behind them.

    `multiple` is g: the hazard of each kind as a multiple of that under the present weight.
    `shapes` turn any other multiple into its weight. `is_settled`: weights and ranks converged.
    """

    weights: Reals
    multiple: Reals
    rate: Reals
    design: Design
    shapes: list[Shape]
    rounds: int
    is_settled: bool


def propose(ends: Ends, pieces: Pieces, present: Reals, n_strata: int) -> Proposal:
    """Fit, propose, rank again under the proposal, and repeat until nothing moves."""
    pieces, ones, prior = pieces.in_order(), np.ones(len(present)), spread(present)
    weights, point = np.array(present, dtype=np.float64), None
    for number in range(1, ROUNDS + 1):
        design, kind_shapes = _under(ends, pieces, weights, present, n_strata)
        estimate = point = fit(design, design.counts(), ones, prior, point)
        multiple = estimate[n_strata:]
        wanted = np.array(
            [s.weight(g, w) for s, g, w in zip(kind_shapes, multiple, present, strict=True)]
        )
        moved = float(np.abs(wanted - weights).max(initial=0.0))
        if moved < SETTLED:
            break
        weights = wanted if number <= FULL_STEPS else (weights + wanted) / 2
    return Proposal(
        wanted, multiple, estimate[:n_strata], design, kind_shapes, number, moved < SETTLED
    )


def _under(
    ends: Ends, pieces: Pieces, weights: Reals, present: Reals, n_strata: int
) -> tuple[Design, list[Shape]]:
    """Build the design with ranks under `weights`, columns scaled to multiples of `present`."""
    rank, hazard = ranks(pieces, weights)
    seen = shapes(pieces, rank, len(present))
    now = np.array([s.hazard(min(w, MAX_SEVERITY)) for s, w in zip(seen, weights, strict=True)])
    was = np.array([s.hazard(w) for s, w in zip(seen, present, strict=True)])
    scale = np.divide(now, was, out=np.ones_like(now), where=was > 0)
    x = by_kind(pieces, hazard, len(ends), len(present)) / scale
    return Design.of(ends, x, n_strata), seen
