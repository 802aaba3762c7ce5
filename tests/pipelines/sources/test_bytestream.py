"""Compressed files: what damage and bombs cost, and what they do not."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from rejse.pipelines.sources import files
from rejse.pipelines.sources.decompress import ByteStream
from tests.support import edge
from tests.support.edge import json_lines, raw_rows

DATA = json_lines(raw_rows(3000))
PACKED = {"gz": gzip.compress(DATA), "zst": pa.compress(DATA, codec="zstd", asbytes=True)}


def drained(path: Path, size: int = 10_000) -> tuple[bytes, str | None]:
    with ByteStream(path) as stream:
        parts = []
        while part := stream.read(size):
            parts.append(part)
        return b"".join(parts), stream.fault[0] if stream.fault else None


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_whole_files_whatever_their_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "log").write_bytes(PACKED[kind])
    (tmp_path / "twice").write_bytes(PACKED[kind] * 2)
    assert drained(tmp_path / "log") == (DATA, None)
    assert drained(tmp_path / "twice") == (DATA * 2, None)


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.99])
def test_a_truncated_file_gives_what_came_before(tmp_path: Path, kind: str, part: float) -> None:
    cut = PACKED[kind][: int(len(PACKED[kind]) * part)]
    (tmp_path / f"l.jsonl.{kind}").write_bytes(cut)
    data, fault = drained(tmp_path / f"l.jsonl.{kind}")
    assert fault == "truncated_file" and DATA.startswith(data)
    rows, refused = edge.read(tmp_path / f"l.jsonl.{kind}", edge.RAW)
    assert len(rows) == data.count(b"\n")
    assert [(reject["position"], reject["reason"]) for reject in refused] == [
        (f"l.jsonl.{kind}:{len(rows) + 1}", "truncated_file")
    ]


def test_a_truncated_gzip_file_loses_nothing_that_zlib_would_give(tmp_path: Path) -> None:
    import zlib

    cut = PACKED["gz"][:-20]
    (tmp_path / "l").write_bytes(cut)
    assert drained(tmp_path / "l")[0] == zlib.decompressobj(31).decompress(cut)


@pytest.mark.parametrize("name", ["l.jsonl", "l.csv"])
def test_garbage_behind_the_end(tmp_path: Path, name: str) -> None:
    data = DATA if name == "l.jsonl" else b"id\n" + b"x1\n" * 50
    (tmp_path / name).write_bytes(gzip.compress(data) + b"garbage")
    rows, refused = edge.read(tmp_path / name, edge.RAW)
    assert len(rows) == (3000 if name == "l.jsonl" else 50)
    assert [reject["reason"] for reject in refused] == ["damaged_file"]


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("line", [b'{"id":"x"}\n', b" "])
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, kind: str, line: bytes) -> None:
    data = line * (24_000_000 // len(line))
    path = tmp_path / f"l.jsonl.{kind}"
    path.write_bytes(
        gzip.compress(data, 1) if kind == "gz" else pa.compress(data, codec="zstd", asbytes=True)
    )
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    shard = files.pieces("crm", path)[0]
    for batch in files.read(shard, pa.schema([("absent", pa.string())])):
        last = batch.rejects
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.column("reason").to_pylist() == ["compression_bomb"]
    assert peak + pa.total_allocated_bytes() - before < 512_000_000


def test_small_files_may_be_as_regular_as_they_like(tmp_path: Path) -> None:
    data = b'{"id":"x"}\n' * 9000  # below 100 KiB
    (tmp_path / "l.jsonl.gz").write_bytes(gzip.compress(data))
    rows, refused = edge.read(tmp_path / "l.jsonl.gz", edge.RAW)
    assert (len(rows), refused) == (9000, [])
