"""Frontiers: how far each source is known to be complete (2-journeys, Time)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rejse.transforms.arrays import Bools, Ints

NOTHING = np.iinfo(np.int64).min // 2


def least(frontiers: Mapping[str, int]) -> int:
    """Frontier of all sources together: no event before it will come from any of them."""
    return min(frontiers.values(), default=NOTHING)


def passed(deadline: Ints, frontier: int | Ints, lateness: int) -> Bools:
    """A deadline (inclusive, microseconds) has passed when the frontier is past it + lateness."""
    return deadline < frontier - lateness
