"""Turn raw batches into canonical rows: apply the mapping, then derive what the contract allows."""

from __future__ import annotations

from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.columnar.string_arrays import coded, constant, text
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.ingest.casts import REJECT
from rejse.transforms.ingest.identity_spelling import whole_numbers
from rejse.transforms.ingest.mapping import BAD_SEQUENCE, SourceMapping
from rejse.transforms.ingest.rejects import ROW
from rejse.transforms.schema.contract import Contract

#: Direction of an interaction on a channel, where the source does not say.
DIRECTION_OF = {"internal": "internal", "campaign": "outbound"}


class Raw(Protocol):
    """What a reader yields: rows of one file, in the columns of the source.

    `positions` are the row numbers in the file, or texts that name the rows; without them rows are
    consecutive from `first_row`.
    """

    @property
    def source(self) -> str:
        """Name of the source."""

    @property
    def file(self) -> str:
        """Name of the file."""

    @property
    def first_row(self) -> int:
        """Number of the first row."""

    @property
    def batch(self) -> pa.RecordBatch:
        """The rows."""

    @property
    def positions(self) -> pa.Array | None:
        """Row numbers, where they are not consecutive."""


def normalise(mapping: SourceMapping, raw: Raw) -> tuple[pa.RecordBatch, pa.Table]:
    """Return the canonical batch of a raw batch, and rejects of the rows that the mapping refuses.

    The batch has the columns of its contract's `canonical(mapping.columns)` and the row number
    (`_row`), which is dropped at the end of ingest. `info.value_hmac` and `claims.value_hmac` still
    hold raw values. Derived where missing: id (hash of the row), source, identitytype customer,
    direction from the channel, actor_type customer of inbound, system of others; respondent_type
    customer. Rows for which an expression fails are rejected as `mapping_failed`, those with a text
    in `reject` as `refused_by_mapping`, those whose sequence is no integer as `bad_sequence`. The
    rejects of the reader are not repeated.
    """
    batch = _with_positions(raw)
    columns, batch, refused = _apply_mapping(mapping, batch)
    bad: list[tuple[Bools, str]] = []
    if REJECT in columns:
        bad.append((valid(columns[REJECT]), "refused_by_mapping"))
    if BAD_SEQUENCE in columns:
        bad.append((values(columns[BAD_SEQUENCE]).copy(), "bad_sequence"))
    canonical = _canonical(mapping, columns, batch)
    for mask, reason in bad:
        if mask.any():
            details = _details(columns, mask, reason)
            refused.append(refusals.of_rows(batch.filter(arrow(mask)), reason, details))
    if any(mask.any() for mask, _ in bad):
        canonical = canonical.filter(arrow(~np.logical_or.reduce([mask for mask, _ in bad])))
    return canonical, refusals.join(refused)


def unread(
    mapping: SourceMapping, raw: Raw, canonical: pa.RecordBatch
) -> dict[str, pa.RecordBatch]:
    """Return the raw cells that the mapping could not cast (`try_cast`), by canonical column.

    Only cells with content count, of rows that are in the canonical batch.
    """
    cells_by_column = {}
    for name, raw_columns in mapping.nullable_casts.items():
        null = ~valid(canonical.column(name))
        if not null.any():
            continue
        rows = pc.index_in(canonical.column(ROW), value_set=_with_positions(raw).column(ROW))
        cells = raw.batch.select(list(raw_columns)).take(rows)
        has_content = np.logical_or.reduce([_has_content(column) for column in cells.columns])
        if (null & has_content).any():
            cells_by_column[name] = cells.filter(arrow(null & has_content))
    return cells_by_column


def _has_content(column: pa.Array) -> Bools:
    """Return the mask of cells that are neither null nor blank."""
    if pa.types.is_dictionary(column.type):
        codes = np.where(valid(column), values(column.indices), len(column.dictionary))
        return np.append(_has_content(column.dictionary), False)[codes]
    has_content = valid(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        has_content = has_content & values(
            pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False)
        )
    return np.asarray(has_content)


def _with_positions(raw: Raw) -> pa.RecordBatch:
    rows = raw.positions
    if rows is None:
        rows = arrow(np.arange(raw.first_row, raw.first_row + raw.batch.num_rows))
    schema = raw.batch.schema.append(pa.field(ROW, rows.type))
    schema = schema.with_metadata(refusals.origin(raw.source, raw.file))
    return pa.RecordBatch.from_arrays([*raw.batch.columns, rows], schema=schema)


