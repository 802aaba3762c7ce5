"""Text arrays from Python strings, without pandas (which `pa.array` of a list would import)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rejse.transforms.schema.contract import CODED


def text(values: Sequence[str | None]) -> pa.Array:
    """String array of Python strings; None is null.

    Raises UnicodeEncodeError for a lone surrogate, which no UTF-8 text can hold.
    """
    raw = [b"" if value is None else value.encode() for value in values]
    sizes = np.fromiter((len(one) for one in raw), dtype=np.int64, count=len(raw))
    offsets = np.zeros(len(raw) + 1, dtype=np.int32)
    np.cumsum(sizes, out=offsets[1:])
    mask = None
    if any(value is None for value in values):
        known = np.fromiter((value is not None for value in values), dtype=bool, count=len(raw))
        mask = pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    return pa.StringArray.from_buffers(
        len(raw), pa.py_buffer(offsets), pa.py_buffer(b"".join(raw)), mask
    )


def constant(value: str | None, rows: int) -> pa.Array:
    """Dictionary-encoded array of one text, repeated; None gives nulls."""
    if value is None:
        return pa.nulls(rows, CODED)
    codes = pa.Array.from_buffers(
        pa.int32(), rows, [None, pa.py_buffer(np.zeros(rows, dtype=np.int32))]
    )
    return pa.DictionaryArray.from_arrays(codes, text([value]))


def coded(column: pa.Array) -> pa.Array:
    """Column as dictionary of int32 codes and texts, each text once.

    A null text of the dictionary becomes a null row.
    """
    if not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    if column.dictionary.null_count or not _distinct(column.dictionary):
        return column.cast(column.type.value_type).dictionary_encode()
    return column if column.type == CODED else column.cast(CODED)


def _distinct(dictionary: pa.Array) -> bool:
    return len(dictionary.unique()) == len(dictionary)


def hexadecimal(digests: bytes, size: int, digits: int) -> pa.Array:
    """First `digits` hex digits of each digest; `digests` are joined, `size` bytes each."""
    table = np.frombuffer(digests, dtype=np.uint8).reshape(-1, size)[:, : digits // 2]
    letters = table.tobytes().hex().encode()
    offsets = np.arange(len(table) + 1, dtype=np.int32) * np.int32(digits)
    return pa.StringArray.from_buffers(len(table), pa.py_buffer(offsets), pa.py_buffer(letters))
