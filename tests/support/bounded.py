"""Transcripts by the bounded pipeline: files and settings on disk, a run, the catalogue's views.

Transcripts that share settings and frontiers share a run; their customers and ids are told apart
by the transcript's number, which is taken off again before anything is compared.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.config import raw_schema
from rejse.pipelines.config.settings import load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication.catalogue import connect
from rejse.transforms.dimensions import customer_records
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.schema.contract import INTERACTIONS, Contract
from tests.support import builders, transcript_links
from tests.support.oracle import rows
from tests.support.transcript import (
    ORDER,
    Rows,
    Transcript,
    alias,
    links_of,
    mark,
    marked,
    records_of,
    without_mark,
)

KEY = bytes(range(32))


class Run:
    """One run over several transcripts, and each one's tables."""

    def __init__(self, transcripts: Sequence[Transcript], folder: Path, **given: Any) -> None:
        self.numbers = {transcript.name: number for number, transcript in enumerate(transcripts)}
        write(transcripts, folder)
        settings = load(folder / "rejse.toml")
        request = RunRequest(complete_until=transcripts[0].frontiers, audit=None, **given)
        self.result: RunResult = run(settings, request)
        self.con = connect(settings.store)

    def tables(self, transcript: Transcript) -> dict[str, Rows]:
        """The transcript's rows of every table, its number taken off ids and references."""
        number = self.numbers[transcript.name]
        events = (*transcript.events, *transcript.experience)
        linked = transcript_links.of_links(transcript.links)
        keys = {
            hmac.new(KEY, f"{kind}:{alias(number, name)}".encode(), hashlib.sha256).hexdigest()[:32]
            for kind, name in transcript_links.of_rows(events) | linked
        }
        return {
            name: [
                without_mark(row, number)
                for key in sorted(keys)
                for row in by_customer.get(key, ())
            ]
            for name, by_customer in self._tables.items()
        }

    @cached_property
    def _tables(self) -> dict[str, dict[str, Rows]]:
        """The rows of every table by customer."""
        tables: dict[str, dict[str, Rows]] = {name: {} for name in ORDER}
        for name, by_customer in tables.items():
            for row in rows(self.con, f"select * from v_{name}"):
                by_customer.setdefault(row["customer_key"], []).append(row)
        return tables


def write(transcripts: Sequence[Transcript], folder: Path) -> list[str]:
    """Configuration and sources of transcripts that share settings; the names of the sources."""
    records = records_of(transcripts)
    asked = x_sources(transcripts)
    named = {**dict.fromkeys(asked, "experience"), **{kind: kind for kind in records}}
    _write_settings(transcripts[0], named, folder, links_of(transcripts))
    for kind, rows_of_kind in records.items():
        _write_of_kind(kind, rows_of_kind, folder)
    for source in transcripts[0].frontiers:
        _write_source(source, list(transcripts), folder)
    for source in asked:
        _write_records(source, transcripts, folder)
    return [*transcripts[0].frontiers, *named]


def x_sources(transcripts: Sequence[Transcript]) -> list[str]:
    """Names of the sources of X-records."""
    return sorted({name for transcript in transcripts for name in transcript.x_frontiers})


