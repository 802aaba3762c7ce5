"""Parquet: what is refused, though another reader might take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.sources.decompress import RECORD
from tests.support import edge


def read(folder: Path, table: pa.Table, schema: pa.Schema, **how: Any) -> Any:
    pq.write_table(table, folder / "l.parquet", **how)
    rows, refused = edge.read(folder / "l.parquet", schema)
    return rows, [(row["position"], row["reason"]) for row in refused]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1 no footer PAR1", b"\0" * 5000])
def test_what_is_no_parquet(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "l.parquet").write_bytes(data)
    rows, refused = edge.read(tmp_path / "l.parquet", edge.RAW)
    assert rows == []
    assert [(row["position"], row["reason"]) for row in refused] == [
        ("l.parquet:1", "unreadable_parquet")
    ]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    table = pa.table({"id": [f"e{n}" for n in range(1000)]})
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[data.find(b"e500")] ^= 1
    path.write_bytes(data)
    rows, refused = edge.read(path, edge.RAW)
    assert (rows, [row["reason"] for row in refused]) == ([], ["unreadable_parquet"])


def test_types_are_cast_or_the_row_is_refused(tmp_path: Path) -> None:
    table = pa.table({"n": ["1", "x", "3"], "t": pa.array([1, 2, 3], pa.timestamp("ms", "UTC"))})
    schema = pa.schema([("n", pa.int64()), ("t", pa.timestamp("us", "UTC"))])
    rows, refused = read(tmp_path, table, schema)
    assert [row["n"] for row in rows] == [1, 3]
    assert refused == [("l.parquet:2", "type_mismatch")]


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0")
    texts = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"a\xffc"))
    for use_dictionary in (False, True):
        rows, refused = read(
            tmp_path, pa.table({"id": texts}), edge.RAW, use_dictionary=use_dictionary
        )
        assert [row["id"] for row in rows] == ["a", "c"]
        assert refused == [("l.parquet:2", "invalid_utf8")]


def test_a_text_that_is_too_long(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "x" * (RECORD + 1), "c", None]})
    rows, refused = read(tmp_path, table, edge.RAW, compression="none")
    assert [row["id"] for row in rows] == ["a", "c", None]
    assert refused == [("l.parquet:2", "record_too_large")]


def test_a_bomb(tmp_path: Path) -> None:
    table = pa.table({"id": ["x" * 100_000] * 200})
    rows, refused = read(tmp_path, table, edge.RAW, compression="zstd", use_dictionary=False)
    assert (rows, refused) == ([], [("l.parquet:1", "compression_bomb")])


def test_one_text_of_a_dictionary_that_is_no_utf8_refuses_its_rows_only(tmp_path: Path) -> None:
    texts = pa.array(["good"] * 900 + ["bad!"] * 2 + ["fine"] * 98)
    pq.write_table(pa.table({"a": texts}), tmp_path / "l.parquet", compression="none")
    data = (tmp_path / "l.parquet").read_bytes()
    assert data.count(b"bad!") >= 1
    at = data.index(b"bad!")  # in the dictionary page, before any statistics
    (tmp_path / "l.parquet").write_bytes(data[: at + 2] + b"\xff" + data[at + 3 :])
    rows, refused = edge.read(tmp_path / "l.parquet", pa.schema([("a", pa.string())]))
    assert [row["reason"] for row in refused] == ["invalid_utf8"] * 2
    assert [row["position"] for row in refused] == ["l.parquet:901", "l.parquet:902"]
    assert [row["a"] for row in rows] == ["good"] * 900 + ["fine"] * 98
