"""Rejects: rows that were refused, each with its source, position, reason and payload."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence

import pyarrow as pa

from rejse.transforms.columnar.string_arrays import text

#: In flight `payload` is raw; what is published holds its keyed hash only.
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

#: Where the details of a reason begin to quote the row: DuckDB's words, and those of the readers.
QUOTES = {
    "mapping_failed": re.compile(":"),
    "type_mismatch": re.compile(", c(?:ame|ouldn't) | '|: (?!expected)"),
}

#: The reason under which only the id says which row it was, and what stands before it there.
CAPPED, BY_ID = "event_cap", "event "

#: Column of a batch on its way through the edge: row of the file, from 1. It ends at the edge.
ROW = "_row"
#: Columns that no reject shows: texts have a place and a time of their own.
HIDDEN_COLUMNS = (ROW, "text_redacted")
#: Schema metadata of such a batch: names of its file and of its source.
FILE, SOURCE = b"rejse.file", b"rejse.source"
#: Marks a batch whose ids are hashes of the raw rows: whoever knows the rest of a row could try
#: identities against them, so they are hashed again under the key where identities are.
ROW_IDS = b"rejse.row_ids"


def empty() -> pa.Table:
    """No rejects."""
    return REJECT_SCHEMA.empty_table()


def refuse(
    source: str,
    positions: Sequence[str],
    reason: Sequence[str] | str,
    details: Sequence[str] | str,
    payloads: Sequence[str | None],
    ids: Sequence[str | None] | None = None,
) -> pa.Table:
    """Table (REJECT_SCHEMA) with one row a position; one reason or detail holds for all."""
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
    """Text in which lone surrogates, which UTF-8 cannot hold, are written as escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def unquoted(reason: str, detail: str) -> str:
    """A detail up to where it quotes the row, whose values are for its owner's eyes only."""
    begins = QUOTES.get(reason)
    return begins.split(detail, maxsplit=1)[0] if begins else detail


def keyed_position(reason: str, position: str, keyed_id: str | None) -> str:
    """A position as it may be published: where it is the id, its keyed hash."""
    return f"{BY_ID}{keyed_id}" if reason == CAPPED else position


def keyed_hash(key: bytes, name: str, value: str) -> str:
    """What is published of a payload or an id: 32 hex digits of HMAC-SHA-256(key, name 0x1F it)."""
    return hmac.new(key, f"{name}\x1f{value}".encode(), hashlib.sha256).hexdigest()[:32]


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """All rejects of several tables, in their order."""
    filled = [table for table in tables if table.num_rows]
    if not filled:
        return empty()
    return filled[0] if len(filled) == 1 else pa.concat_tables(filled)


def positions(batch: pa.RecordBatch) -> list[str]:
    """Position `file:row` of each row of a batch that carries ROW and FILE."""
    name = (batch.schema.metadata or {}).get(FILE, b"").decode()
    if ROW not in batch.schema.names:
        return [name] * batch.num_rows
    return [f"{name}:{row}" for row in batch.column(ROW).to_pylist()]


def origin(source: str, name: str) -> dict[bytes, bytes]:
    """Schema metadata that says where a batch comes from."""
    return {FILE: name.encode(), SOURCE: source.encode()}


def of_rows(batch: pa.RecordBatch, reason: str, detail: Sequence[str] | str) -> pa.Table:
    """Rejects of all rows of a batch on its way through the edge, payload its row as JSON."""
    names = [name for name in batch.schema.names if name not in HIDDEN_COLUMNS]
    cells = [_cells(batch.column(name)) for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
    named = (batch.schema.metadata or {}).get(SOURCE, b"").decode()
    ids = [row.get("id") for row in rows]
    known = ids if all(one is None or isinstance(one, str) for one in ids) else None
    payloads = [json.dumps(row, default=str, ensure_ascii=False) for row in rows]
    return refuse(named, positions(batch), reason, detail, payloads, known)


def _cells(column: pa.Array) -> list[object]:
    """Values of a column; those that Python cannot hold (the year 300000) as Arrow writes them."""
    try:
        found: list[object] = column.to_pylist()
    except (OverflowError, ValueError):
        found = [_cell(column.slice(row, 1)) for row in range(len(column))]
    return found


def _cell(column: pa.Array) -> object:
    try:
        return column[0].as_py()
    except (OverflowError, ValueError):
        return " ".join(column.to_string().split())
