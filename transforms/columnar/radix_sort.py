"""Sort rows by keys: a radix sort over sixteen bits at a time.

Numpy sorts numbers of sixteen bits by their digits and wider ones by comparisons. Splitting a wide
key into such digits takes a third of the time or less at the sizes of a group of buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rejse.transforms.columnar.arrays import Ints

Array = np.ndarray[Any, Any]
#: Bits that numpy sorts without comparing.
DIGIT = 16
#: Rows from which on splitting a key into digits is faster.
MANY = 512


def sorted_by(*keys: Array, radix_from: int = MANY) -> Ints:
    """Return the stable order of rows by keys (no complex numbers); the first key is the major one.

    NaN is last, as in numpy. From `radix_from` rows on, keys are taken to pieces.
    """
    n = len(keys[0])
    if n < radix_from:
        return np.lexsort(keys[::-1])
    rows: Ints | None = None
    for key in reversed(keys):
        for digit in _digits(key):
            rows = _sorted_on(digit, rows)
    return np.arange(n) if rows is None else rows


def _sorted_on(digit: Array, rows: Ints | None) -> Ints:
    if rows is None:
        return np.argsort(digit, kind="stable")
    return rows.take(np.argsort(digit.take(rows), kind="stable"))


def _digits(key: Array) -> Iterator[Array]:
    """Yield the parts of the key, least significant first; none where all keys are equal."""
    if key.dtype.kind == "f":
        yield key
        return
    if key.dtype.kind == "b":
        yield key.view(np.uint8)
        return
    offset = (key - key.min()).view(f"u{key.dtype.itemsize}")  # right also where it overflows
    for shift in range(0, int(offset.max()).bit_length(), DIGIT):
        yield (offset >> offset.dtype.type(shift)).astype(np.uint16)
