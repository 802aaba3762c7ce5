"""Buckets of customers: the unit by which rows are distributed and stored rows are found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.columnar.event_table import Categorical

BUCKETS = 4096


def buckets(keys: pa.Array) -> pa.Array:
    """Return the bucket (0..4095) of each customer key: its first three hex digits."""
    key = Categorical.of(keys)
    numbers = np.array([int(name[:3], 16) for name in key.names.to_pylist()], np.int16)
    return arrow(numbers[key.codes] if len(key.codes) else numbers, pa.int16())


def key_range(group: int, groups: int) -> tuple[str, str]:
    """Return the range [low, high) of the customer keys of a group of buckets."""
    low, high = (-(-number * BUCKETS // groups) for number in (group, group + 1))
    return f"{low:03x}", f"{high:03x}" if high < BUCKETS else "g"
