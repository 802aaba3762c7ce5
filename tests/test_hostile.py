"""Hostile files that others collected: no crash, no silent loss, nothing changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.read_json import JsonLines
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.rejects import printable
from rejse.transforms.schema.contract import BY_NAME
from tests.support import edge

#: csv-spectrum's own JSON disagrees with its CSV in this one cell.
MISPRINT = ("location_coordinates", "Contact Phone Number", "2095257564", "1234567890")
#: Its dictionary has one value and its codes no bits: legal, and read alike by all readers.
READABLE = "ARROW-GH-43605"
#: Text fields of the contract that an owner may fill as he likes.
FREE = sorted(
    name
    for name, field in BY_NAME.items()
    if pa.types.is_string(field.type)
    and not field.values
    and name
    not in ("id", "source", "identity", "activity", "previousidentity", "actor_id", "case_id")
)
#: Cases join as identities do: whole floats among their names are written as whole numbers.
WHOLE = {"1.00": "1", "-1.00": "-1", "-0.0": "0", "0.00": "0"}


def suite(real_data: Path) -> list[Path]:
    paths = sorted((real_data / "hostile" / "json_suite" / "test_parsing").glob("*.json"))
    assert len(paths) == 318
    return paths


def schema_of(data: bytes) -> pa.Schema:
    """Every key of an object that a schema can name as text, which holds any value."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    names = [name for name in value if name == printable(name)] if isinstance(value, dict) else []
    return pa.schema([(name, pa.string()) for name in names] or [("a", pa.string())])


def test_each_json_text_as_one_record(real_data: Path) -> None:
    verdicts = {}
    for path in suite(real_data):
        data = path.read_bytes()
        part = JsonLines(schema_of(data), "crm", path.name).records([data], np.array([1]))
        reasons = part.rejects.column("reason").to_pylist()
        blank = not data.strip(b" \t\r\n")
        assert part.batch.num_rows + len(reasons) == (0 if blank else 1), path.name
        verdicts[path.name] = reasons[0] if reasons else "blank" if blank else "taken"
        if path.name.startswith("n_"):
            assert verdicts[path.name] in ("not_json", "too_deep", "blank"), path.name
        if path.name.startswith("y_"):
            value = json.loads(data)
            wanted = "taken" if isinstance(value, dict) else "not_an_object"
            assert verdicts[path.name] == wanted, path.name
        if verdicts[path.name] == "taken":
            assert_unchanged(part.batch.to_pylist()[0], json.loads(data))
    assert sum(name.startswith("y_") for name in verdicts) == 95
    assert sum(name.startswith("n_") for name in verdicts) == 188


def assert_unchanged(row: dict[str, Any], value: dict[str, Any]) -> None:
    for name, read in row.items():
        original = value.get(name)
        assert read == original or json.loads(read) == original, (name, read, original)


def test_each_json_text_as_a_file_of_lines(real_data: Path, tmp_path: Path) -> None:
    # A document over several lines is several records: each is taken or refused by itself.
    for path in suite(real_data):
        data = path.read_bytes()
        (tmp_path / "l.jsonl").write_bytes(data + b'\n{"a":"the next line"}\n')
        rows, refused = edge.read(tmp_path / "l.jsonl", pa.schema([("a", pa.string())]))
        body = data.removeprefix(b"\xef\xbb\xbf")
        filled = sum(bool(line.strip(b" \t\r\n")) for line in body.split(b"\n"))
        assert len(rows) + len(refused) == filled + 1, path.name
        assert rows[-1]["a"] == "the next line", path.name
        if path.name.startswith("n_") and filled == 1:
            assert [reject["reason"] for reject in refused] in (["not_json"], ["too_deep"]), (
                path.name
            )


def naughty(real_data: Path) -> list[str]:
    strings = json.loads((real_data / "hostile" / "blns" / "blns.json").read_text("utf-8"))
    assert len(strings) == 515
    return [str(string) for string in strings]


