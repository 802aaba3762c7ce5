"""String arrays: from Python strings, constants and hex digits; dictionary encoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rejse.transforms.schema.contract import CODED


def text(values: Sequence[str | None]) -> pa.Array:
    """Return a string array of Python strings; None is null.

    Raises UnicodeEncodeError for a lone surrogate, which UTF-8 cannot encode.
    """
    return pa.array(values, pa.string())


def constant(value: str | None, rows: int) -> pa.Array:
    """Return a dictionary-encoded array that repeats one text; None gives nulls."""
    if value is None:
        return pa.nulls(rows, CODED)
    codes = pa.repeat(pa.scalar(0, pa.int32()), rows)
    return pa.DictionaryArray.from_arrays(codes, text([value]))


def coded(column: pa.Array) -> pa.Array:
    """Encode a column as a dictionary of int32 codes and distinct texts.

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
    """Return the first `digits` hex digits of each digest.

    `digests` are joined, `size` bytes each.
    """
    table = np.frombuffer(digests, dtype=np.uint8).reshape(-1, size)[:, : digits // 2]
    letters = table.tobytes().hex().encode()
    offsets = np.arange(len(table) + 1, dtype=np.int32) * np.int32(digits)
    return pa.StringArray.from_buffers(len(table), pa.py_buffer(offsets), pa.py_buffer(letters))
