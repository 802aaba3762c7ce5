"""A large text file in pieces: the rows, their numbers and the rejects of the whole."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.sources import files
from rejse.pipelines.sources.decompress import RECORD
from rejse.pipelines.sources.files import Shard
from rejse.pipelines.sources.read_csv import BLOCK

SCHEMA = pa.schema([("a", pa.string()), ("n", pa.int64())])
#: More than three blocks of a reader, so that there is where to cut.
ROWS, WIDTH = 7 * BLOCK // (2 * 1024), 1024


def padded(number: int) -> str:
    return f"{number} " + "x" * (WIDTH - 20)


def csv_rows(quoted: bool, period: int = 0, odd: str = "") -> str:
    """Rows of some 1,024 bytes; quoted ones hold line ends; every so many are `odd`."""
    mark = '"' if quoted else ""
    end = '\nand "" on' if quoted else ""
    lines = ["a,n"]
    for number in range(ROWS):
        is_odd = period and number % period == period - 1
        lines.append(odd if is_odd else f"{mark}{padded(number)}{end}{mark},{number}")
    return "\n".join(lines) + "\n"


def json_rows(period: int = 0, odd: str = "") -> str:
    return "".join(
        odd + "\n" if period and number % period == period - 1
        else json.dumps({"a": padded(number), "n": number}) + "\n"
        for number in range(ROWS)
    )  # fmt: skip


def read(shards: list[Shard]) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
    """Rows with their numbers, and rejects, of all pieces."""
    rows, rejects = [], []
    for shard in shards:
        for raw in files.read(shard, SCHEMA):
            if raw.batch.num_rows:
                assert raw.positions is not None
                columns = (raw.positions, *raw.batch.columns)
                rows += list(zip(*(column.to_pylist() for column in columns), strict=True))
            rejects += raw.rejects.to_pylist()
    return rows, rejects


def halves(path: Path) -> tuple[Shard, list[Shard]]:
    (whole,) = files.pieces("crm", path)
    return whole, files.split(whole, BLOCK // 2)


#: A line that is too long, over the end of the second block.
LONG = json.dumps({"a": "x" * 3 * RECORD})


#: Texts and how many pieces they have: what only a careful reading can count stays in one.
TEXTS: dict[str, tuple[Callable[[], str], int]] = {
    "plain.csv": (lambda: csv_rows(quoted=False), 3),
    "quoted.csv": (lambda: csv_rows(quoted=True), 3),
    "windows.csv": (lambda: csv_rows(quoted=True).replace("\n", "\r\n"), 3),
    "wrong width.csv": (lambda: csv_rows(False, 1_000, "1,2,3"), 3),
    "wrong type.csv": (lambda: csv_rows(False, 1_000, "a,b"), 3),
    "no end of line.csv": (lambda: csv_rows(False).rstrip("\n"), 3),
    "stray quotes.csv": (lambda: csv_rows(True, ROWS - 5, 'a "b" c,1'), 3),
    "stray quotes at first.csv": (lambda: csv_rows(True, 7_000, 'a "b" c,1'), 1),
    "never closed.csv": (lambda: csv_rows(False, ROWS - 5, '"a,1'), 3),
    "blank.csv": (lambda: csv_rows(False, 1_000, ""), 1),
    "lines.jsonl": (json_rows, 4),
    "blank.jsonl": (lambda: json_rows(1_000, ""), 4),
    "no JSON.jsonl": (lambda: json_rows(1_000, "{no"), 4),
    "too long.jsonl": (lambda: json_rows(15_000, LONG), 2),
    "mark.jsonl": (lambda: "\ufeff" + json_rows(), 4),
}


@pytest.mark.parametrize("name", TEXTS)
def test_pieces_are_the_whole(tmp_path: Path, name: str) -> None:
    text, pieces = TEXTS[name]
    path = tmp_path / name
    path.write_bytes(text().encode())
    whole, parts = halves(path)
    assert len(parts) == pieces
    assert read(parts) == read([whole])
    spans = [part.span or (0, path.stat().st_size) for part in parts]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == path.stat().st_size


def test_pieces_differ_where_a_row_is_lost(tmp_path: Path) -> None:
    """Broken on purpose: the comparison would see it."""
    path = tmp_path / "plain.csv"
    path.write_text(csv_rows(quoted=False))
    whole, (first, *rest) = halves(path)
    assert read(rest) != read([whole])
    assert len(read([first, *rest])[0]) == ROWS


def test_small_and_compressed_files_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_text("a,n\nb,1\n")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(csv_rows(True).encode(), 1))
    (tmp_path / "archive.zip").write_bytes(b"PK\x03\x04" + random.Random(1).randbytes(99))
    for path in tmp_path.iterdir():
        whole, parts = halves(path)
        assert parts == [whole], path.name