def write(path: Path, texts: list[str]) -> None:
    table = pa.table({"n": [str(n) for n in range(len(texts))], "text": texts})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        arrow_csv.write_csv(table, path, arrow_csv.WriteOptions(quoting_style="all_valid"))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), "utf-8")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_naughty_strings_survive_in_every_text_field(
    real_data: Path, tmp_path: Path, kind: str
) -> None:
    texts = naughty(real_data)
    write(tmp_path / f"l.{kind}", texts)
    schema = pa.schema([("n", pa.string()), ("text", pa.string())])
    rows, refused = edge.read(tmp_path / f"l.{kind}", schema)
    assert refused == []
    assert [row["text"] for row in rows] == texts
    fields = ", ".join(f'text as "{name}"' for name in FREE)
    mapping = SourceMapping(
        "select n as id, timestamp '2026-01-01' as time, 'c' || text as identity,"
        f" 'x' || text as activity, 'web' as channel, {{'key': text}} as attrs, {fields},"
        " text as case_id from source",
        schema,
        "crm",
    )
    batch = pa.RecordBatch.from_pylist([{k: row[k] for k in schema.names} for row in rows], schema)
    events, none, notes = edge.through(
        mapping, RawBatch("crm", "l", 1, batch, None, rejects.empty())
    )
    assert none.num_rows == 0
    for name in FREE:  # the empty text is none there, and counted
        assert events.column(name).to_pylist() == [text or None for text in texts], name
        assert notes[f"empty_{name}"] == texts.count("")
    cases = events.column("case_id").to_pylist()
    assert cases == [WHOLE.get(text, text) or None for text in texts]
    assert events.column("activity").to_pylist() == [f"x{text}" for text in texts]
    assert [dict(text)["key"] for text in events.column("attrs").to_pylist()] == texts
    assert len(set(events.column("customer_key").to_pylist())) == len(set(texts))


def test_naughty_strings_are_refused_as_they_are(real_data: Path) -> None:
    texts = naughty(real_data)
    batch = edge.raw([edge.row(n, time=text, activity=text) for n, text in enumerate(texts)])
    _, refused, _ = edge.through(SourceMapping(edge.PLAIN, edge.RAW, "crm"), batch)
    payloads = [json.loads(payload) for payload in refused.column("payload").to_pylist()]
    at = [
        int(position.partition(":")[2]) - 1 for position in refused.column("position").to_pylist()
    ]
    assert len(at) > 500
    assert [payload["activity"] for payload in payloads] == [texts[place] for place in at]


def test_csv_spectrum(real_data: Path) -> None:
    folder = real_data / "hostile" / "csv_spectrum"
    paths = sorted((folder / "csvs").glob("*.csv"))
    assert len(paths) == 12
    for path in paths:
        wanted = json.loads((folder / "json" / f"{path.stem}.json").read_text("utf-8"))
        wanted = wanted if isinstance(wanted, list) else [wanted]
        if path.stem == MISPRINT[0]:
            assert wanted[0][MISPRINT[1]] == MISPRINT[3]
            wanted[0][MISPRINT[1]] = MISPRINT[2]
        schema = pa.schema([(name, pa.string()) for name in wanted[0]])
        rows, refused = edge.read(path, schema)
        assert refused == []
        assert rows == [{**row, "_row": n + 1} for n, row in enumerate(wanted)], path.name


def test_corrupt_parquet(real_data: Path) -> None:
    paths = sorted((real_data / "hostile" / "parquet_bad" / "bad_data").glob("*.parquet"))
    assert len(paths) == 8
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError):
            schema = edge.RAW
        rows, refused = edge.read(path, schema)
        if path.stem == READABLE:
            same = duckdb.sql(f"select min_fl from '{path}'").fetchall()
            assert [(row["min_fl"],) for row in rows] == same and refused == []
            continue
        assert rows == [], path.name
        assert [reject["reason"] for reject in refused] == ["unreadable_parquet"], path.name
        assert refused[0]["detail"] and refused[0]["position"] == f"{path.name}:1"


def test_mutated_files_lose_nothing(real_data: Path, tmp_path: Path) -> None:
    """Bytes changed at random: every line is a row or a reject, and nothing raises."""
    random = np.random.default_rng(7)
    lines = b"".join(json.dumps(edge.row(n)).encode() + b"\n" for n in range(20))
    for _ in range(200):
        data = bytearray(lines)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        (tmp_path / "l.jsonl").write_bytes(data)
        rows, refused = edge.read(tmp_path / "l.jsonl", edge.RAW)
        filled = sum(bool(line.strip(b" \t\r\n")) for line in bytes(data).split(b"\n"))
        assert len(rows) + len(refused) == filled
        texts = [json.dumps({k: v for k, v in row.items() if k != "_row"}) for row in rows]
        kept = set(lines.decode().splitlines())
        assert len(kept.intersection(texts)) >= 14
