"""Uncertainty of a proposal: intervals by customer, and whether ends depend on friction at all.

Both draw with a seed, and draw in the order of codes, so that no order of rows matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.scoring.calibration.fit import Proposal, fit, penalised, spread
from rejse.transforms.scoring.calibration.hazard_data import Ends

DRAWS, SHUFFLES = 200, 999
LEVEL = 0.95
#: Chance at which ends independent of friction would be taken for dependent.
GATE = 0.01
HALVINGS = 40  # of the interval that holds an upper end
CHUNK = 4_000_000  # labels shuffled at once: 32 MB


@dataclass(frozen=True)
class Uncertainty:
    """Interval of each kind's weight and multiple; `is_clear`: it differs from 1 beyond chance.

    Clear is over all kinds together (Bonferroni at 5 %). Where an interval reaches down to no
    hazard, its upper end is at least that of `_highest`.
    """

    low: Reals
    high: Reals
    multiple_low: Reals
    multiple_high: Reals
    is_clear: Bools


def uncertainty(
    proposal: Proposal, ends: Ends, present: Reals, seed: int, draws: int = DRAWS
) -> Uncertainty:
    """Return intervals by a Bayesian bootstrap over customers (Rubin 1981) with a drawn prior.

    Each draw gives each customer an exponential weight and the prior another centre, so that a kind
    of few journeys is as uncertain as the prior (randomised maximum a posteriori; exact for a
    Gaussian model). Draws at the bound of no hazard do not show how far above it the weight may be
    (Andrews 2000): there the likelihood gives the upper end.
    """
    rng = np.random.default_rng(seed)
    design, n_strata = proposal.design, len(proposal.rate)
    start = np.concatenate([proposal.rate, proposal.multiple])
    drawn_multiples = np.empty((draws, len(present)))
    prior = spread(present)
    n_customers = int(ends.customer.max(initial=-1)) + 1
    for draw in range(draws):
        weight = rng.exponential(size=n_customers)
        centre = 1.0 + prior * rng.standard_normal(len(present))
        count = design.counts(weight[ends.customer])
        drawn_multiples[draw] = fit(design, count, centre, prior, start)[n_strata:]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn_multiples, [tail, 1 - tail], axis=0)
    off, share = np.abs(proposal.multiple - 1.0), tail / max(len(present), 1)
    clear = off > NormalDist().inv_cdf(1 - share) * drawn_multiples.std(axis=0, ddof=1)
    for kind in np.flatnonzero(low <= 0).tolist():
        high[kind] = max(high[kind], _highest(proposal, prior, kind, tail))
        clear[kind] &= _highest(proposal, prior, kind, share) < 1
    clear &= (low > 1) | (high < 1)
    weights = [
        np.array([s.weight(g, w) for s, g, w in zip(proposal.shapes, side, present, strict=True)])
        for side in (low, high)
    ]
    return Uncertainty(weights[0], weights[1], low, high, clear)


def _highest(proposal: Proposal, prior: Reals, kind: int, chance: float) -> float:
    """Return the multiple above the proposed at which the posterior falls to `chance` of its value.

    All else stays as proposed. For n journeys without a bad end, and apart from the prior, that is
    the exact upper limit of Clopper and Pearson (1934), a chance of 1 - chance^(1 / n) each.
    """
    design, ones, count = proposal.design, np.ones(len(prior)), proposal.design.counts()
    point = np.concatenate([proposal.rate, proposal.multiple])
    place = len(proposal.rate) + kind

    def risen(by: float) -> float:
        other = point.copy()
        other[place] += by
        return penalised(other, design, count, ones, prior)[0]

    wanted = risen(0.0) - math.log(chance)
    low, high = 0.0, 1.0
    while risen(high) < wanted:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if risen(middle) < wanted else (low, middle)
    return float(point[place] + high)


def association(ends: Ends, hazard: Reals, seed: int, shuffles: int = SHUFFLES) -> Reals:
    """Return the p-value of each kind's association with bad ends, over all kinds together.

    Labels are shuffled inside each journey type. The statistic is the one-sided score test of g = 0
    (Westfall and Young's largest statistic; 1 for a kind without evidence).
    """
    order = sorted_by(ends.stratum, ends.customer, ends.moment, ends.bad, *hazard.T)
    stratum, bad, x = ends.stratum[order], ends.bad[order].astype(float), hazard[order]
    n = np.bincount(stratum)[stratum]
    centred = x - (_by(stratum, x) / np.bincount(stratum)[:, None])[stratum]
    rate = (np.bincount(stratum, weights=bad) / np.bincount(stratum))[stratum]
    # Variance of a sum of labels drawn without replacement, stratum by stratum.
    spread = rate * (1 - rate) * n / np.maximum(n - 1, 1)
    error = np.sqrt((spread[:, None] * centred**2).sum(axis=0))
    scale = np.divide(1.0, error, out=np.zeros_like(error), where=error > 1e-9)
    seen = (bad @ centred) * scale
    rng, largest = np.random.default_rng(seed), np.empty(0)
    step = max(1, CHUNK // max(len(bad), 1))
    starts = Groups.of(stratum).starts.tolist()
    for first in range(0, shuffles, step):
        drawn = np.tile(bad, (min(step, shuffles - first), 1))
        for begin, end in zip(starts, [*starts[1:], len(bad)], strict=True):
            drawn[:, begin:end] = rng.permuted(drawn[:, begin:end], axis=1)
        largest = np.append(largest, ((drawn @ centred) * scale).max(axis=1, initial=0.0))
    chance = (1 + (largest[:, None] >= seen).sum(axis=0)) / (1 + shuffles)
    return np.where(error > 1e-9, chance, 1.0)


def _by(stratum: Ints, x: Reals) -> Reals:
    sums = [np.bincount(stratum, weights=column) for column in x.T]
    return np.asarray(np.stack(sums, axis=1), dtype=np.float64)
