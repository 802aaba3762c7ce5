"""JSON lines: what is taken, what is refused, and that no value changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.sources.decompress import RECORD
from rejse.pipelines.sources.read_json import JsonLines
from tests.support import edge
from tests.support.law import examples

SCHEMA = pa.schema(
    [
        ("a", pa.string()), ("n", pa.int64()), ("d", pa.float64()), ("b", pa.bool_()),
        ("t", pa.timestamp("us", tz="UTC")), ("l", pa.list_(pa.string())),
        ("s", pa.struct([("x", pa.string())])),
    ]
)  # fmt: skip


def read(tmp_path: Path, data: bytes, schema: pa.Schema = SCHEMA) -> Any:
    path = tmp_path / "l.jsonl"
    path.write_bytes(data)
    rows, refused = edge.read(path, schema)
    return rows, [(row["position"], row["reason"]) for row in refused]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b'{"a":"00123"}', "a", "00123"),
        (b'{"a":123}', "a", "123"),
        (b'{"a":1.50}', "a", "1.50"),
        (b'{"a":12345678901234567890123}', "a", "12345678901234567890123"),
        (b'{"a":true}', "a", "true"),
        (b'{"a":{"k":[1,null]}}', "a", '{"k": [1, null]}'),
        (b'{"a":"a\\u0000b"}', "a", "a\0b"),
        (b'{"a":"\\ud83d\\ude00"}', "a", "\U0001f600"),
        (b'{"a":"x","a":"y"}', "a", "y"),
        (b'  {"a":"x"}\t\r', "a", "x"),
        (b'{"q":"\\ud800","a":"x"}', "a", "x"),
        (b'{"n":1.0}', "n", 1),
        (b'{"n":-9223372036854775808}', "n", -(2**63)),
        (b'{"n":9007199254740993}', "n", 9007199254740993),
        (b'{"d":0.1}', "d", 0.1),
        (b'{"l":[1,"b",null]}', "l", ["1", "b", None]),
        (b'{"s":{"x":5,"y":6}}', "s", {"x": "5"}),
        (b"{}", "a", None),
    ],
)
def test_taken(tmp_path: Path, line: bytes, name: str, value: Any) -> None:
    rows, refused = read(tmp_path, line + b'\n{"a":"next"}\n')
    assert refused == []
    assert [rows[0][name], rows[1]["a"], rows[1]["_row"]] == [value, "next", 2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":"x",}', "not_json"), (b'{"a":"x"} {"a":"y"}', "not_json"),
        (b'{"d":NaN}', "not_json"), (b'{"q":-Infinity}', "not_json"),
        (b'{"a":"\xff"}', "not_json"), (b'{"a":"tab\there"}', "not_json"),
        (b'{"n":01}', "not_json"), (b'{"a":"x"}\0', "not_json"),
        (b'\xef\xbb\xbf{"a":"x"}', "not_json"),
        (b"[1]", "not_an_object"), (b"1", "not_an_object"), (b"null", "not_an_object"),
        (b'"text"', "not_an_object"), (b"true", "not_an_object"),
        (b'{"n":9223372036854775808}', "type_mismatch"), (b'{"n":1.5}', "type_mismatch"),
        (b'{"n":1e999999999}', "type_mismatch"), (b'{"n":"5"}', "type_mismatch"),
        (b'{"d":1e400}', "type_mismatch"), (b'{"b":1}', "type_mismatch"),
        (b'{"t":"yesterday"}', "type_mismatch"), (b'{"l":"x"}', "type_mismatch"),
        (b'{"s":[]}', "type_mismatch"), (b'{"a":"\\udc00"}', "invalid_unicode"),
        (b'{"q":' + b"[" * 5000 + b"]" * 5000 + b',"n":"x"}', "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":"' + b"x" * RECORD + b'"}', "record_too_large"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, line: bytes, reason: str) -> None:
    rows, refused = read(tmp_path, b'{"a":"before"}\n' + line + b'\n\n{"a":"after"}')
    assert [(row["a"], row["_row"]) for row in rows] == [("before", 1), ("after", 4)]
    assert refused == [("l.jsonl:2", reason)]


def test_a_byte_order_mark(tmp_path: Path) -> None:
    rows, refused = read(tmp_path, b'\xef\xbb\xbf{"a":"x"}\n')
    assert (rows[0]["a"], refused) == ("x", [])


def test_one_bad_line_among_many_costs_itself_only(tmp_path: Path) -> None:
    lines = [json.dumps({"a": f"v{n}", "n": n}).encode() for n in range(2000)]
    lines[777], lines[1500] = b"{", b'{"n":"x"}'
    rows, refused = read(tmp_path, b"\n".join(lines))
    assert refused == [("l.jsonl:778", "not_json"), ("l.jsonl:1501", "type_mismatch")]
    assert [row["n"] for row in rows] == [n for n in range(2000) if n not in (777, 1500)]


@pytest.mark.parametrize(
    ("line", "reason", "sizes"),
    [
        (b"[" + b"1," * 40 + b"1]", "not_an_object", (1, 3, 7, 64, 1000)),
        (b'{"a":"' + b"x" * 2 * RECORD + b'"}', "record_too_large",
         (RECORD // 3, RECORD, RECORD + 40, 3 * RECORD)),
    ],
    ids=("short", "long"),
)  # fmt: skip
def test_blocks_of_any_size(
    tmp_path: Path, line: bytes, reason: str, sizes: tuple[int, ...]
) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b'{"a":"1"}\n\n{"a":"\xc3\xa9"}\nnope\n' + line + b'\n{"a":"5"}')
    for size in sizes:
        rows, refused = edge.read_in_blocks(JsonLines(SCHEMA, "crm", path.name), path, size)
        assert [(row["a"], row["_row"]) for row in rows] == [("1", 1), ("é", 3), ("5", 6)]
        reasons = [(row["position"], row["reason"]) for row in refused]
        assert reasons == [("l.jsonl:4", "not_json"), ("l.jsonl:5", reason)]


def test_the_whole_line_may_be_a_column(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.string()), ("_line", pa.string())])
    rows, refused = read(tmp_path, b'{"a":"x","new":1}\n{"a":2,"new":3}\n', schema)
    assert refused == []
    assert [json.loads(row["_line"])["new"] for row in rows] == [1, 3]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.integers(),
    st.floats(),
    st.lists(st.text(), max_size=2),
    st.dictionaries(st.sampled_from("xy"), st.text()),
)


@given(st.lists(st.dictionaries(st.sampled_from("andbtls"), VALUES, max_size=4), max_size=6))
@settings(max_examples=examples(60))
def test_fast_and_careful_reading_agree(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    data = "\n".join(json.dumps(row) for row in objects)
    fast = read(folder, data.encode())
    # A blank before each line keeps Arrow's block reading out.
    slow = read(folder, "\n".join(" " + json.dumps(row) for row in objects).encode())
    assert fast == slow
    assert len(fast[0]) + len(fast[1]) == len(objects)
