"""Files that are one document: JSON arrays, process logs in XES, Excel books."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.config.file_layout import FileLayout
from rejse.pipelines.onboarding.sample import guess_array, samples
from rejse.pipelines.sources import excel as books
from rejse.pipelines.sources import files, json_array
from rejse.pipelines.sources.listing import SourceError
from tests.support import excel
from tests.support.law import examples

RAW = pa.schema([("who", pa.string()), ("n", pa.int64())])
Rows = list[dict[str, Any]]


def read(path: Path, raw: pa.Schema = RAW, **layout: Any) -> tuple[Rows, list[tuple[str, str]]]:
    """Rows of a file, and its rejects by position and reason."""
    rows: Rows = []
    refused = []
    for shard in files.pieces("crm", path, layout=FileLayout(**layout)):
        for piece in files.split(shard, 8):
            for batch in files.read(piece, raw):
                rows += batch.batch.to_pylist()
                refused += [(r["position"], r["reason"]) for r in batch.rejects.to_pylist()]
    return rows, refused


ANN, BEN = {"who": "ann", "n": 1}, {"who": 'b,[]{}"\\n\n', "n": 2}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", [None, "tickets", "page"])
def test_an_array_is_read_as_its_elements(
    tmp_path: Path, indent: int | None, name: str | None
) -> None:
    document: Any = [ANN, BEN]
    if name is not None:
        document = {"page": 1, "other": [{"who": "eve", "n": 0}], name: document, "next": None}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(document, indent=indent))
    assert read(path, array=name) == ([ANN, BEN], [])


def test_what_is_no_object_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(f'[{json.dumps(ANN)}, 5, {{"who": 3.5, "n": "x"}}, null, {json.dumps(BEN)}]')
    rows, refused = read(path)
    assert rows == [ANN, BEN]
    assert refused == [
        ("log.json:2", "not_an_object"), ("log.json:3", "type_mismatch"),
        ("log.json:4", "not_an_object"),
    ]  # fmt: skip


@pytest.mark.parametrize("content", ['[{"who": "ann", "n": 1}', '[{"who": "ann", "n": 1}, {"wh'])
def test_an_array_that_ends_too_early_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.json").write_text(content)
    rows, refused = read(tmp_path / "log.json")
    assert rows == [ANN][: content.count("},")] or rows == [ANN]
    assert "truncated_file" in {reason for _, reason in refused}


def test_an_array_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"calls": [{"who": "ann", "n": 1}]}')
    rows, refused = read(tmp_path / "log.json", array="tickets")
    assert rows == [] and [reason for _, reason in refused] == ["truncated_file"]


@settings(max_examples=examples(100))
@given(
    elements=st.lists(
        st.fixed_dictionaries({"who": st.text(max_size=8), "n": st.integers(-9, 9)}), max_size=6
    ),
    indent=st.sampled_from((None, 0, 3)),
    size=st.integers(1, 40),
)
def test_no_element_depends_on_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, elements: Rows, indent: int | None, size: int
) -> None:
    path = tmp_path_factory.mktemp("array") / "log.json"
    path.write_text(json.dumps({"a": ["]", {"b": "["}], "rows": elements}, indent=indent))
    lines = json_array.ArrayLines(path, "rows", size).read(1 << 20)
    assert [json.loads(line) for line in lines.splitlines()] == elements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"tickets": [{"a": 1}], "count": 1}', "tickets"),
        ('{"meta": [{"x": 1}], "rows": [{"a": 1}, {"a": 2}]}', "rows"),
        ('{"a": 1}\n{"a": 2}\n', None),
        ('{"a": [1, 2]}', None),
        ('[{"a": 1}]', None),
        ('{"rows": [{"a": 1}, {"a', "rows"),
        ("", None),
    ],
)
def test_the_array_with_the_rows_is_guessed(
    tmp_path: Path, text: str, expected: str | None
) -> None:
    (tmp_path / "log.json").write_text(text)
    assert guess_array(tmp_path / "log.json") == expected


XES = """<?xml version="1.0" encoding="UTF-8" ?>
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
  <global scope="event"><string key="concept:name" value="UNKNOWN"/></global>
  <string key="concept:name" value="a log"/>
  <trace>
    <string key="concept:name" value="case 1"><int key="age" value="41"/></string>
    <event>
      <string key="concept:name" value="ring &amp; ask"/><date key="time:timestamp"
        value="2025-03-03T10:00:00.000+01:00"/><boolean key="open" value="true"/>
      <float key="cost" value="2.5"/><string key="lifecycle:transition" value="complete"/>
      <list key="parts"><values><string key="part" value="x"/></values></list>
    </event>
    <event><string key="concept:name" value="close"/></event>
  </trace>
  <trace><string key="concept:name" value="case 2"/>
    <event><id key="id" value="e-3"/></event></trace>