def _write_settings(
    transcript: Transcript,
    joined: Mapping[str, str],
    folder: Path,
    links: Sequence[Mapping[str, Any]] = (),
) -> None:
    """`rejse.toml`, the key and the operational tables of a transcript."""
    (folder / "rejse.key").write_text(KEY.hex())
    declared = transcript.config.get("sources", {})
    lines = ['store = "store"', 'key_file = "rejse.key"']
    for source in transcript.frontiers:
        lines += [
            f"[sources.{source}]",
            f'files = ["{source}.jsonl"]',
            f'mapping = "{source}.sql"',
            f'schema = "{source}.json"',
            f"declares = {json.dumps(sorted(declared.get(source, [])))}",
        ]
    for source, kind in joined.items():
        lines += [
            f"[sources.{source}]",
            f'kind = "{kind}"',
            f'files = ["{source}.jsonl"]',
            f'mapping = "{source}.sql"',
            f'schema = "{source}.json"',
        ]
    # Stories go on beyond today; what is ahead of the clock has tests of its own.
    windows = {"future": "36500d", **transcript.config.get("windows", {})}
    lines += ["[windows]", *_toml(windows)]
    lines += ["[texts]", *_toml(transcript.config.get("texts", {}))]
    for name, of_type in transcript.config.get("types", {}).items():
        lines += [f"[types.{name}]", *_toml(of_type)]
    given: dict[str, Sequence[Mapping[str, Any]]] = {
        name: table for name, table in transcript.operational.items() if table
    }
    if links:
        given["identity_links"] = transcript_links.file_rows(links)
    lines += ["[operational]", *(f'{name} = "{name}.csv"' for name in given)]
    (folder / "rejse.toml").write_text("\n".join(lines) + "\n")
    for name, table in given.items():
        _write_csv(table, folder / f"{name}.csv")


def _toml(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]


def _write_csv(table: Sequence[Mapping[str, Any]], path: Path) -> None:
    names = list({name: None for row in table for name in row})
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in row.items()} for row in table)


def _text(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _write_source(source: str, transcripts: list[Transcript], folder: Path) -> None:
    """JSON lines of a source's events, its raw schema, and a mapping of them as they are."""
    rows = [
        _raw(event, at, number)
        for number, transcript in enumerate(transcripts)
        for at, event in enumerate(transcript.events, start=1)
        if event.get("source", "crm") == source
    ]
    _write_rows(source, rows, INTERACTIONS, folder)


def _write_records(source: str, transcripts: Sequence[Transcript], folder: Path) -> None:
    """The same of a source of X-records."""
    rows = [
        builders.full_record(marked(record, transcript, number, at))
        | {"identity": alias(number, record.get("customer", "ann"))}
        for number, transcript in enumerate(transcripts)
        for at, record in enumerate(transcript.experience, start=1)
        if record.get("source", "survey") == source
    ]
    for row in rows:
        del row["customer_key"], row["bucket"], row["source"]
    _write_rows(source, rows, EXPERIENCE, folder)


def _write_of_kind(kind: str, records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """The same of the records of a kind, which bear their source themselves."""
    rows = [
        builders.full_of_kind(row) | {"identity": row["customer"], "identitytype": "customer"}
        for row in records
    ]
    for row in rows:
        del row["customer_key"], row["bucket"], row["source"]
    _write_rows(kind, rows, customer_records.CONTRACTS[kind], folder)


def _of_json(kind: pa.DataType) -> pa.DataType:
    """The type as JSON has it: a day inside a struct is a text."""
    if not pa.types.is_struct(kind):
        return kind
    return pa.struct(
        [field.with_type(pa.string()) if pa.types.is_date(field.type) else field for field in kind]
    )


def _write_rows(
    source: str, rows: Sequence[Mapping[str, Any]], contract: Contract, folder: Path
) -> None:
    names = {name for row in rows for name, value in row.items() if value is not None}
    schema = pa.schema(
        [
            field.with_type(_of_json(field.type.value_type if _coded(field) else field.type))
            for field in contract.canonical(names)
            if field.name != "source"
        ]
    )
    lines = [json.dumps({n: row.get(n) for n in schema.names}, default=_text) for row in rows]
    (folder / f"{source}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / f"{source}.sql").write_text(f"select {', '.join(schema.names)} from source\n")
    raw_schema.write(folder / f"{source}.json", schema)


def _coded(field: pa.Field) -> bool:
    return bool(pa.types.is_dictionary(field.type))


def _raw(event: Mapping[str, Any], at: int, number: int) -> dict[str, Any]:
    """An event as its source would write it: identity in the clear, id told apart."""
    row = builders.full(event, at)
    row["identity"] = alias(number, event.get("customer", "ann"))
    if row.get("previousidentity") is not None:
        row["previousidentity"] = alias(number, row["previousidentity"])
    row["id"] = mark(number) + row["id"]
    return {k: v for k, v in row.items() if k not in ("customer_key", "bucket", "source")}
