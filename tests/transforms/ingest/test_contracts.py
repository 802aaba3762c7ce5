"""The row rules: masks and SQL refuse the same rows; enums fall back and are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.ingest.validate import RULES, accept
from rejse.transforms.schema.contract import CHANNELS, INTERACTIONS
from tests.support.contract_events import NOON, event
from tests.support.law import examples

CONNECTION = duckdb.connect(":memory:", config={"threads": 1})
PRESENT = {
    "recordedtime", "start_time", "end_time", "previousidentity", "previousidentitytype",
    "wait_s", "results_n", "outcome", "promise", "info", "lifecycle",
}  # fmt: skip
SCHEMA = INTERACTIONS.canonical(PRESENT)


def batch(*events: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(events), schema=SCHEMA)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        *(({name: None}, f"missing_{name}") for name in (
            "id", "source", "time", "identity", "identitytype", "activity", "channel",
            "direction", "actor_type")),
        *(({name: ""}, f"missing_{name}") for name in ("id", "identity", "activity", "channel")),
        ({"identitytype": "fax"}, "unknown_identitytype"),
        ({"direction": "up"}, "unknown_direction"),
        ({"actor_type": "dog"}, "unknown_actor_type"),
        ({"time": datetime(1969, 12, 31, tzinfo=UTC)}, "time_out_of_range"),
        ({"time": datetime(2200, 1, 1, tzinfo=UTC)}, "time_out_of_range"),
        ({"recordedtime": datetime(1, 1, 1, tzinfo=UTC)}, "time_out_of_range"),
        ({"start_time": NOON, "end_time": NOON.replace(hour=11)}, "end_before_start"),
        ({"previousidentity": "x"}, "missing_previousidentitytype"),
        ({"promise": {"due_time": datetime(2200, 1, 1, tzinfo=UTC)}}, "time_out_of_range"),
        ({"wait_s": -1}, "negative_wait_s"),
        ({"results_n": -1}, "negative_results_n"),
    ],
)  # fmt: skip
def test_refused(given: dict[str, Any], reason: str) -> None:
    accepted, refused, _ = accept(batch(event(id="e0"), event(**given)))
    assert accepted.column("id").to_pylist() == ["e0"]
    assert refused.column("reason").to_pylist() == [reason]
    assert refused.column("detail")[0].as_py()


@pytest.mark.parametrize(
    "given",
    [
        {"time": datetime(1970, 1, 1, tzinfo=UTC)},
        {"time": datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)},
        {"start_time": NOON, "end_time": NOON},
        {"end_time": NOON},
        {"previousidentity": "x", "previousidentitytype": "cookie"},
        {"wait_s": 0},
    ],
)
def test_accepted(given: dict[str, Any]) -> None:
    accepted, refused, notes = accept(batch(event(**given)))
    assert (accepted.num_rows, refused.num_rows, notes) == (1, 0, {})


def test_the_first_rule_gives_the_reason_and_each_row_one() -> None:
    _, refused, _ = accept(batch(event(identity=None, wait_s=-1, direction="up")))
    assert refused.column("reason").to_pylist() == ["missing_identity"]


def test_an_empty_text_is_no_value_where_none_is_needed() -> None:
    rows = [
        event(id="e1", outcome="", lifecycle="start", previousidentity="", previousidentitytype=""),
        event(id="e2", outcome="resolved", previousidentity="c0", previousidentitytype="cookie"),
    ]
    accepted, refused, notes = accept(batch(*rows))
    assert refused.num_rows == 0
    assert accepted.column("outcome").to_pylist() == [None, "resolved"]
    assert accepted.column("lifecycle").to_pylist() == ["start", None]
    assert accepted.column("previousidentity").to_pylist() == [None, "c0"]
    assert accepted.column("previousidentitytype").to_pylist() == [None, "cookie"]
    assert accepted.schema == batch(*rows).schema
    assert notes == {
        "empty_outcome": 1,
        "empty_previousidentity": 1,
        "empty_previousidentitytype": 1,
    }


def test_an_empty_text_inside_a_structure_is_no_value_either() -> None:
    rows = [
        event(id="e1", promise={"id": "", "op": "made", "kind": "date", "value": ""}),
        event(id="e2", info=[{"field": "", "op": "given"}, {"field": "plate", "op": ""}]),
        event(
            id="e3",
            promise={"id": "p", "op": "made", "kind": ""},
            info=[{"field": "name", "op": "asked"}],
        ),
    ]
    accepted, refused, notes = accept(batch(*rows))
    assert refused.num_rows == 0
    first, none, third = accepted.column("promise").to_pylist()
    assert (first["id"], first["op"], first["value"], none) == (None, "made", None, None)
    assert (third["id"], third["kind"]) == ("p", None)
    nothing, infos, known = accepted.column("info").to_pylist()
    assert nothing is None
    assert [(info["field"], info["op"]) for info in infos] == [(None, "given"), ("plate", None)]
    assert [entry["field"] for entry in known] == ["name"]
    assert accepted.schema == batch(*rows).schema
    assert notes == {
        "empty_promise.id": 1, "empty_promise.value": 1, "empty_promise.kind": 1,
        "empty_info.field": 1, "empty_info.op": 1,
    }  # fmt: skip


def test_unknown_values_of_enums() -> None:
    accepted, refused, notes = accept(
        batch(
            event(channel="fax", outcome="wonderful", lifecycle="begin"),
            event(channel="fax", promise={"id": "p", "op": "sworn", "kind": "date"}),
            event(info=[{"field": "a", "op": "given"}, {"field": "b", "op": "sung"}]),
        )
    )
    assert refused.num_rows == 0
    assert accepted.column("channel").to_pylist() == ["other", "other", "web"]
    assert accepted.column("outcome").to_pylist() == ["other", None, None]
    assert accepted.column("lifecycle").to_pylist() == [None, None, None]
    assert accepted.column("promise")[1].as_py()["op"] is None
    assert [info["op"] for info in accepted.column("info")[2].as_py()] == ["given", None]
    assert notes == {
        "unknown_channel": 2, "unknown_outcome": 1, "unknown_lifecycle": 1,
        "unknown_promise.op": 1, "unknown_info.op": 1,
    }  # fmt: skip


TIMES = st.sampled_from(
    [
        None,
        NOON,
        NOON.replace(hour=11),
        datetime(1969, 1, 1, tzinfo=UTC),
        datetime(2300, 1, 1, tzinfo=UTC),
    ]
)
ANY = st.fixed_dictionaries(
    {
        "id": st.sampled_from([None, "", "a", "b"]),
        "source": st.sampled_from(["crm", None, ""]),
        "time": TIMES,
        "recordedtime": TIMES,
        "start_time": TIMES,
        "end_time": TIMES,
        "identity": st.sampled_from([None, "", "c"]),
        "identitytype": st.sampled_from([None, "customer", "fax"]),
        "activity": st.sampled_from([None, "", "view"]),
        "channel": st.sampled_from([None, "", *CHANNELS[:3], "fax"]),
        "direction": st.sampled_from([None, "inbound", "up"]),
        "actor_type": st.sampled_from([None, "human", "dog"]),
        "previousidentity": st.sampled_from([None, "x"]),
        "previousidentitytype": st.sampled_from([None, "cookie"]),
        "promise": st.none() | st.fixed_dictionaries({"due_time": TIMES}),
        "wait_s": st.sampled_from([None, -1, 0, 1]),
        "results_n": st.sampled_from([None, -1, 0]),
    }
)


@given(st.lists(ANY, min_size=1, max_size=12))
@settings(max_examples=examples(60))
def test_masks_and_sql_refuse_the_same_rows(events: list[dict[str, Any]]) -> None:
    rows_given = batch(*events)
    rules = [rule for rule in RULES if set(rows_given.schema.names).issuperset(rule.columns)]
    CONNECTION.register("rows", rows_given)
    wanted = ", ".join(f"not ({rule.sql})" for rule in rules)
    columns = zip(*CONNECTION.sql(f"select {wanted} from rows").fetchall(), strict=True)
    for rule, by_sql in zip(rules, columns, strict=True):
        assert list(by_sql) == rule.refuses(rows_given).tolist(), rule.name


@given(st.lists(ANY, max_size=12))
@settings(max_examples=examples(60))
def test_every_row_is_accepted_or_refused_once(events: list[dict[str, Any]]) -> None:
    accepted, refused, _ = accept(batch(*events))
    assert accepted.num_rows + refused.num_rows == len(events)
    again, none, _ = accept(accepted)
    assert none.num_rows == 0 and again.equals(accepted)


def test_rules_are_named_once_and_say_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.says and rule.reason for rule in RULES)
