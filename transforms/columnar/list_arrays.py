"""Lists of structures: take their elements out, and put other elements in their place."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import arrow, valid, values


def elements(column: pa.Array) -> pa.StructArray:
    """Return the elements of all lists of a column, without values outside its slice."""
    first, last = _range(column)
    return column.values.slice(first, last - first)


def with_elements(column: pa.Array, inner: pa.StructArray) -> pa.ListArray:
    """Replace the elements of a column's lists by `inner`, as long as `elements(column)`."""
    first, _ = _range(column)
    offsets = arrow((values(column.offsets) - first).astype(np.int32))
    if column.null_count == 0:
        return pa.ListArray.from_arrays(offsets, inner, type=column.type)
    return pa.ListArray.from_arrays(offsets, inner, type=column.type, mask=arrow(~valid(column)))


def with_part(column: pa.StructArray, part: str, replaced: pa.Array) -> pa.StructArray:
    """Replace one part of structures; null structures stay null."""
    parts = [replaced if f.name == part else column.field(f.name) for f in column.type]
    mask = None if column.null_count == 0 else arrow(~valid(column))
    return pa.StructArray.from_arrays(parts, fields=list(column.type), mask=mask)


def _range(column: pa.Array) -> tuple[int, int]:
    if not len(column):
        return 0, 0
    offsets = values(column.offsets)
    return int(offsets[0]), int(offsets[-1])
