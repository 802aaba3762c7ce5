"""Empty texts: JSON and CSV write "none" either way, and `""` names no owner, case or promise."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.columnar.list_arrays import elements, with_elements, with_part
from rejse.transforms.columnar.string_arrays import coded
from rejse.transforms.schema.contract import TEXT, Contract


def is_empty_string(column: pa.Array) -> Bools:
    """Rows of a text column, coded or plain, that hold the empty text."""
    known = valid(column)
    if not pa.types.is_dictionary(column.type):
        found: Bools = (values(pc.binary_length(column)) == 0) & known
        return found
    empty = values(pc.binary_length(column.dictionary)) == 0
    if not empty.any():
        return known & False
    coded_blank: Bools = empty[values(column.indices) * known] & known
    return coded_blank


def without_empty_strings(
    batch: pa.RecordBatch, contract: Contract
) -> tuple[pa.RecordBatch, dict[str, int]]:
    """The batch with null for the empty text where null is allowed, and how many by field.

    Parts of structures, alone or in lists, are counted by their names, such as `empty_promise.id`.
    """
    notes: dict[str, int] = {}
    for field in contract.fields:
        place = batch.schema.get_field_index(field.name)
        if place < 0 or field.need == "R":
            continue
        column, found = _filled(batch.column(place), f"empty_{field.name}")
        if found:
            notes |= found
            batch = batch.set_column(place, batch.schema.field(place), column)
    return batch, notes


def _filled(column: pa.Array, note: str) -> tuple[pa.Array, dict[str, int]]:
    """A column of texts, structures or lists of structures without empty texts."""
    kind = column.type
    if pa.types.is_struct(kind):
        return _parts(column, note)
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        inner, found = _parts(elements(column), note)
        return (with_elements(column, inner) if found else column), found
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
            text = column.field(part.name)
            replaced, found = _text(
                text, f"{note}.{part.name}", is_empty_string(text) & valid(column)
            )
            if found:
                column, notes = with_part(column, part.name, replaced), notes | found
    return column, notes