</log>
"""
XES_RAW = pa.schema(
    [(name, pa.string()) for name in ("case:concept:name", "concept:name", "time:timestamp", "id",
                                      "lifecycle:transition", "parts:part")]
    + [("case:concept:name:age", pa.int64()), ("open", pa.bool_()), ("cost", pa.float64())]
)  # fmt: skip


@pytest.mark.parametrize("name", ["log.xes", "log.xes.gz", "log"])
def test_a_process_log_is_read_as_its_events(tmp_path: Path, name: str) -> None:
    content = XES.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    rows, refused = read(tmp_path / name, XES_RAW)
    assert refused == []
    assert [{k: v for k, v in row.items() if v is not None} for row in rows] == [
        {
            "case:concept:name": "case 1", "case:concept:name:age": 41,
            "concept:name": "ring & ask", "time:timestamp": "2025-03-03T10:00:00.000+01:00",
            "open": True, "cost": 2.5, "lifecycle:transition": "complete", "parts:part": "x",
        },
        {"case:concept:name": "case 1", "case:concept:name:age": 41, "concept:name": "close"},
        {"case:concept:name": "case 2", "id": "e-3"},
    ]  # fmt: skip


def test_a_damaged_process_log_keeps_what_comes_before(tmp_path: Path) -> None:
    (tmp_path / "log.xes").write_text(XES[: XES.index("<event><string")] + "<<<")
    rows, refused = read(tmp_path / "log.xes", XES_RAW)
    assert len(rows) == 1 and [reason for _, reason in refused] == ["damaged_file"]


def test_a_process_log_cannot_grow_by_its_entities(tmp_path: Path) -> None:
    grown = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE log [<!ENTITY e0 "{"x" * 100}">{grown}]>'
    trace = '<trace><event><string key="concept:name" value="&e11;"/></event></trace>'
    (tmp_path / "log.xes").write_text(f'<?xml version="1.0"?>{bomb}<log>{trace}</log>')
    rows, refused = read(tmp_path / "log.xes", XES_RAW)
    assert rows == [] and [reason for _, reason in refused] == ["damaged_file"]


OCEL = {
    "objectTypes": [{"name": "order", "attributes": []}, {"name": "item", "attributes": []}],
    "eventTypes": [{"name": "pay", "attributes": []}],
    "objects": [
        {"id": "o1", "type": "order"}, {"id": "i1", "type": "item"}, {"id": "i2", "type": "item"},
    ],
    "events": [
        {"id": "e1", "type": "place", "time": "2025-03-03T10:00:00Z",
         "attributes": [{"name": "cost", "value": 2.5}],
         "relationships": [{"objectId": "o1", "qualifier": "of"}, {"objectId": "i1"},
                           {"objectId": "i2"}]},
        {"id": "e2", "type": "pay", "time": "2025-03-03T11:00:00Z",
         "relationships": [{"objectId": "o1"}]},
    ],
}  # fmt: skip
OCEL_1 = {
    "ocel:global-log": {"ocel:version": "1.0"},
    "ocel:events": {
        "e1": {"ocel:activity": "place", "ocel:timestamp": "2025-03-03T10:00:00Z",
               "ocel:omap": ["o1", "i1", "i2"], "ocel:vmap": {"cost": 2.5}},
        "e2": {"ocel:activity": "pay", "ocel:timestamp": "2025-03-03T11:00:00Z",
               "ocel:omap": ["o1"], "ocel:vmap": {}},
    },
    "ocel:objects": {"o1": {"ocel:type": "order"}, "i1": {"ocel:type": "item"},
                     "i2": {"ocel:type": "item"}},
}  # fmt: skip
OCEL_XML = """<?xml version='1.0' encoding='UTF-8'?>
<log><object-types><object-type name="order"/></object-types>
<objects><object id="o1" type="order"/><object id="i1" type="item"/>
<object id="i2" type="item"/></objects>
<events><event id="e1" type="place" time="2025-03-03T10:00:00Z"><objects>
<relationship object-id="o1" qualifier="of"/><relationship object-id="i1" qualifier=""/>
<relationship object-id="i2" qualifier=""/></objects>
<attributes><attribute name="cost">2.5</attribute></attributes></event>
<event id="e2" type="pay" time="2025-03-03T11:00:00Z"><objects>
<relationship object-id="o1" qualifier=""/></objects></event></events></log>
"""
OCEL_SQL = """
create table object (ocel_id text, ocel_type text);
insert into object values ('o1', 'order'), ('i1', 'item'), ('i2', 'item');
create table event (ocel_id text, ocel_type text);
insert into event values ('e1', 'place'), ('e2', 'pay');
create table event_object (ocel_event_id text, ocel_object_id text, ocel_qualifier text);
insert into event_object values ('e1', 'o1', ''), ('e1', 'i1', ''), ('e1', 'i2', ''),
    ('e2', 'o1', '');
