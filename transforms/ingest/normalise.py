"""Raw batches as canonical interactions: the mapping, then what the contract lets us derive."""

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
    """What a reader gives: rows of one file, in its owner's own columns.

    `positions` (int64, from 1) are the rows' places in the file; without them they are
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
        """Numbers of the rows, where they are not consecutive."""


def normalise(mapping: SourceMapping, raw: Raw) -> tuple[pa.RecordBatch, pa.Table]:
    """Canonical batch of a raw batch, and the rows that the mapping refuses.

    The batch has the columns of its contract's `canonical(mapping.columns)` and, until the edge's
    end, the row number (`_row`). `info.value_hmac` and `claims.value_hmac` hold the raw value
    still. Derived where missing: id (hash of the row), source, identitytype customer, direction
    from the channel, actor_type customer of inbound, system of others; respondent_type customer.
    Rows for which an expression fails are rejected as `mapping_failed`, those with a text in
    `reject` as `refused_by_mapping`, those whose sequence is no integer as `bad_sequence`. The
    reader's own rejects are not repeated.
    """
    batch = _located(raw)
    columns, batch, refused = _mapped(mapping, batch)
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
    """Raw cells that say something and that the mapping gave up on (`try_cast`), by the canonical
    column which is null for them; of the rows of the canonical batch made of the raw one.
    """
    found = {}
    for name, tried in mapping.tried.items():
        null = ~valid(canonical.column(name))
        if not null.any():
            continue
        rows = pc.index_in(canonical.column(ROW), value_set=_located(raw).column(ROW))
        cells = raw.batch.select(list(tried)).take(rows)
        says = np.logical_or.reduce([_says(column) for column in cells.columns])
        if (null & says).any():
            found[name] = cells.filter(arrow(null & says))
    return found


def _says(column: pa.Array) -> Bools:
    """Cells that are neither null nor blank."""
    if pa.types.is_dictionary(column.type):
        codes = np.where(valid(column), values(column.indices), len(column.dictionary))
        return np.append(_says(column.dictionary), False)[codes]
    said = valid(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        said = said & values(pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False))
    return np.asarray(said)


def _located(raw: Raw) -> pa.RecordBatch:
    rows = raw.positions
    if rows is None:
        rows = arrow(np.arange(raw.first_row, raw.first_row + raw.batch.num_rows))
    schema = raw.batch.schema.append(pa.field(ROW, pa.int64()))
    schema = schema.with_metadata(refusals.origin(raw.source, raw.file))
    return pa.RecordBatch.from_arrays([*raw.batch.columns, rows], schema=schema)


def _mapped(
    mapping: SourceMapping, batch: pa.RecordBatch
) -> tuple[dict[str, pa.Array], pa.RecordBatch, list[pa.Table]]:
    """Columns that the mapping gives, the rows they stand for, and the rows it fails for."""
    raw = batch.drop_columns([ROW])
    try:
        return mapping.run(raw), batch, []
    except duckdb.Error:
        guilty, messages = mapping.guilty(raw)
    refused = refusals.of_rows(batch.filter(arrow(guilty)), "mapping_failed", messages)
    kept = batch.filter(arrow(~guilty))
    return mapping.run(kept.drop_columns([ROW])), kept, [refused]


def _details(columns: dict[str, pa.Array], mask: Bools, reason: str) -> list[str] | str:
    if reason == "bad_sequence":
        return "sequence is no integer; leave it out or make it one"
    said: list[str] = columns[REJECT].filter(arrow(mask)).to_pylist()
    return said


def _canonical(
    mapping: SourceMapping, columns: dict[str, pa.Array], batch: pa.RecordBatch
) -> pa.RecordBatch:
    rows = batch.num_rows
    contract = mapping.contract
    made = {name: one for name, one in columns.items() if name in contract.by_name}
    if "case_id" in made:  # a case joins as identities do
        made["case_id"] = whole_numbers(made["case_id"])
    made["source"] = _filled(made.get("source"), mapping.source, rows)
    made["identitytype"] = _filled(made.get("identitytype"), "customer", rows)
    _derive(contract, made, rows)
    schema = contract.canonical({*mapping.columns, *made})
    arrays = [_typed(made[field.name], field.type) for field in schema]
    marks = (
        batch.schema.metadata
        if "id" in mapping.columns
        else {**batch.schema.metadata, refusals.ROW_IDS: b""}
    )
    schema = schema.append(pa.field(ROW, pa.int64())).with_metadata(marks)
    return pa.RecordBatch.from_arrays([*arrays, batch.column(ROW)], schema=schema)


def _derive(contract: Contract, made: dict[str, pa.Array], rows: int) -> None:
    """Fill in what the contract lets us derive."""
    if "respondent_type" in contract.by_name:
        made["respondent_type"] = _filled(made.get("respondent_type"), "customer", rows)
    if "channel" not in contract.by_name:
        return
    made["channel"] = coded(made["channel"])
    made["direction"] = _else(made.get("direction"), _direction(made["channel"]))
    made["actor_type"] = _else(made.get("actor_type"), _actor_type(made["direction"]))


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return coded(column)
    return column if column.type == kind else column.cast(kind)


def _filled(column: pa.Array | None, value: str, rows: int) -> pa.Array:
    return constant(value, rows) if column is None else _else(column, constant(value, rows))


def _else(column: pa.Array | None, derived: pa.Array) -> pa.Array:
    """Column with its nulls taken from another."""
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
    """Column whose value depends on another's; a null there is taken as its first value."""
    codes = np.array([*of_value, 0], dtype=np.int32)
    rows = np.where(valid(column), values(column.indices), len(of_value))
    return pa.DictionaryArray.from_arrays(arrow(codes[rows]), text(names))
