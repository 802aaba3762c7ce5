"""Experience of a journey from the scores of its steps (3-scores, peak-end)."""

from __future__ import annotations

from statistics import NormalDist, fmean

PEAK, LAST, MEAN = 0.4, 0.4, 0.2


def blom(n: int) -> float:
    """Expected largest of n standard normal scores (Blom 1958)."""
    return NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


def experience_of(scores: list[float]) -> float:
    """X = .4 min* + .4 last + .2 mean of step scores in [0, 1], in step order, never empty.

    min* = mean - (mean - min) * b(2) / b(n) for n > 2: more answers must not mean worse health by
    noise alone.
    """
    mean, lowest, n = fmean(scores), min(scores), len(scores)
    shrink = blom(2) / blom(n) if n > 2 else 1.0
    return PEAK * (mean - (mean - lowest) * shrink) + LAST * scores[-1] + MEAN * mean
