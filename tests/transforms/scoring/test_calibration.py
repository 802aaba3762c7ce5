"""The fit of weights on simulated journeys whose true weights are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from rejse.transforms.columnar.arrays import Reals
from rejse.transforms.scoring.calibration import fit, hazard_data, holdout, uncertainty
from rejse.transforms.scoring.calibration.hazard_data import Ends, Pieces, Shape

KINDS = 5
PRESENT = np.array([0.30, 0.10, 0.45, 0.25, 0.20])
#: The first weighs too little, the second and third too much, the fourth is right; of the fifth
#: there is no evidence.
PLANTED = np.array([0.60, 0.02, 0.20, 0.25, 0.20])
RATES = np.array([0.02, 0.10])


def drawn(
    seed: int, n: int = 6_000, planted: Reals = PLANTED, customers: int = 4_000
) -> tuple[Ends, Pieces]:
    """Journeys of two types with up to three incidents, and ends drawn by the planted weights."""
    rng = np.random.default_rng(seed)
    parts = []
    for kind in range(KINDS - 1):
        has = np.flatnonzero(rng.random(n * 3) < 0.15)
        amounts = 1 - np.exp(-rng.exponential(1.5, len(has))) if kind == 2 else np.ones(len(has))
        parts.append((has, np.full(len(has), kind), amounts))
    incident, kind, factor = (np.concatenate(part) for part in zip(*parts, strict=True))
    pieces = Pieces(incident // 3, incident, kind, factor)
    stratum = rng.integers(0, 2, n)
    hazard = hazard_data.by_kind(pieces, hazard_data.ranks(pieces, planted)[1], n, KINDS).sum(
        axis=1
    )
    bad = rng.random(n) < -np.expm1(-(RATES[stratum] + hazard))
    return Ends(bad, rng.integers(0, customers, n), stratum, rng.integers(0, 10**9, n)), pieces


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_planted_weights_are_found_within_their_intervals(seed: int) -> None:
    ends, pieces = drawn(seed)
    proposal = fit.propose(ends, pieces, PRESENT, 2)
    sure = uncertainty.uncertainty(proposal, ends, PRESENT, seed=seed, draws=60)
    assert proposal.is_settled
    assert proposal.rate == pytest.approx(RATES, abs=0.03)
    inside = (sure.low <= PLANTED) & (sure.high >= PLANTED)
    assert inside[:4].sum() >= 3  # 95 % each
    assert proposal.weights[:4] == pytest.approx(PLANTED[:4], abs=0.06)
    assert sure.is_clear.tolist() == [True, True, True, False, False]


def test_intervals_hold_the_planted_weights_as_often_as_they_say() -> None:
    inside = []
    for seed in range(20, 32):
        ends, pieces = drawn(seed, n=1_500)
        proposal = fit.propose(ends, pieces, PRESENT, 2)
        sure = uncertainty.uncertainty(proposal, ends, PRESENT, seed=seed, draws=40)
        # The prior draws the far ones towards the present, so the right and the near one count.
        inside += [(sure.low[k] <= PLANTED[k]) & (PLANTED[k] <= sure.high[k]) for k in (2, 3)]
    assert stats.binomtest(sum(inside), len(inside), 0.95).pvalue > 0.001


def test_a_kind_without_evidence_is_left_alone() -> None:
    ends, pieces = drawn(1)
    proposal = fit.propose(ends, pieces, PRESENT, 2)
    sure = uncertainty.uncertainty(proposal, ends, PRESENT, seed=1, draws=30)
    assert proposal.weights[4] == PRESENT[4]
    assert proposal.multiple[4] == pytest.approx(1, abs=1e-3)
    assert (sure.low[4], sure.high[4]) == (PRESENT[4], PRESENT[4])
    assert not sure.is_clear[4]
    assert sure.multiple_high[4] - sure.multiple_low[4] > 1  # as unsure as the prior


def test_a_rare_kind_stays_near_its_weight_and_is_unsure() -> None:
    ends, pieces = drawn(2)
    first = np.flatnonzero(pieces.kind == 0)
    some = np.ones(len(pieces.kind), dtype=bool)
    some[first[6:]] = False
    few = Pieces(*(getattr(pieces, f)[some] for f in ("journey", "incident", "kind", "factor")))
    proposal = fit.propose(ends, few, PRESENT, 2)
    sure = uncertainty.uncertainty(proposal, ends, PRESENT, seed=2, draws=40)
    assert 0.1 < proposal.weights[0] < 0.55
    assert sure.low[0] < PRESENT[0] < sure.high[0]
    assert not sure.is_clear[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_ends_are_found_to_be_tied_to_nothing(seed: int) -> None:
    ends, pieces = drawn(seed)
    x = hazard_data.by_kind(pieces, hazard_data.ranks(pieces, PRESENT)[1], len(ends), KINDS)
    tied = uncertainty.association(ends, x, seed)
    assert (tied[[0, 2, 3]] <= uncertainty.GATE).all()
    assert tied[4] == 1
    shuffled = replace(ends, bad=np.random.default_rng(seed).permutation(ends.bad))
    assert uncertainty.association(shuffled, x, seed).min() > uncertainty.GATE


def test_the_chance_of_no_tie_is_as_frequent_as_it_says() -> None:
    ends, pieces = drawn(7, n=400)
    x = hazard_data.by_kind(pieces, hazard_data.ranks(pieces, PRESENT)[1], len(ends), KINDS)
    rng = np.random.default_rng(7)
    least = [
        uncertainty.association(replace(ends, bad=rng.permutation(ends.bad)), x, seed, 199).min()
        for seed in range(60)
    ]
    assert stats.kstest(least, "uniform").pvalue > 0.001


def test_a_type_with_more_friction_and_more_bad_ends_is_no_tie() -> None:
    rng = np.random.default_rng(11)
    stratum = np.repeat([0, 1], 2_000)
    x = (rng.random((4_000, 1)) < np.where(stratum, 0.6, 0.1)[:, None]) * 0.3
    bad = rng.random(4_000) < np.where(stratum, 0.4, 0.05)
    ends = Ends(bad, np.arange(4_000), stratum, np.arange(4_000))
    assert uncertainty.association(ends, x, 1, 199).min() > 0.05
    assert (
        uncertainty.association(replace(ends, stratum=stratum * 0), x, 1, 199).min()
        <= uncertainty.GATE
    )


def test_the_shape_of_a_kind_has_the_hazard_of_its_pieces() -> None:
    """Two kinds in one incident, the lesser counted half; alone it counts whole."""
    pieces = Pieces(
        *(np.array(column) for column in ([0, 0, 1], [0, 0, 1], [0, 1, 1])),
        factor=np.array([1.0, 0.5, 1.0]),
    )
    weights = np.array([0.3, 0.2])
    rank, hazard = hazard_data.ranks(pieces, weights)
    assert rank.tolist() == [0, 1, 0]
    cells = hazard_data.by_kind(pieces, hazard, 2, 2)
    expected = [[-math.log(0.7), -math.log(0.9) / 2], [0, -math.log(0.8)]]
    assert cells == pytest.approx(np.array(expected))
    for kind, shape in enumerate(hazard_data.shapes(pieces, rank, 2)):
        assert shape.hazard(weights[kind]) == pytest.approx(cells[:, kind].sum())


def test_the_gradient_is_that_of_finite_differences() -> None:
    ends, pieces = drawn(3, n=300)
    design = fit.propose(ends, pieces, PRESENT, 2).design
    count, centre, prior = design.counts(), np.ones(KINDS), fit.spread(PRESENT)
    rng = np.random.default_rng(0)
    for _ in range(5):
        at = rng.uniform(0.05, 2, 2 + KINDS)
        _, gradient = fit.penalised(at, design, count, centre, prior)
        expected = optimize.approx_fprime(
            at, lambda p: fit.penalised(p, design, count, centre, prior)[0], 1e-7
        )
        assert gradient == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_no_other_point_is_better() -> None:
    """An independent search without gradient, from elsewhere, finds the same maximum."""
    ends, pieces = drawn(4, n=500)
    design = fit.propose(ends, pieces, PRESENT, 2).design
    count, centre, prior = design.counts(), np.ones(KINDS), fit.spread(PRESENT)
    weights = fit.fit(design, count, centre, prior)
    rows = [
        (bool(b), s, h) for b, s, h in zip(design.bad, design.stratum, design.hazard, strict=True)
    ]

    def by_hand(point: Reals) -> float:
        if (point < 0).any() or (point[:2] <= 0).any():
            return math.inf
        total = sum(0.5 * math.log(1 - math.exp(-h0)) - 0.5 * h0 for h0 in point[:2])
        total -= sum(((g - 1) / s) ** 2 / 2 for g, s in zip(point[2:], prior, strict=True))
        for n, (bad, stratum, hazard) in zip(count, rows, strict=True):
            chance = 1 - math.exp(-(point[stratum] + float(hazard @ point[2:])))
            total += n * math.log(chance if bad else 1 - chance)
        return -total

    other = optimize.minimize(by_hand, np.full(2 + KINDS, 0.4), method="SLSQP", tol=1e-12,
                              bounds=[(1e-6, 12)] * (2 + KINDS))  # fmt: skip
    assert weights == pytest.approx(other.x, abs=5e-3)
    assert by_hand(weights) <= other.fun + 1e-9


def test_without_prior_and_bounds_it_is_the_published_estimator() -> None:
    """One kind, ends 0 or 1: the closed form of two groups, -ln of the good shares."""
    has, bad = np.repeat([0, 1], [400, 400]), np.zeros(800, dtype=bool)
    bad[:40] = bad[400:600] = True
    ends = Ends(bad, np.arange(800), np.zeros(800, dtype=int), np.arange(800))
    design = fit.Design.of(ends, has[:, None] * 0.5, 1)
    rate, g = fit.fit(design, design.counts(), np.ones(1), np.full(1, 1e6))
    assert rate == pytest.approx(-math.log(0.9), rel=0.02)  # half an event is added
    assert rate + g * 0.5 == pytest.approx(-math.log(0.5), rel=1e-3)


@given(st.floats(0.01, 0.9), st.floats(0.05, 4), st.floats(0.05, 1))
def test_a_multiple_becomes_the_weight_with_so_much_hazard(
    present: float, multiple: float, factor: float
) -> None:
    shape = Shape(np.array([factor, 1.0]), np.array([2.0, 0.5]))
    weight = shape.weight(multiple, present)
    assert hazard_data.LEAST_WEIGHT <= weight <= 0.95
    if hazard_data.LEAST_WEIGHT < weight < 0.95:
        assert shape.hazard(weight) == pytest.approx(multiple * shape.hazard(present))
    plain = Shape(np.ones(1), np.ones(1))
    exact = min(0.95, max(hazard_data.LEAST_WEIGHT, 1 - (1 - present) ** multiple))
    assert plain.weight(multiple, present) == pytest.approx(exact)
    assert plain.weight(1.0, present) == pytest.approx(present)


def test_no_order_of_rows_matters() -> None:
    ends, pieces = drawn(5, n=800)
    rng = np.random.default_rng(5)
    mixed, rows = rng.permutation(len(ends)), rng.permutation(len(pieces.kind))
    place = np.argsort(mixed)
    other = Pieces(
        place[pieces.journey[rows]],
        pieces.incident[rows] * 7 + 3,
        pieces.kind[rows],
        pieces.factor[rows],
    )
    results = []
    for these, evidence in ((ends, pieces), (ends.rows(mixed), other)):
        proposal = fit.propose(these, evidence, PRESENT, 2)
        sure = uncertainty.uncertainty(proposal, these, PRESENT, seed=5, draws=20)
        x = hazard_data.by_kind(
            evidence, hazard_data.ranks(evidence, PRESENT)[1], len(these), KINDS
        )
        tied = uncertainty.association(these, np.round(x, 12), 5, 99)
        tries = [(t.auc, t.log_likelihood) for t in holdout.trials(these, evidence, PRESENT, 2)]
        results.append(
            np.concatenate([proposal.weights, sure.low, sure.high, tied, np.ravel(tries)])
        )
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_later_journeys_are_foretold_better_by_planted_weights() -> None:
    ends, pieces = drawn(6)
    rate, now, scaled, proposed = holdout.trials(ends, pieces, PRESENT, 2)
    assert rate.n_journeys + len(holdout.split(ends)[0]) == len(ends)
    assert {t.n_bad for t in (rate, now, scaled, proposed)} == {rate.n_bad}
    assert proposed.log_likelihood > scaled.log_likelihood >= now.log_likelihood - 1e-3
    assert now.log_likelihood > rate.log_likelihood
    assert rate.auc == 0.5
    assert (proposed.auc or 0) > (now.auc or 1) > 0.55


def test_the_area_is_that_of_mann_and_whitney_type_by_type() -> None:
    rng = np.random.default_rng(0)
    score, bad = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    types = np.zeros(200, dtype=int)
    both = stats.mannwhitneyu(score[bad], score[~bad]).statistic / (bad.sum() * (~bad).sum())
    assert holdout.auc(score, bad, types) == pytest.approx(both)
    assert holdout.auc(score, np.ones(200, dtype=bool), types) is None
    # Another type, all good and far above: it offers no pair.
    more = np.concatenate([score, np.full(50, 99.0)])
    area = holdout.auc(more, np.r_[bad, np.zeros(50, bool)], np.r_[types, np.ones(50, int)])
    assert area == pytest.approx(both)


def test_a_type_first_seen_later_is_left_out_and_counted() -> None:
    """Its rate was unbounded: a mean log-likelihood of -5e7, and overflow on the way."""
    ends, pieces = drawn(6)
    early = holdout.split(ends)[0]
    late = np.setdiff1d(np.arange(len(ends)), early)
    stratum = ends.stratum.copy()
    stratum[late[:300]] = 2
    other = replace(ends, stratum=stratum)
    assert holdout.n_left_out(ends) == 0
    assert holdout.n_left_out(other) == 300
    assert holdout.split(other)[1].tolist() == late[300:].tolist()
    whole = holdout.trials(ends, pieces, PRESENT, 2)
    for trial, without in zip(holdout.trials(other, pieces, PRESENT, 3), whole, strict=True):
        assert trial.n_journeys == without.n_journeys - 300
        assert trial.log_likelihood == pytest.approx(without.log_likelihood, abs=0.05)


@pytest.mark.parametrize("bad", [True, False])
def test_a_type_of_one_end_only_has_half_an_end_of_the_other(bad: bool) -> None:
    """20 ends alike and half of each: a chance of 20.5 in 21, or of 0.5 in 21."""
    ends = Ends(np.full(20, bad), np.arange(20), np.zeros(20, dtype=int), np.arange(20))
    design = fit.Design.of(ends, np.zeros((20, 1)), 2)  # the second type has no journey at all
    weights = fit.fit(design, design.counts(), np.ones(1), np.ones(1))
    expected = 20.5 / 21 if bad else 0.5 / 21
    assert -np.expm1(-weights[:2]) == pytest.approx([expected, 0.5], rel=1e-4)


def test_ends_at_one_instant_leave_nothing_to_try_on() -> None:
    ends, pieces = drawn(6, n=400)
    ends = replace(ends, moment=np.full(len(ends), 5))
    assert holdout.trials(ends, pieces, PRESENT, 2) == []
    assert holdout.n_left_out(ends) == 400


def test_a_kind_without_bad_ends_has_an_honest_upper_end() -> None:
    """0 of 93: Clopper and Pearson's upper limit is 1 - .025^(1/93) = .0389, not the bound."""
    n, has = 2_000, 93
    ends = Ends(np.arange(n) >= n - 300, np.arange(n), np.zeros(n, dtype=int), np.arange(n))
    pieces = Pieces(np.arange(has), np.arange(has), np.zeros(has, dtype=int), np.ones(has))
    present = np.array([0.45])
    proposal = fit.propose(ends, pieces, present, 1)
    sure = uncertainty.uncertainty(proposal, ends, present, seed=1, draws=30)
    assert proposal.weights[0] == sure.low[0] == hazard_data.LEAST_WEIGHT
    x, prior = -math.log(0.55), 0.25 / -math.log(0.55)
    # n x g + ((g - 1)^2 - 1) / (2 prior^2) = -ln(.025), solved for g
    a, b = 1 / (2 * prior**2), has * x - 1 / prior**2
    g = (-b + math.sqrt(b * b - 4 * a * math.log(0.025))) / (2 * a)
    assert sure.high[0] == pytest.approx(1 - 0.55**g, rel=1e-3)
    assert 1 - 0.025 ** (1 / has) <= sure.high[0] < 0.05
    assert sure.is_clear[0]
