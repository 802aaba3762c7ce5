"""The edge in one call, for tests: rows in an owner's columns through mapping and contract."""

from __future__ import annotations

import json
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.sources import files
from rejse.pipelines.sources.files import RawBatch
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
            found = batch.batch.to_pylist()
            rows += [{**one, "_row": n} for one, n in zip(found, numbers, strict=True)]
            refused += batch.rejects.to_pylist()
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


def json_lines(found: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in found)
