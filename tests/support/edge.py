"""The edge in one call, for tests: rows in an owner's columns through mapping and contract."""

from __future__ import annotations

import json
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.sources import files
from rejse.pipelines.sources.decompress import ByteStream
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.read_csv import Csv
from rejse.pipelines.sources.read_json import JsonLines
from rejse.transforms.identity.pseudonyms import pseudonymise
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from rejse.transforms.ingest.validate import accept
from tests.support import edge

KEY = b"a key that is no secret: tests only"
TEXTS = ("id", "time", "identity", "activity", "channel")
RAW = pa.schema([(name, pa.string()) for name in TEXTS])
PLAIN = "select id, cast(time as timestamptz) as time, identity, activity, channel from source"


def raw(rows: Sequence[Dict[str, Any]], schema: pa.Schema = RAW, file: str = "log") -> RawBatch:
    """Raw batch of rows, numbered from 1."""
    batch = pa.RecordBatch.from_pylist([dict(row) for row in rows], schema=schema)
    return RawBatch("crm", file, 1, batch, None, rejects.empty())


def row(n: int, **given: Any) -> dict[str, Any]:
    """A raw row that is accepted, but for what is given."""
    base = {
        "id": f"e{n}", "time": f"2026-01-05T09:00:{n % 60:02d}Z", "identity": f"c{n}",
        "activity": "view", "channel": "web",
    }  # fmt: skip
    return {**base, **given}


def read(path: Path, schema: pa.Schema) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of a file and its rejects, both as dictionaries; rows carry their number as `_row`."""
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for shard in files.pieces("crm", path):
        for batch in files.read(shard, schema):
            numbers = (
                range(batch.first_row, batch.first_row + batch.batch.num_rows)
                if batch.positions is None
                else batch.positions.to_pylist()
            )
            rows_of_batch = batch.batch.to_pylist()
            rows += [{**row, "_row": n} for row, n in zip(rows_of_batch, numbers, strict=True)]
            refused += batch.rejects.to_pylist()
    return rows, refused


def read_in_blocks(
    reader: Csv | JsonLines, path: Path, size: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """As `read`, so many bytes at a time."""
    rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    with ByteStream(path) as stream:
        for part in reader.parts(stream, size):
            numbered = zip(part.batch.to_pylist(), part.rows.tolist(), strict=True)
            rows += [{**row, "_row": n} for row, n in numbered]
            refused += part.rejects.to_pylist()
    return rows, refused


def through(
    mapping: SourceMapping, batch: RawBatch, non_persons: tuple[str, ...] = ()
) -> tuple[pa.RecordBatch, pa.Table, dict[str, int]]:
    """Events of a raw batch, all its rejects, and the notes."""
    canonical, first = normalise(mapping, batch)
    accepted, second, notes = accept(canonical)
    events, third = pseudonymise(accepted, KEY, non_persons)
    return events, rejects.join([first, second, third]), notes


def raw_rows(n: int) -> list[dict[str, Any]]:
    return [edge.row(i, activity=None if i % 7 == 0 else f"a{i % 5}") for i in range(n)]


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
