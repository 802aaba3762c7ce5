"""CSV: regular files by Arrow, damaged ones record by record; damage stays where it is."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rejse.pipelines.sources.read_csv import Csv
from tests.support import edge
from tests.support.law import examples

SCHEMA = pa.schema([("a", pa.string()), ("b", pa.int64())])
TEXT = pa.schema([("a", pa.string()), ("b", pa.string())])


def read(folder: Path, data: bytes, schema: pa.Schema = SCHEMA) -> Any:
    path = folder / "l.csv"
    path.write_bytes(data)
    return listed(*edge.read(path, schema))


def listed(rows: list[dict[str, Any]], refused: list[dict[str, Any]]) -> Any:
    return [tuple(row.values()) for row in rows], [(o["position"], o["reason"]) for o in refused]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n", [("1", 2, 1)]),
        (b"a,b\r\n1,2\r\n\r\n3,4", [("1", 2, 1), ("3", 4, 2)]),
        (b'\xef\xbb\xbfa,b\n"x\ny",2\n', [("x\ny", 2, 1)]),
        (b'a,b\n"q""q",2\n"",\n,5\n', [('q"q', 2, 1), ("", None, 2), (None, 5, 3)]),
        (b'a,b\n5" pipe,2\nx,3\n', [('5" pipe', 2, 1), ("x", 3, 2)]),
        (b"b;a\n2;x,y\n", [("x,y", 2, 1)]),
        (b"a\tb\n00123\t2\n", [("00123", 2, 1)]),
        (b'"a","b"\n"x","2"', [("x", 2, 1)]),
        (b'"a\nline",a,b\n1,2,3\n', [("2", 3, 1)]),
        (b"a,b", []), (b"a,b\n", []), (b"", []), (b"\n\n", []),
    ],
)  # fmt: skip
def test_taken(tmp_path: Path, data: bytes, rows: list[Any]) -> None:
    assert read(tmp_path, data) == (rows, [])


def test_repeated_names(tmp_path: Path) -> None:
    schema = pa.schema([("a_1", pa.string()), ("a", pa.string()), ("a_2", pa.string())])
    assert read(tmp_path, b"a,a,a\n1,2,3\n", schema)[0] == [("2", "1", "3", 1)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "malformed_row"), (b"1,2,3", "malformed_row"), (b"x,nope", "type_mismatch"),
        (b"x,9223372036854775808", "type_mismatch"), (b"\xff,2", "invalid_utf8"),
        (b'"x"y,1', "malformed_row"), (b'"never closed,1', "malformed_row"),
        (b"x\ry,1", "malformed_row"), (b"x" * (1 << 20) + b",1", "record_too_large"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, line: bytes, reason: str) -> None:
    rows, refused = read(tmp_path, b"a,b\nfirst,1\n" + line + b'\nlast,3\n"after ""all""",4\n')
    assert refused == [("l.csv:2", reason)]
    assert rows == [("first", 1, 1), ("last", 3, 3), ('after "all"', 4, 4)]


def test_a_quote_that_is_never_closed_costs_its_line_only(tmp_path: Path) -> None:
    data = b"a,b\n" + b'"open,0\n' + b"".join(b"v%d,%d\n" % (n, n) for n in range(300_000))
    rows, refused = read(tmp_path, data)
    assert refused == [("l.csv:1", "malformed_row")]
    assert len(rows) == 300_000 and rows[-1] == ("v299999", 299_999, 300_001)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from("\n "), st.booleans())
@settings(max_examples=examples(80))
def test_what_python_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    end: str,
    all_quoted: bool,
) -> None:
    out = io.StringIO()
    dialect = csv.unix_dialect if all_quoted else csv.excel
    writer = csv.writer(out, dialect, lineterminator="\n" if end == "\n" else "\r\n")
    if not all_quoted:  # Python leaves a bare carriage return unquoted, which means a line's end
        rows = [(a.replace("\r", ""), b.replace("\r", "")) for a, b in rows]
    writer.writerows([("a", "b"), *rows])
    accepted, refused = read(tmp_path_factory.mktemp("csv"), out.getvalue().encode(), TEXT)
    assert refused == []
    assert [(a or "", b or "") for a, b, _ in accepted] == rows
    if all_quoted:
        assert [(a, b) for a, b, _ in accepted] == rows


PIECES = st.sampled_from(
    [
        b'"',
        b'""',
        b",",
        b",",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"x",
        b"y",
        b"\xc3\xa9",
        b"\xff",
        b"\0",
        b" ",
    ]
)


@given(
    st.lists(PIECES, max_size=40).map(lambda pieces: b"a,b\n" + b"".join(pieces)),
    st.integers(1, 20),
)
@example(b'a,b\n\r"\n"",', 1)  # a last line without an end, in a block of its own
@settings(max_examples=examples(200))
def test_anything_is_read_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    whole = read(folder, data, TEXT)
    parts = edge.read_in_blocks(Csv(TEXT, "crm", "l.csv"), folder / "l.csv", size + 4)
    assert listed(*parts) == whole
