"""Which files a source has, in which pieces, and that every format reads the same rows."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config.file_layout import AS_USUAL
from rejse.pipelines.sources import files, listing, read_parquet
from rejse.pipelines.sources.listing import SourceError
from rejse.transforms.ingest.rejects import REJECT_SCHEMA
from tests.support import edge
from tests.support.edge import RAW, json_lines, raw_rows


def source(*globs: Path | str) -> Any:
    return SimpleNamespace(name="crm", files=tuple(str(glob) for glob in globs), layout=AS_USUAL)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows in the format and compression that the name says."""
    table = pa.Table.from_pylist(rows, schema=RAW)
    plain = path.name.removesuffix(".gz").removesuffix(".zst")
    if plain.endswith("parquet"):
        pq.write_table(table, path, row_group_size=10)
        return
    if plain.endswith("csv"):
        sink = pa.BufferOutputStream()
        arrow_csv.write_csv(table, sink)
        data = sink.getvalue().to_pybytes()
    else:
        data = json_lines(rows)
    if path.name.endswith(".gz"):
        data = gzip.compress(data)
    if path.name.endswith(".zst"):
        data = pa.compress(data, codec="zstd", asbytes=True)
    path.write_bytes(data)


NAMES = ["l.jsonl", "l.ndjson.gz", "l.json.zst", "l.csv", "l.csv.gz", "l.csv.zst", "l.parquet"]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_reads_the_same_rows(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, raw_rows(25))
    rows, refused = edge.read(tmp_path / name, RAW)
    assert refused == []
    assert rows == [{**row, "_row": n + 1} for n, row in enumerate(raw_rows(25))]


@pytest.mark.parametrize("name", NAMES)
def test_columns_come_and_go(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, raw_rows(3))
    schema = pa.schema([("new", pa.int64()), ("identity", pa.string())])
    rows, refused = edge.read(tmp_path / name, schema)
    assert refused == []
    assert [(row["new"], row["identity"]) for row in rows] == [(None, f"c{i}") for i in range(3)]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_rows(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, [])
    assert edge.read(tmp_path / name, RAW) == ([], [])


def test_parquet_is_read_in_pieces(tmp_path: Path) -> None:
    write(tmp_path / "l.parquet", raw_rows(64))
    (whole,) = files.shards(source(tmp_path / "*.parquet"))
    groups = read_parquet.groups(whole.path, least_rows=25)
    assert groups == [((0, 1, 2), 1), ((3, 4, 5), 31), ((6,), 61)]
    firsts = [
        (batch.first_row, batch.batch.num_rows)
        for row_groups, first_row in groups
        for batch in files.read(replace(whole, row_groups=row_groups, first_row=first_row), RAW)
    ]
    assert [first for first, _ in firsts] == [1, 31, 61]
    assert sum(rows for _, rows in firsts) == 64


def test_large_blocks_are_cut_into_batches(tmp_path: Path) -> None:
    write(tmp_path / "l.csv", raw_rows(25))
    batches = list(files.read(files.pieces("crm", tmp_path / "l.csv")[0], RAW, batch_rows=10))
    assert [(batch.first_row, batch.batch.num_rows) for batch in batches] == [
        (1, 10),
        (11, 10),
        (21, 5),
    ]
    assert all(batch.rejects.schema == REJECT_SCHEMA for batch in batches)


def test_globs(tmp_path: Path) -> None:
    (tmp_path / "2026" / "01").mkdir(parents=True)
    for name in ("2026/01/a.jsonl", "2026/b.jsonl", "c.csv"):
        write(tmp_path / name, raw_rows(1))
    shards = files.shards(
        source(tmp_path / "**/*.jsonl", tmp_path / "2026/b.jsonl", tmp_path / "c.csv")
    )
    assert [shard.file for shard in shards] == ["2026/01/a.jsonl", "2026/b.jsonl", "c.csv"]


def test_what_a_store_holds_is_no_source(tmp_path: Path) -> None:
    for name in ("a.jsonl", "store/quarantine/1.jsonl", "other/a.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, raw_rows(1))
    (tmp_path / "store" / listing.LOG_OF_A_STORE).mkdir(parents=True)
    matches = {glob: [f.file for f in listing.files(source(tmp_path / glob))]
                for glob in ("**/*.jsonl", "store/quarantine/*.jsonl")}  # fmt: skip
    assert matches == {
        "**/*.jsonl": ["a.jsonl", "other/a.jsonl"],
        "store/quarantine/*.jsonl": ["1.jsonl"],  # who names it means it
    }


def test_positions_name_file_and_row(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "l.jsonl").write_bytes(json_lines(raw_rows(1)) + b"\nnope\n")
    shard = files.shards(source(tmp_path / "*" / "l.jsonl"))[0]
    batch = next(iter(files.read(shard, RAW)))
    assert batch.rejects.column("position").to_pylist() == ["x/l.jsonl:3"]


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source crm: expected files at .*nothing"):
        listing.expect_files(source(tmp_path / "nothing-*.csv"))
    assert files.shards(source(tmp_path / "nothing-*.csv")) == []


def test_files_of_two_globs_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "l.jsonl").write_bytes(json_lines(raw_rows(1)))
    shards = files.shards(source(tmp_path / "a/*.jsonl", tmp_path / "b/*.jsonl"))
    assert [shard.file for shard in shards] == ["a/l.jsonl", "b/l.jsonl"]


@pytest.mark.parametrize("name", ["in[1]", "what?", "a*b"])
def test_a_folder_may_be_called_like_a_glob(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "l.jsonl").write_bytes(json_lines(raw_rows(1)))
    assert [shard.file for shard in files.shards(source(tmp_path / name / "*.jsonl"))] == [
        "l.jsonl"
    ]


def test_an_archive_is_refused_and_stops_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "l.zip").write_bytes(b"PK..")
    write(tmp_path / "m.csv", raw_rows(2))
    archive, log = files.shards(source(tmp_path / "*"))
    (batch,) = files.read(archive, RAW)
    assert batch.batch.num_rows == 0 and batch.batch.schema == RAW
    (refused,) = batch.rejects.to_pylist()
    assert (refused["source"], refused["position"]) == ("crm", "l.zip:1")
    assert refused["reason"] == "unknown_format"
    assert "expected a log, came a ZIP archive; unpack it" in refused["detail"]
    assert sum(part.batch.num_rows for part in files.read(log, RAW)) == 2
    with pytest.raises(SourceError, match=r"l\.zip: expected a log"):  # who makes a mapping of it
        files.format_of(tmp_path / "l.zip")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a":1}', "json"),
        (b"a,b\n", "csv"),
        (b"PAR1", "parquet"),
        (gzip.compress(b" {", mtime=0), "json"),
    ],
)
def test_other_names_go_by_the_first_bytes(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "app.log").write_bytes(data)
    assert files.format_of(tmp_path / "app.log") == kind


def test_few_texts_stay_a_dictionary(tmp_path: Path) -> None:
    write(tmp_path / "l.parquet", [edge.row(i, activity="same", time="t") for i in range(500)])
    part = next(iter(files.read(files.pieces("crm", tmp_path / "l.parquet")[0], RAW)))
    assert pa.types.is_string(part.batch.schema.field("id").type)
    pq.write_table(pa.table({"activity": ["a", "b"] * 5000}), tmp_path / "m.parquet")
    part = next(iter(files.read(files.pieces("crm", tmp_path / "m.parquet")[0], RAW)))
    assert pa.types.is_dictionary(part.batch.schema.field("activity").type)
