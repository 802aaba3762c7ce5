"""Histogram of the silences between events of an identity, and the gap that it proposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10

from rejse.transforms.schema.durations import render
from rejse.transforms.schema.parameters import DAY, HOUR, MINUTE, SECOND

#: Upper edges of the histogram's bins.
EDGES = (
    SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY, 120 * DAY, 240 * DAY, 480 * DAY,
)  # fmt: skip
DEFAULT_GAP = 30 * DAY
DEFAULT_CASE_GAP = 90 * DAY
#: At most one in so many silences inside cases may be longer than `case_gap`.
ONE_IN = 1000
#: Highest depth of a valley, relative to the lower peak beside it.
DEPTH = 0.5
ENOUGH = 30
SHARE = 0.1
_BAR = 32
_FIRST = EDGES.index(HOUR)  # first bin beyond a session


@dataclass(frozen=True)
class Silences:
    """Counts of silences by bin: at most as long as its edge (µs), longer than the one before."""

    counts: tuple[int, ...]
    longer: int

    @property
    def total(self) -> int:
        """Return the number of silences."""
        return sum(self.counts) + self.longer

    def text(self) -> list[str]:
        """Return the histogram in lines, from the first to the last bin that has any."""
        filled = [i for i, n in enumerate(self.counts) if n]
        if not filled:
            return ["no identity has two events"]
        most = max(self.counts)
        lines = [
            f"<= {render(EDGES[i]):>5} {'#' * round(_BAR * self.counts[i] / most):<{_BAR}}"
            f" {self.counts[i]:,}"
            for i in range(filled[0], filled[-1] + 1)
        ]
        return [*lines, f"longer: {self.longer:,}"] if self.longer else lines

    def gap(self) -> tuple[int, str]:
        """Return the gap (µs) that separates journeys, and why.

        Over the logarithm of their length silences have modes: within a visit, between the visits
        of a journey, between journeys. The gap is the valley between the last two. It is longer
        than a day, and both modes are longer than the session's 30 minutes. Without such a valley,
        or with too few silences, it is the default.
        """
        beyond = sum(self.counts[_FIRST:]) + self.longer
        if beyond < ENOUGH:
            return DEFAULT_GAP, f"the default: the sample has {beyond} silences beyond 30 min"
        height = _densities(self.counts)
        valley, deepest = None, DEPTH
        for i in range(EDGES.index(2 * DAY), len(EDGES) - 1):
            if sum(self.counts[i + 1 :]) < SHARE * beyond:
                break  # the rest is a tail, not a mode
            lower = min(max(height[_FIRST : i + 1]), max(height[i + 1 :]))
            depth = height[i] / lower if lower > 0 else 1.0
            # Of equally deep bins the last: rather too few journeys than too many.
            if depth < deepest or (valley is not None and depth == deepest):
                valley, deepest = i, depth
        if valley is not None:
            return EDGES[valley], "the valley between two humps beyond 30 min"
        inside = sum(self.counts[_FIRST : EDGES.index(DEFAULT_GAP) + 1])
        return (
            DEFAULT_GAP,
            f"the default: no valley; {inside / beyond:.0%} beyond 30 min are within",
        )

    def case_gap(self) -> tuple[int, str]:
        """Return the silence (µs) that closes a case without an end, and why.

        Hardly any silence inside a case is longer, so that few cases are closed too soon. The
        counts must be of silences inside cases.
        """
        if self.total < ENOUGH:
            return DEFAULT_CASE_GAP, f"the default: the sample has {self.total} silences in cases"
        within = 0
        for edge, n in zip(EDGES, self.counts, strict=True):
            within += n
            if (self.total - within) * ONE_IN <= self.total:
                longest = max(edge, DAY)
                return longest, f"at most 1 of {ONE_IN:,} silences in cases is longer"
        return DEFAULT_CASE_GAP, "the default: too many silences in cases are longer than any bin"


def _densities(counts: Sequence[int]) -> list[float]:
    """Return silences per unit of the logarithm, so that bins of unequal width compare."""
    edges = (SECOND / 10, *EDGES)
    return [
        n / (log10(high) - log10(low)) for n, low, high in zip(counts, edges, EDGES, strict=False)
    ]


def of(events: Sequence[tuple[str, int]]) -> Silences:
    """Count the silences of (identity, time in µs) pairs in any order."""
    ordered = sorted(events)
    counts, longer = [0] * len(EDGES), 0
    for (identity, before), (next_identity, now) in pairwise(ordered):
        if identity != next_identity:
            continue
        place = next((i for i, edge in enumerate(EDGES) if now - before <= edge), None)
        if place is None:
            longer += 1
        else:
            counts[place] += 1
    return Silences(tuple(counts), longer)


NONE = of([])
