"""Buckets of customers: the unit in which rows are distributed and stored rows are found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.columnar.event_table import Categorical

BUCKETS = 4096


def buckets(keys: pa.Array) -> pa.Array:
    """Buckets of customer keys: their first three hex digits."""
    key = Categorical.of(keys)
    numbers = np.array([int(name[:3], 16) for name in key.names.to_pylist()], np.int16)
    return arrow(numbers[key.codes] if len(key.codes) else numbers, pa.int16())


def key_range(group: int, groups: int) -> tuple[str, str]:
    """Customer keys of a group of buckets: the least that may be, and what all are below."""
    low, high = (-(-edge * BUCKETS // groups) for edge in (group, group + 1))
    return f"{low:03x}", f"{high:03x}" if high < BUCKETS else "g"
