"""CSV files as they are really written: encodings, preambles, headers, delimiters, line ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.config.csv_options import CsvOptions
from rejse.pipelines.config.file_layout import FileLayout
from rejse.pipelines.sources import files
from tests.support.law import examples

RAW = pa.schema([("who", pa.string()), ("what", pa.string())])
ROWS = [("Zoë", "køb"), ("Ann", "call")]
Rows = list[tuple[Any, ...]]


def read(folder: Path, content: bytes, raw: pa.Schema = RAW, **options: Any) -> tuple[Rows, Rows]:
    """Rows of a file, and its rejects by position and reason."""
    path = folder / "log.csv"
    path.write_bytes(content)
    rows: Rows = []
    refused: Rows = []
    for shard in files.pieces("crm", path, layout=FileLayout(CsvOptions(**options))):
        for piece in files.split(shard, 8):
            for batch in files.read(piece, raw):
                rows += [tuple(row.values()) for row in batch.batch.to_pylist()]
                refused += [(r["position"], r["reason"]) for r in batch.rejects.to_pylist()]
    return rows, refused


def text(rows: Rows, end: str = "\n", between: str = ",") -> str:
    return "".join(between.join(row) + end for row in [("who", "what"), *rows])


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "mac-roman"])
def test_an_encoding_that_is_stated(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, text(ROWS).encode(encoding), encoding=encoding) == (ROWS, [])


def test_utf_16_tells_itself(tmp_path: Path) -> None:
    assert read(tmp_path, text(ROWS).encode("utf-16")) == (ROWS, [])


def test_bytes_that_are_no_text_are_shown_as_they_are(tmp_path: Path) -> None:
    rows, refused = read(tmp_path, b"who,what\nZo\x81,call\n", encoding="cp1252")
    assert rows == [("Zo\\x81", "call")] and not refused


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end(tmp_path: Path, end: str) -> None:
    assert read(tmp_path, text(ROWS, end).encode()) == (ROWS, [])


@pytest.mark.parametrize("mark", [";", "|", "\t", ","])
def test_a_first_line_names_the_delimiter(tmp_path: Path, mark: str) -> None:
    content = f"sep={mark}\r\n{text(ROWS, between=mark)}"
    assert read(tmp_path, content.encode()) == (ROWS, [])


def test_a_delimiter_that_is_stated(tmp_path: Path) -> None:
    content = "who#what\na,b#c;d,e\n"
    assert read(tmp_path, content.encode(), delimiter="#") == ([("a,b", "c;d,e")], [])


def test_another_quote(tmp_path: Path) -> None:
    content = "who,what\n'a,b',\"c\n'it''s',d\n"
    assert read(tmp_path, content.encode(), quote="'") == ([("a,b", '"c'), ("it's", "d")], [])


def test_lines_before_the_header_and_after_it(tmp_path: Path) -> None:
    content = "Report of May\nmade by x,y\nwho,what\nName,What it was\n(text),(text)\nann,call\n"
    assert read(tmp_path, content.encode(), skip=2, skip_after=2) == ([("ann", "call")], [])


def test_comments(tmp_path: Path) -> None:
    content = "# made\nwho,what\n# a remark\nann,call\nb#b,c\n"
    assert read(tmp_path, content.encode(), comment="#")[0] == [("ann", "call"), ("b#b", "c")]


def test_words_for_no_value(tmp_path: Path) -> None:
    content = "who,what\nNULL,call\n\\N,#N/A\n"
    rows, _ = read(tmp_path, content.encode(), nulls=("NULL", "\\N", "#N/A"))
    assert rows == [(None, "call"), (None, None)]


def test_no_header(tmp_path: Path) -> None:
    content = b"ann\tcall\nben\tmail\n"
    rows, _ = read(tmp_path, content, columns=("who", "what"), delimiter="\t")
    assert rows == [("ann", "call"), ("ben", "mail")]


def test_a_header_inside_is_refused_and_counted(tmp_path: Path) -> None:
    content = "who,what\nann,call\nwho,what\nben,mail\n"
    rows, refused = read(tmp_path, content.encode())
    assert rows == [("ann", "call"), ("ben", "mail")]
    assert refused == [("log.csv:2", "repeated_header")]


def test_a_value_that_is_called_like_its_column_is_no_header(tmp_path: Path) -> None:
    assert read(tmp_path, b"who,what\nwho,call\n") == ([("who", "call")], [])


def test_lines_that_end_with_a_delimiter(tmp_path: Path) -> None:
    assert read(tmp_path, b"who,what\nann,call,\nben,mail,\n")[0] == [
        ("ann", "call"), ("ben", "mail"),
    ]  # fmt: skip


def test_a_decimal_comma(tmp_path: Path) -> None:
    raw = pa.schema([("who", pa.string()), ("paid", pa.float64())])
    rows, _ = read(tmp_path, b"who;paid\nann;3,5\n", raw, decimal=",")
    assert rows == [("ann", 3.5)]


@settings(max_examples=examples(100))
@given(
    rows=st.lists(st.tuples(*[st.text("aé€;'# ", min_size=1, max_size=5)] * 2), max_size=8),
    encoding=st.sampled_from(("cp1252", "utf-16", "utf-8-sig")),
    end=st.sampled_from(("\n", "\r\n", "\r")),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    encoding: str,
    end: str,
) -> None:
    """By any encoding, and line end, with a preamble."""
    content = f"about{end}{text(rows, end)}".encode(encoding)
    folder = tmp_path_factory.mktemp("csv")
    assert read(folder, content, encoding=encoding, skip=1, delimiter=",") == (rows, [])


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"encoding": "klingon"}, "expected an encoding"),
        ({"quote": ",", "delimiter": ","}, "to differ"),
        ({"columns": ("a", "a")}, "different names"),
    ],
)
def test_options_that_are_refused(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CsvOptions(**given_)
