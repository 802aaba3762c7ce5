"""Rescale answers: u = (x - min) / (max - min), flipped where lower is better.

The raw answer is kept. Linear rescaling is not equating: 8 of 10 and 4 of 5 are close, but do not
mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Reals
from rejse.transforms.columnar.event_table import Events

#: Default scale of each instrument (least, greatest), for records without one.
SCALES: Mapping[str, tuple[float, float]] = {
    "nps": (0, 10), "enps": (0, 10), "csat": (1, 5), "ces": (1, 7), "effort": (1, 5),
    "star": (1, 5), "review": (1, 5), "emotion": (1, 5), "empathy": (0, 1), "sentiment": (-1, 1),
}  # fmt: skip
#: Instruments where less is better: effort is the first form of the CES (how much effort).
LOWER_IS_BETTER = ("effort",)
#: Instruments that are unsolicited by default.
UNSOLICITED = ("sentiment", "review", "complaint", "other")
#: Instruments whose top box is 9 of 10, on any scale that ends at 10.
PROMOTED = ("nps", "enps")
#: Top box: nps from 9 of 10, a scale of five points its best one, else u from .9.
TOP, FIVE_POINTS, ROUNDING = 0.9, 4.0, 1e-12
#: This many answers with none in the upper third of a scale contradict it.
CONTRADICTING, UPPER = 20, 2 / 3


@dataclass(frozen=True)
class Scaled:
    """Rescaled answers, one a record in their order; NaN where there is none."""

    u: Reals
    raw: Reals
    least: Reals
    most: Reals
    is_outside: Bools
    has_no_scale: Bools
    is_top_box: Bools  # by instrument; false without an answer


def scaled(answers: Events) -> Scaled:
    """Rescale the scores of feedback (columns of `EXPERIENCE`) to [0, 1].

    A bound that the record does not give is its instrument's default (`SCALES`).
    """
    instrument = answers.coded("instrument")
    usual = [SCALES.get(name, (np.nan, np.nan)) for name in instrument.names.to_pylist()]
    lower = [name in LOWER_IS_BETTER for name in instrument.names.to_pylist()]
    raw = _real(answers, "raw_score")
    least = _given(_real(answers, "scale_min"), instrument.lookup([u[0] for u in usual], np.nan))
    most = _given(_real(answers, "scale_max"), instrument.lookup([u[1] for u in usual], np.nan))
    up, known = answers.number("higher_is_better")
    flipped = np.where(known, ~up.astype(bool), instrument.lookup(lower, False))
    known = np.isfinite(most - least) & (most > least)
    answered = answers.number("raw_score")[1]
    inside = known & (raw >= least) & (raw <= most)
    width = np.where(known, most - least, 1.0)
    u = (raw - least) / width
    u = np.where(inside, np.where(flipped, 1.0 - u, u), np.nan)
    of_ten = instrument.of_names(PROMOTED) & (most == 10) & ~flipped
    top = np.where(width == FIVE_POINTS, 1.0, np.where(of_ten, (9 - least) / width, TOP))
    is_top = np.asarray(u >= top - ROUNDING)
    return Scaled(u, raw, least, most, answered & known & ~inside, answered & ~known, is_top)


def contradicts(raw: Sequence[float] | Reals, least: float, most: float) -> bool:
    """Return whether answers contradict their scale: many, and none in its upper third.

    Answers from 1 to 4 read as 0 to 10 would make all customers detractors.
    """
    return len(raw) >= CONTRADICTING and max(raw) <= least + UPPER * (most - least)


def top_box(scaled: Scaled, sentiment: Reals) -> Bools:
    """Return the records in their top box; without a score those of a sentiment from .9 on."""
    measured = ~np.isnan(scaled.u)
    return np.where(measured, scaled.is_top_box, sentiment >= TOP - ROUNDING)


def solicited(answers: Events) -> Bools:
    """Return the solicited records: as logged, else by the instrument or an invitation."""
    value, known = answers.number("solicited")
    usual = ~answers.is_any("instrument", *UNSOLICITED) | answers.number("invited_time")[1]
    return np.where(known, value.astype(bool), usual)


def _real(answers: Events, name: str) -> Reals:
    value, known = answers.number(name)
    return np.where(known, value.astype(np.float64), np.nan)


def _given(given: Reals, usual: Reals) -> Reals:
    return np.where(np.isnan(given), usual, given)
