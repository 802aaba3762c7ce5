"""Test weights on held-out journeys: fitted on earlier ones, evaluated on later ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.scoring.calibration.fit import Design, fit, log_likelihood, propose
from rejse.transforms.scoring.calibration.hazard_data import Ends, Pieces, by_kind, ranks

TRAINED = 0.7  # share of journeys, the earlier ones, for the fit
TIGHT, LOOSE = 1e-3, 10.0  # priors that fix the factor, and that leave it free


@dataclass(frozen=True)
class Trial:
    """One way to predict bad ends, on the later journeys.

    `multiple` is the factor on all hazards, `log_likelihood` the mean a journey (0 is perfect),
    `auc` as in `auc`.
    """

    name: str
    multiple: float
    n_journeys: int
    n_bad: int
    log_likelihood: float
    auc: float | None


def auc(score: Reals, bad: Bools, stratum: Ints) -> float | None:
    """Return the chance that a bad end scores above a good one of its stratum; ties count half.

    Pairs of two strata are not compared: knowing the journey type is no merit of the weights. None
    where no stratum has both.
    """
    won = pairs = 0.0
    for code in np.unique(stratum):
        rows = stratum == code
        hits, n_bad = bad[rows], int(bad[rows].sum())
        _, place, n = np.unique(np.round(score[rows], 12), return_inverse=True, return_counts=True)
        middle = (np.cumsum(n) - (n - 1) / 2)[place]
        won += float(middle[hits].sum()) - n_bad * (n_bad + 1) / 2
        pairs += n_bad * (len(hits) - n_bad)
    return won / pairs if pairs else None


def split(ends: Ends) -> tuple[Ints, Ints]:
    """Return the rows of earlier journeys, and of later ones of a type that the earlier ones have.

    Journeys that end at the same time stay together.
    """
    cut = np.quantile(ends.moment, TRAINED, method="lower") if len(ends) else 0
    early = np.flatnonzero(ends.moment < cut)
    is_known = np.isin(ends.stratum, ends.stratum[early])
    return early, np.flatnonzero((ends.moment >= cut) & is_known)


def n_left_out(ends: Ends) -> int:
    """Count the later journeys left out because no earlier journey has their type."""
    early, late = split(ends)
    return len(ends) - len(early) - len(late)


def trials(ends: Ends, pieces: Pieces, present: Reals, n_strata: int) -> list[Trial]:
    """Try the rate of each type alone, the present weights, these times a factor, and the proposed.

    All is fitted on the earlier journeys; evidence is ranked under the weights that are tried.
    Empty where no later journey is left to try on (all ended at once, or all types are new).
    """
    pieces = pieces.in_order()
    early, late = split(ends)
    if not len(late):
        return []
    seen, coming = ends.rows(early), ends.rows(late)
    proposed = propose(seen, pieces.of(early, len(ends)), present, n_strata).weights

    def hazards(weights: Reals) -> Reals:
        hazard = by_kind(pieces, ranks(pieces, weights)[1], len(ends), len(weights))
        return np.asarray(hazard.sum(axis=1, keepdims=True))

    def tried(name: str, x: Reals, multiple: float, prior: float) -> Trial:
        fitted = Design.of(seen, x[early], n_strata)
        point = fit(fitted, fitted.counts(), np.array([multiple]), np.array([prior]))
        later = Design.of(coming, x[late], n_strata)
        value = log_likelihood(point, later, later.counts())[0] / len(coming)
        score = point[coming.stratum] + x[late, 0] * point[n_strata]
        area = auc(score, coming.bad, coming.stratum)
        factor = float(point[n_strata])
        return Trial(name, factor, len(coming), int(coming.bad.sum()), value, area)

    now = hazards(present)
    return [
        tried("rate of the type", np.zeros_like(now), 0.0, TIGHT),
        tried("present weights", now, 1.0, TIGHT),
        tried("present weights x one factor", now, 1.0, LOOSE),
        tried("proposed weights", hazards(proposed), 1.0, TIGHT),
    ]
