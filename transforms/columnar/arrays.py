"""Arrow arrays as numpy arrays and back, without copies where possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Reals = np.ndarray[Any, np.dtype[np.float64]]
NULL = -1
#: Up to so many texts a Python dictionary is faster than a call of Arrow.
FEW = 100
#: Numpy types by the id of the Arrow type; times, dates and durations are integers.
NUMPY: dict[int, np.dtype[Any]] = {
    kind.id: np.dtype(code)
    for kind, code in (
        (pa.int8(), "i1"), (pa.int16(), "i2"), (pa.int32(), "i4"), (pa.int64(), "i8"),
        (pa.uint8(), "u1"), (pa.uint16(), "u2"), (pa.uint32(), "u4"), (pa.uint64(), "u8"),
        (pa.float32(), "f4"), (pa.float64(), "f8"), (pa.date32(), "i4"), (pa.date64(), "i8"),
        (pa.timestamp("us"), "i8"), (pa.duration("us"), "i8"),
    )
}  # fmt: skip


def sorted_distinct(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the distinct values of a column in rising order."""
    distinct = pc.unique(flat(column))
    return distinct.take(pc.sort_indices(distinct))


def flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a (chunked) column as one contiguous array."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            return column.chunk(0)
        if column.num_chunks == 0:
            return pa.nulls(0, column.type)
        if pa.types.is_dictionary(column.type):
            return column.unify_dictionaries().combine_chunks()
        return column.combine_chunks()
    return column


def valid(column: pa.Array | pa.ChunkedArray) -> Bools:
    """Return the mask of the rows that are not null."""
    array = flat(column)
    if array.null_count == 0:
        return np.ones(len(array), dtype=bool)
    return _bits(array.buffers()[0], array.offset, len(array))


def values(column: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return the values of a fixed-width or boolean column; null rows hold arbitrary values."""
    array = flat(column)
    if pa.types.is_boolean(array.type):
        return _bits(array.buffers()[1], array.offset, len(array))
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array), dtype=_dtype(array.type))
    return np.frombuffer(buffer, dtype=_dtype(array.type))[array.offset : array.offset + len(array)]


def arrow(
    data: np.ndarray[Any, Any], kind: pa.DataType | None = None, ok: Bools | None = None
) -> pa.Array:
    """Convert a numpy array to Arrow; rows where `ok` is false are null, as are NaN of floats."""
    if ok is None and data.dtype.kind == "f":
        missing = np.isnan(data)
        ok = ~missing if missing.any() else None
    mask = None if ok is None or bool(ok.all()) else pa.py_buffer(_packed(ok))
    if data.dtype == bool:
        return pa.Array.from_buffers(pa.bool_(), len(data), [mask, pa.py_buffer(_packed(data))])
    kind = kind or pa.from_numpy_dtype(data.dtype)
    data = np.ascontiguousarray(data, dtype=_dtype(kind))
    return pa.Array.from_buffers(kind, len(data), [mask, pa.py_buffer(data)])


def take(column: pa.Array, rows: np.ndarray[Any, Any]) -> pa.Array:
    """Return rows of an array; row -1 gives null."""
    wanted = np.ascontiguousarray(rows, dtype=np.int64)
    return pc.take(column, arrow(wanted, pa.int64(), wanted >= 0))


def index_in(texts: pa.Array, among: pa.Array) -> Ints:
    """Return the index of each text in `among` (distinct texts), -1 where it is not in it."""
    if len(texts) + len(among) <= FEW:
        numbered = reversed([*enumerate(among.to_pylist())])  # of duplicates the first, as Arrow
        row_of = {text: row for row, text in numbered}
        return np.array([row_of.get(text, NULL) for text in texts.to_pylist()], np.int64)
    index = pc.index_in(texts, value_set=among)
    return np.where(valid(index), values(index).astype(np.int64), NULL)


def text_list(flat_texts: pa.Array, starts: Ints, n: int) -> pa.Array:
    """Return a list array of consecutive texts: list i is `flat_texts[starts[i]:starts[i + 1]]`."""
    offsets = np.append(starts, n).astype(np.int32)
    return pa.ListArray.from_arrays(arrow(offsets, pa.int32()), flat_texts)


def share(part: Ints | Reals, whole: Ints | Reals) -> Reals:
    """Divide part by whole; NaN where the whole is not above 0."""
    out = np.full(len(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=out, where=whole > 0))


def _dtype(kind: pa.DataType) -> np.dtype[Any]:
    return NUMPY[kind.index_type.id if pa.types.is_dictionary(kind) else kind.id]


def _bits(buffer: pa.Buffer, offset: int, length: int) -> Bools:
    packed = np.frombuffer(buffer, dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little", count=offset + length)
    return bits[offset:].view(bool)


def _packed(mask: Bools) -> bytes:
    return np.packbits(mask, bitorder="little").tobytes()
