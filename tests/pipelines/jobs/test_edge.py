"""The whole edge: whatever comes, each row becomes one event or one reject."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.sources import files
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.rejects import REJECT_SCHEMA
from rejse.transforms.schema.contract import event_schema
from tests.support import edge
from tests.support.edge import PLAIN, RAW
from tests.support.law import examples

MAPPING = SourceMapping(
    PLAIN.replace(
        " from source",
        ", case activity when 'seq' then id end as sequence,"
        " case activity when 'boom' then error('boom') end as intent,"
        " case activity when 'no' then 'not wanted' end as reject from source",
    ),
    RAW,
    "crm",
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["", "1", "1.5", "a", None, 7]),
        "time": st.sampled_from(
            ["2026-01-01", "2026-01-01T10:00:00+02:00", "bad", "1900-01-01", None, 5]
        ),
        "identity": st.sampled_from(["c", "undefined", "", None, "Zoë"]),
        "activity": st.sampled_from(["view", "seq", "boom", "no", "", None]),
        "channel": st.sampled_from(["web", "fax", "", None, {"x": 1}]),
    },
)
LINE = ROW.map(json.dumps) | st.sampled_from(["", "[]", "{", "nope", "\u2028", '{"id":NaN}'])


@given(st.lists(LINE, max_size=30))
@settings(max_examples=examples(80))
def test_each_row_becomes_one_event_or_one_reject(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("edge") / "l.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    read, events, refused = 0, 0, []
    for raw in files.read(files.pieces("crm", path)[0], MAPPING.reads):
        read += raw.batch.num_rows + raw.rejects.num_rows
        accepted, bad, _ = edge.through(MAPPING, raw, ("undefined",))
        events += accepted.num_rows
        refused.append(rejects.join([raw.rejects, bad]))
        assert accepted.schema.equals(event_schema(set(MAPPING.columns)))
    assert read == sum(bool(line.strip()) or "\u2028" in line for line in lines)
    table = pa.concat_tables(refused) if refused else rejects.empty()
    assert table.schema.equals(REJECT_SCHEMA)
    assert read == events + table.num_rows
    positions = table.column("position").to_pylist()
    assert len(set(positions)) == len(positions)
    assert all(table.column(name).null_count == 0 for name in ("source", "reason", "detail"))


@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 30))
@settings(max_examples=examples(60))
def test_where_a_batch_is_cut_changes_nothing(rows: list[dict[str, Any]], cut: int) -> None:
    texts = [{k: None if v is None else str(v) for k, v in row.items()} for row in rows]
    whole = edge.through(MAPPING, edge.raw(texts))
    accepted: list[Any] = []
    refused: list[Any] = []
    for start in range(0, len(texts), cut):
        events, bad, _ = edge.through(MAPPING, edge.raw(texts[start : start + cut]))
        accepted += events.to_pylist()
        refused += [(row["reason"], row["payload"]) for row in bad.to_pylist()]
    assert accepted == whole[0].to_pylist()
    wanted = [(row["reason"], row["payload"]) for row in whole[1].to_pylist()]
    assert sorted(refused) == sorted(wanted)