def _apply_mapping(
    mapping: SourceMapping, batch: pa.RecordBatch
) -> tuple[dict[str, pa.Array], pa.RecordBatch, list[pa.Table]]:
    """Return the mapped columns, the rows they belong to, and rejects of the rows that fail."""
    raw = batch.drop_columns([ROW])
    try:
        return mapping.run(raw), batch, []
    except duckdb.Error:
        is_failing, messages = mapping.failing_rows(raw)
    refused = refusals.of_rows(batch.filter(arrow(is_failing)), "mapping_failed", messages)
    kept = batch.filter(arrow(~is_failing))
    return mapping.run(kept.drop_columns([ROW])), kept, [refused]


def _details(columns: dict[str, pa.Array], mask: Bools, reason: str) -> list[str] | str:
    if reason == "bad_sequence":
        return "sequence is no integer; leave it out or make it one"
    details: list[str] = columns[REJECT].filter(arrow(mask)).to_pylist()
    return details


def _canonical(
    mapping: SourceMapping, columns: dict[str, pa.Array], batch: pa.RecordBatch
) -> pa.RecordBatch:
    rows = batch.num_rows
    contract = mapping.contract
    canonical = {name: column for name, column in columns.items() if name in contract.by_name}
    if "case_id" in canonical:  # a case is spelled as identities are
        canonical["case_id"] = whole_numbers(canonical["case_id"])
    canonical["source"] = _filled(canonical.get("source"), mapping.source, rows)
    canonical["identitytype"] = _filled(canonical.get("identitytype"), "customer", rows)
    _derive(contract, canonical, rows)
    schema = contract.canonical({*mapping.columns, *canonical})
    arrays = [_typed(canonical[field.name], field.type) for field in schema]
    marks = (
        batch.schema.metadata
        if "id" in mapping.columns
        else {**batch.schema.metadata, refusals.ROW_IDS: b""}
    )
    rows_of = batch.column(ROW)
    schema = schema.append(pa.field(ROW, rows_of.type)).with_metadata(marks)
    return pa.RecordBatch.from_arrays([*arrays, rows_of], schema=schema)


def _derive(contract: Contract, canonical: dict[str, pa.Array], rows: int) -> None:
    """Derive missing columns that the contract allows."""
    if "respondent_type" in contract.by_name:
        canonical["respondent_type"] = _filled(canonical.get("respondent_type"), "customer", rows)
    if "channel" not in contract.by_name:
        return
    canonical["channel"] = coded(canonical["channel"])
    canonical["direction"] = _coalesced(
        canonical.get("direction"), _direction(canonical["channel"])
    )
    canonical["actor_type"] = _coalesced(
        canonical.get("actor_type"), _actor_type(canonical["direction"])
    )


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return coded(column)
    return column if column.type == kind else column.cast(kind)


def _filled(column: pa.Array | None, value: str, rows: int) -> pa.Array:
    return constant(value, rows) if column is None else _coalesced(column, constant(value, rows))


def _coalesced(column: pa.Array | None, derived: pa.Array) -> pa.Array:
    """Fill the nulls of a column from another."""
    if column is None:
        return derived
    column = coded(column)
    if column.null_count == 0:
        return column
    texts = pa.concat_arrays([column.dictionary, derived.dictionary])
    known = valid(column)
    codes = np.where(
        known, values(column.indices), values(derived.indices) + len(column.dictionary)
    )
    ok = known | valid(derived)
    return coded(
        pa.DictionaryArray.from_arrays(arrow(np.where(ok, codes, 0).astype(np.int32), ok=ok), texts)
    )


def _direction(channel: pa.DictionaryArray) -> pa.Array:
    names = ["inbound", "internal", "outbound"]
    of_value = [
        names.index(DIRECTION_OF.get(value or "", "inbound"))
        for value in channel.dictionary.to_pylist()
    ]
    return _recoded(channel, of_value, names)


def _actor_type(direction: pa.DictionaryArray) -> pa.Array:
    of_value = [0 if value == "inbound" else 1 for value in direction.dictionary.to_pylist()]
    return _recoded(direction, of_value, ["customer", "system"])


def _recoded(column: pa.DictionaryArray, of_value: list[int], names: list[str]) -> pa.Array:
    """Map each value of a column to another; a null counts as the last entry, code 0."""
    codes = np.array([*of_value, 0], dtype=np.int32)
    rows = np.where(valid(column), values(column.indices), len(of_value))
    return pa.DictionaryArray.from_arrays(arrow(codes[rows]), text(names))
