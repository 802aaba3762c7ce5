"""Empty strings become null: JSON and CSV write "none" either way."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.columnar.list_arrays import elements, with_elements, with_part
from rejse.transforms.columnar.string_arrays import coded
from rejse.transforms.schema.contract import TEXT, Contract


def is_empty_string(column: pa.Array) -> Bools:
    """Return the mask of rows of a text column, coded or plain, that hold the empty text."""
    known = valid(column)
    if not pa.types.is_dictionary(column.type):
        is_empty: Bools = (values(pc.binary_length(column)) == 0) & known
        return is_empty
    empty = values(pc.binary_length(column.dictionary)) == 0
    if not empty.any():
        return known & False
    coded_blank: Bools = empty[values(column.indices) * known] & known
    return coded_blank


def without_empty_strings(
    batch: pa.RecordBatch, contract: Contract
) -> tuple[pa.RecordBatch, dict[str, int]]:
    """Replace empty texts by null where null is allowed; count them by field.

    Parts of structures, alone or in lists, are counted by their names, such as `empty_promise.id`.
    """
    notes: dict[str, int] = {}
    for field in contract.fields:
        position = batch.schema.get_field_index(field.name)
        if position < 0 or field.need == "R":
            continue
        column, counts = _filled(batch.column(position), f"empty_{field.name}")
        if counts:
            notes |= counts
            batch = batch.set_column(position, batch.schema.field(position), column)
    return batch, notes


def _filled(column: pa.Array, note: str) -> tuple[pa.Array, dict[str, int]]:
    """Replace empty texts in a column of texts, structures or lists of structures."""
    kind = column.type
    if pa.types.is_struct(kind):
        return _parts(column, note)
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        inner, counts = _parts(elements(column), note)
        return (with_elements(column, inner) if counts else column), counts
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return _text(column, note, is_empty_string(column))
    return column, {}


def _text(column: pa.Array, note: str, empty: Bools) -> tuple[pa.Array, dict[str, int]]:
    if not empty.any():
        return column, {}
    filled = pc.if_else(arrow(empty), pa.scalar(None, TEXT), column.cast(TEXT))
    is_coded = pa.types.is_dictionary(column.type)
    return (coded(filled) if is_coded else filled), {note: int(empty.sum())}


def _parts(column: pa.StructArray, note: str) -> tuple[pa.StructArray, dict[str, int]]:
    notes: dict[str, int] = {}
    for part in column.type:
        if pa.types.is_string(part.type):
            texts = column.field(part.name)
            replaced, counts = _text(
                texts, f"{note}.{part.name}", is_empty_string(texts) & valid(column)
            )
            if counts:
                column, notes = with_part(column, part.name, replaced), notes | counts
    return column, notes