create table event_map_type (ocel_type text, ocel_type_map text);
insert into event_map_type values ('place', 'Place'), ('pay', 'Pay');
create table event_Place (ocel_id text, ocel_time text, cost real);
insert into event_Place values ('e1', '2025-03-03T10:00:00Z', 2.5);
create table event_Pay (ocel_id text, ocel_time text);
insert into event_Pay values ('e2', '2025-03-03T11:00:00Z');
"""
OCEL_RAW = pa.schema(
    [(f"ocel:{name}", pa.string()) for name in ("eid", "activity", "timestamp", "type:order",
                                                "type:item")]
    + [("cost", pa.string())]
)  # fmt: skip


def write_ocel(path: Path) -> None:
    """Write the log in the format of the name."""
    if path.suffix == ".sqlite":
        with contextlib.closing(sqlite3.connect(path)) as con:
            con.executescript(OCEL_SQL)
    elif path.suffix in (".xmlocel", ".xml"):
        path.write_text(OCEL_XML)
    else:
        path.write_text(json.dumps(OCEL_1 if path.stem == "old" else OCEL, indent=1))


@pytest.mark.parametrize(
    "name", ["log.json", "log.jsonocel", "old.json", "log.xmlocel", "log.xml", "log.sqlite"]
)
def test_an_object_centric_log_is_read_as_its_events(tmp_path: Path, name: str) -> None:
    write_ocel(tmp_path / name)
    rows, refused = read(tmp_path / name, OCEL_RAW)
    assert refused == []
    assert [tuple(row.values()) for row in rows] == [
        ("e1", "place", "2025-03-03T10:00:00Z", "o1", '["i1", "i2"]', "2.5"),
        ("e2", "pay", "2025-03-03T11:00:00Z", "o1", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.jsonocel", '{"objectTypes": [], "events": [{"id": "e1"}], "objects": []}'),
        ("log.jsonocel", '{"objectTypes": ['),
        ("log.xmlocel", "<log><object-types/><events><event/></events></log>"),
        ("log.xmlocel", "<log><object-types>"),
        ("log.sqlite", "SQLite format 3\0 and no more"),
    ],
)
def test_a_damaged_object_centric_log_is_told(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    rows, refused = read(tmp_path / name, OCEL_RAW)
    assert rows == [] and [reason for _, reason in refused] == ["damaged_file"]


SHEETS = {
    "March": [["who", "at", "n", "is open"], ["ann", "2025-03-03T10:00:00", 1042.0, True],
              ["b,\"c", None, 2.5, False], [None, None, None, None]],
    "April": [["who"], ["zoë"]],
}  # fmt: skip
BOOK = pa.schema([(name, pa.string()) for name in ("who", "at", "n", "is open")])


def test_a_book_is_read_as_its_first_sheet(tmp_path: Path) -> None:
    excel.write(tmp_path / "book.xlsx", SHEETS)
    rows, refused = read(tmp_path / "book.xlsx", BOOK)
    assert refused == []
    assert [tuple(row.values()) for row in rows[:2]] == [
        ("ann", "2025-03-03 10:00:00", "1042", "true"), ('b,"c', None, "2.5", "false"),
    ]  # fmt: skip
    assert all(not any(row.values()) for row in rows[2:])


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    excel.write(tmp_path / "book.xlsx", SHEETS)
    assert books.sheets(tmp_path / "book.xlsx") == ["March", "April"]
    assert [row["who"] for row in read(tmp_path / "book.xlsx", BOOK, sheet="April")[0]] == ["zoë"]
    with pytest.raises(SourceError, match="expected the sheet 'May', found 'March', 'April'"):
        books.sheet_rows(tmp_path / "book.xlsx", "May")
    rows, refused = read(tmp_path / "book.xlsx", BOOK, sheet="May")
    assert rows == [] and [reason for _, reason in refused] == ["damaged_file"]


def test_what_is_called_a_book_and_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(b"PK no book")
    rows, refused = read(tmp_path / "book.xlsx", BOOK)
    assert rows == [] and [reason for _, reason in refused] == ["damaged_file"]


def test_init_samples_documents(tmp_path: Path) -> None:
    excel.write(tmp_path / "book.xlsx", SHEETS)
    (tmp_path / "log.xes").write_text(XES)
    (tmp_path / "page.json").write_text(json.dumps({"rows": [ANN, ANN]}))
    names = ("book.xlsx", "log.xes", "page.json")
    book, log, page = samples([tmp_path / name for name in names])
    assert book.schema.names == ["who", "at", "n", "is open"]
    assert log.table.num_rows == 3 and "case:concept:name" in log.schema.names
    assert page.array == "rows" and page.table.to_pylist() == [ANN, ANN]
