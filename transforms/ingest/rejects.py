"""Rejects: refused rows, each with source, position, reason and payload."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.schema.registry import Column, Table

#: During a run `payload` is raw; published rejects hold its keyed hash only.
REJECT_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("position", pa.string()),
        ("id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("payload", pa.string()),
    ]
)

REJECTS = Table(
    "rejects",
    "rejected row of input",
    ("source", "position"),
    (
        Column("source", pa.string(), "Configured source.", nullable=False),
        Column(
            "position",
            pa.string(),
            "file:row, file:byte or kafka://topic/partition:offset.",
            nullable=False,
        ),
        Column("id", pa.string(), "Id of the event where it could be read (keyed hash)."),
        Column("reason", pa.string(), "Reason, a short code.", nullable=False),
        Column("detail", pa.string(), "What was expected, what came."),
        Column("payload_hmac", pa.string(), "Keyed hash of the payload, which is in quarantine."),
    ),
)

#: Meaning of each reason that no row rule gives, and what to do; row rules declare their own.
REASONS: Mapping[str, str] = {
    "malformed_row": "A CSV record has another number of cells than the header, or a stray quote."
    " Correct the export: quote cells, and double the quotes within.",
    "repeated_header": "A line of a CSV file is its header again, as where several files were"
    " joined. Nothing is lost.",
    "not_json": "A line is no JSON in UTF-8. Correct the export: one object a line.",
    "not_an_object": "A line is JSON, but no object. Correct the export: one object a line.",
    "too_deep": "A line is nested deeper than the reader goes. Flatten it in the export.",
    "invalid_unicode": "A text has half of a surrogate pair. Correct the export.",
    "invalid_utf8": "A text is not in UTF-8. Convert the file, or state its `encoding` in"
    " `[sources.NAME.csv]`.",
    "type_mismatch": "A value does not fit its type in the schema file. Make the column a string"
    " there, and `try_cast` it in the SELECT.",
    "not_avro": "A message is no Avro: neither a record after the number of its schema, nor a"
    " container; or the registry has no such schema. Set `format` and `schema.registry.url`.",
    "not_arrow": "A message is no whole Arrow IPC stream, or has types that no schema file can"
    " write. Set `format`, and send each message as a stream of its own.",
    "no_value": "A message has no value (a tombstone). It deletes its key in a compacted topic,"
    " and no row here; to erase a person use `rejse forget`.",
    "record_too_large": "A record, or a text of Parquet, is longer than 1 MiB. Shorten it in the"
    " export.",
    "truncated_file": "A compressed file ends too early; rows before its end are read. Copy it"
    " again, whole.",
    "damaged_file": "A file cannot be decompressed to its end; rows before the damage are read."
    " Copy it again.",
    "compression_bomb": "A file would grow more than a hundredfold. Unpack it if that is right;"
    " write Parquet without compression.",
    "unreadable_parquet": "A Parquet file is damaged; the rows from the position on are lost."
    " Write it again.",
    "unknown_format": "A file is a ZIP archive. Unpack it.",
    "mapping_failed": "An expression of the SELECT fails for the row; the detail is DuckDB's"
    " message. Use `try_cast` or `try_strptime`.",
    "refused_by_mapping": "The SELECT gives a text in `reject`; it is the detail.",
    "bad_sequence": "`sequence` is no integer. Leave it out or make it one.",
    "time_in_future": "`time` is later than the run's clock plus `future`. Check year and zone; the"
    " row is taken when its time has come ([future](ingest.md#the-future)).",
    "non_person": "The identity is in `non_persons`: it stands for no person"
    " ([non-persons](identity.md#non-persons)).",
    "event_cap": "The identity has more events than `max_events`. Add it to `non_persons` if it"
    " stands for no person, else raise `max_events` ([non-persons](identity.md#non-persons)).",
}

#: Where the details of a reason begin to quote the row, in DuckDB's and the readers' messages.
QUOTES = {
    "mapping_failed": re.compile(":"),
    "type_mismatch": re.compile(", c(?:ame|ouldn't) | '|: (?!expected)"),
}

#: The reason of rejects that only an id locates, and the prefix of such a position.
CAPPED, BY_ID = "event_cap", "event "

#: Column of a batch during ingest: row of the file, from 1. It is dropped at the end of ingest.
ROW = "_row"
#: Columns that no reject shows: texts have their own storage and retention.
HIDDEN_COLUMNS = (ROW, "text_redacted")
#: Schema metadata of such a batch: names of its file and of its source.
FILE, SOURCE = b"rejse.file", b"rejse.source"
#: Marks a batch whose ids are hashes of raw rows. With the rest of a row, identities could be
#: guessed from them, so they are hashed again under the key with the identities.
ROW_IDS = b"rejse.row_ids"


def empty() -> pa.Table:
    """Return a table without rejects."""
    return REJECT_SCHEMA.empty_table()


def refuse(
    source: str,
    positions: Sequence[str],
    reason: Sequence[str] | str,
    details: Sequence[str] | str,
    payloads: Sequence[str | None],
    ids: Sequence[str | None] | None = None,
) -> pa.Table:
    """Return rejects (REJECT_SCHEMA), one a position; a single reason or detail holds for all."""
    n = len(positions)
    if isinstance(details, str):
        details = [details] * n
    columns = [
        text([source] * n),
        text(positions),
        text(ids if ids is not None else [None] * n),
        text([reason] * n if isinstance(reason, str) else reason),
        text([printable(detail) for detail in details]),
        text([None if p is None else printable(p) for p in payloads]),
    ]
    return pa.Table.from_arrays(columns, schema=REJECT_SCHEMA)


def printable(value: str) -> str:
    """Escape lone surrogates, which UTF-8 cannot encode."""
    return value.encode("utf-8", "backslashreplace").decode()


def unquoted(reason: str, detail: str) -> str:
    """Cut a detail where it begins to quote the row, whose values must not be published."""
    begins = QUOTES.get(reason)
    return begins.split(detail, maxsplit=1)[0] if begins else detail


def keyed_position(reason: str, position: str, keyed_id: str | None) -> str:
    """Return a position as published: the keyed hash where it is an id."""
    return f"{BY_ID}{keyed_id}" if reason == CAPPED else position


def keyed_hash(key: bytes, name: str, value: str) -> str:
    """Return the published form of a payload or id.

    It is the first 32 hex digits of HMAC-SHA-256(key, name 0x1F value).
    """
    return hmac.new(key, f"{name}\x1f{value}".encode(), hashlib.sha256).hexdigest()[:32]


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables of rejects in order."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        return empty()
    return filled[0] if len(filled) == 1 else pa.concat_tables(filled)


def positions(batch: pa.RecordBatch) -> list[str]:
    """Return the position `file:row` of each row of a batch with ROW and FILE."""
    name = (batch.schema.metadata or {}).get(FILE, b"").decode()
    if ROW not in batch.schema.names:
        return [name] * batch.num_rows
    return [f"{name}:{row}" for row in batch.column(ROW).to_pylist()]


def origin(source: str, name: str) -> dict[bytes, bytes]:
    """Return schema metadata that names the source and file of a batch."""
    return {FILE: name.encode(), SOURCE: source.encode()}


def of_rows(batch: pa.RecordBatch, reason: str, detail: Sequence[str] | str) -> pa.Table:
    """Return rejects of all rows of a batch during ingest; the payload is the row as JSON."""
    names = [name for name in batch.schema.names if name not in HIDDEN_COLUMNS]
    cells = [_cells(batch.column(name)) for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    source = (batch.schema.metadata or {}).get(SOURCE, b"").decode()
    ids = [row.get("id") for row in rows]
    known = ids if all(ident is None or isinstance(ident, str) for ident in ids) else None
    payloads = [json.dumps(row, default=str, ensure_ascii=False) for row in rows]
    return refuse(source, positions(batch), reason, detail, payloads, known)


def _cells(column: pa.Array) -> list[object]:
    """Return the values of a column; values beyond Python (year 300000) as Arrow writes them."""
    try:
        cells: list[object] = column.to_pylist()
    except (OverflowError, ValueError):
        cells = [_cell(column.slice(row, 1)) for row in range(len(column))]
    return cells


def _cell(column: pa.Array) -> object:
    try:
        return column[0].as_py()
    except (OverflowError, ValueError):
        return " ".join(column.to_string().split())
