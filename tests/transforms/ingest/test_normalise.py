"""Mappings over raw batches: what comes out, what is derived, which rows are refused."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from rejse.transforms.ingest.select_check import MappingError
from rejse.transforms.schema.contract import INTERACTIONS
from tests.support.edge import PLAIN, RAW, TEXTS, raw, row


def plus(extra: str, schema: pa.Schema = RAW, **limits: float) -> SourceMapping:
    """The plain mapping with more columns."""
    sql = PLAIN.replace(" from source", f", {extra} from source")
    return SourceMapping(sql, schema, "crm", **limits)


def mapped(
    mapping: SourceMapping, given: dict[str, Any], schema: pa.Schema = RAW
) -> dict[str, Any]:
    """Canonical row of a raw row that is accepted."""
    batch, refused = normalise(mapping, raw([given], schema))
    assert refused.num_rows == 0, refused.to_pylist()
    canonical: dict[str, Any] = batch.to_pylist()[0]
    return canonical


def reasons(mapping: SourceMapping, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    _, refused = normalise(mapping, raw(rows))
    return [(reject["position"], reject["reason"]) for reject in refused.to_pylist()]


def test_what_is_missing_is_derived() -> None:
    mapping = SourceMapping(PLAIN, RAW, "crm")
    event = mapped(mapping, row(1))
    assert set(mapping.columns) == set(TEXTS)
    assert (event["source"], event["identitytype"]) == ("crm", "customer")
    assert (event["direction"], event["actor_type"]) == ("inbound", "customer")
    assert event["time"] == datetime(2026, 1, 5, 9, 0, 1, tzinfo=UTC)
    assert event["_row"] == 1


@pytest.mark.parametrize(
    ("channel", "direction", "actor"),
    [
        ("internal", "internal", "system"),
        ("campaign", "outbound", "system"),
        ("phone", "inbound", "customer"),
    ],
)
def test_direction_follows_the_channel(channel: str, direction: str, actor: str) -> None:
    event = mapped(SourceMapping(PLAIN, RAW, "crm"), row(1, channel=channel))
    assert (event["direction"], event["actor_type"]) == (direction, actor)


def test_a_mapped_direction_wins_and_its_nulls_are_derived() -> None:
    mapping = plus("case when id = 'e1' then 'outbound' end as direction")
    batch, _ = normalise(mapping, raw([row(1), row(2), row(3, channel="internal")]))
    assert batch.column("direction").to_pylist() == ["outbound", "inbound", "internal"]
    assert batch.column("actor_type").to_pylist() == ["system", "customer", "system"]


def test_schema_holds_mapped_columns_only() -> None:
    mapping = plus("null as owner, cast(null as varchar) as team, 'x' as intent")
    batch, _ = normalise(mapping, raw([row(1)]))
    assert set(mapping.columns) == {*TEXTS, "intent"}
    wanted = INTERACTIONS.canonical(set(mapping.columns))
    assert [f.name for f in batch.schema] == [*wanted.names, "_row"]
    assert all(batch.schema.field(f.name).type == f.type for f in wanted)


def test_equal_rows_without_id_have_equal_ids() -> None:
    mapping = SourceMapping(PLAIN.replace("id, ", "", 1), RAW, "crm")
    batch, _ = normalise(mapping, raw([row(1), row(2), row(1), row(1, identity=None)]))
    ids = batch.column("id").to_pylist()
    assert ids[0] == ids[2] and len(set(ids)) == 3
    assert all(len(ident) == 16 and int(ident, 16) >= 0 for ident in ids)
    assert mapping.reads.names == RAW.names


def test_only_needed_columns_are_read() -> None:
    schema = RAW.append(pa.field("note", pa.string()))
    assert SourceMapping(PLAIN, schema, "crm").reads.names == RAW.names


def test_ids_do_not_depend_on_the_encoding_of_texts() -> None:
    mapping = plus("upper(activity) as intent").sql.replace("select id,", "select")
    select = SourceMapping(mapping, RAW, "crm")
    plain = raw([row(n % 3, activity=f"a{n % 2}") for n in range(12)])
    coded = plain.batch.set_column(
        3, "activity", plain.batch.column("activity").dictionary_encode()
    )
    twin = type(plain)("crm", "log", 1, coded, None, plain.rejects)
    assert normalise(select, plain)[0].to_pylist() == normalise(select, twin)[0].to_pylist()


def test_guilty_rows_stand_alone() -> None:
    rows = [row(n) for n in range(200)]
    rows[7] = row(7, time="nonsense")
    rows[150] = row(150, time="2026-13-45")
    batch, refused = normalise(SourceMapping(PLAIN, RAW, "crm"), raw(rows))
    assert batch.num_rows == 198
    rejects_found = refused.to_pylist()
    assert [(reject["position"], reject["reason"], reject["id"]) for reject in rejects_found] == [
        ("log:8", "mapping_failed", "e7"),
        ("log:151", "mapping_failed", "e150"),
    ]
    assert "nonsense" in rejects_found[0]["detail"] and "nonsense" in rejects_found[0]["payload"]


def test_guilty_rows_are_found_by_halving_too() -> None:
    # A SELECT in FROM keeps its columns from being tried one by one.
    sql = f"select * from ({PLAIN})"
    rows = [row(n, time="bad" if n in (3, 4, 60) else "2026-01-01") for n in range(64)]
    batch, refused = normalise(SourceMapping(sql, RAW, "crm"), raw(rows))
    assert batch.num_rows == 61
    assert [reject["position"] for reject in refused.to_pylist()] == ["log:4", "log:5", "log:61"]


def test_many_guilty_rows_are_cheap() -> None:
    rows = [row(n, time="bad") for n in range(3000)]
    batch, refused = normalise(SourceMapping(PLAIN, RAW, "crm"), raw(rows))
    assert (batch.num_rows, refused.num_rows) == (0, 3000)


def test_a_value_no_row_has_cannot_fail_the_others() -> None:
    texts = pa.array(["2026-01-01", "bad"])
    days = pa.DictionaryArray.from_arrays(pa.array([0] * 8, pa.int32()), texts)
    batch = raw([row(n) for n in range(8)])
    arrays = [days if name == "time" else batch.batch.column(name) for name in RAW.names]
    coded = pa.RecordBatch.from_arrays(arrays, names=RAW.names)
    accepted, refused = normalise(
        SourceMapping(PLAIN, RAW, "crm"), type(batch)("crm", "log", 1, coded, None, batch.rejects)
    )
    assert (accepted.num_rows, refused.num_rows) == (8, 0)


def test_the_mapping_may_refuse_rows() -> None:
    mapping = plus("case when activity = 'test' then 'a test call' end as reject")
    batch, refused = normalise(mapping, raw([row(1), row(2, activity="test")]))
    assert batch.num_rows == 1
    assert [(reject["reason"], reject["detail"]) for reject in refused.to_pylist()] == [
        ("refused_by_mapping", "a test call")
    ]


@pytest.mark.parametrize(
    ("value", "sequence"),
    [("3", 3), (" -4 ", -4), ("5.0", 5), (None, None), ("9223372036854775807", 2**63 - 1)],
)
def test_sequence(value: str | None, sequence: int | None) -> None:
    sql = PLAIN.replace("activity,", "'view' as activity, activity as sequence,")
    assert mapped(SourceMapping(sql, RAW, "crm"), row(1, activity=value))["sequence"] == sequence


@pytest.mark.parametrize("value", ["1.5", "x", "", "1e3", "9223372036854775808"])
def test_a_sequence_that_is_no_integer(value: str) -> None:
    sql = PLAIN.replace("activity,", "'view' as activity, activity as sequence,")
    assert reasons(SourceMapping(sql, RAW, "crm"), [row(1, activity=value)]) == [
        ("log:1", "bad_sequence")
    ]


@pytest.mark.parametrize(
    ("due", "time", "day"),
    [
        ("date '2026-01-09'", None, date(2026, 1, 9)),
        ("'2026-01-09'", None, date(2026, 1, 9)),
        ("' 2026-1-9'", None, date(2026, 1, 9)),
        ("'2026-01-09 00:00'", datetime(2026, 1, 9, tzinfo=UTC), None),
        ("timestamp '2026-01-09'", datetime(2026, 1, 9, tzinfo=UTC), None),
        ("null", None, None),
    ],
)
def test_a_due_time_that_is_a_day_has_no_time(due: str, time: Any, day: Any) -> None:
    event = mapped(plus(f" {{'id': id, 'op': 'made', 'due_time': {due}}} as promise"), row(1))
    assert (event["promise"]["due_time"], event["promise"]["due_date"]) == (time, day)
    none = plus(f" case when id is null then {{'id': id, 'due_time': {due}}} end as promise")
    assert mapped(none, row(1))["promise"] is None


def test_nested_columns() -> None:
    mapping = plus(
        "[{'field': 'mail', 'op': 'given', 'value': identity}] as info,"
        " [{'topic': 'price', 'value': 12, 'valid_to': date '2026-02-01'}] as claims,"
        " {'id': id, 'op': 'made', 'due_time': timestamp '2026-01-09 12:00'} as promise,"
        " {'page': activity, 'n': 2} as attrs, [{'type': 'order', 'id': 5}] as objects,"
        " ['service'] as consent_purpose, 12.5 as cost_amount, 'true' as fcr_flag, '7' as wait_s"
    )
    event = mapped(mapping, row(1))
    assert event["info"] == [{"field": "mail", "op": "given", "value_hmac": "c1"}]
    assert event["claims"][0]["value_hmac"] == "12"
    assert event["claims"][0]["valid_to"] == datetime(2026, 2, 1, tzinfo=UTC)
    assert event["promise"]["due_time"] == datetime(2026, 1, 9, 12, tzinfo=UTC)
    assert event["attrs"] == [("page", "view"), ("n", "2")]
    assert event["objects"] == [{"type": "order", "id": "5", "qualifier": None}]
    assert (event["consent_purpose"], event["fcr_flag"], event["wait_s"]) == (["service"], True, 7)
    assert str(event["cost_amount"]) == "12.5000"


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select id, time from source", "identity and activity and channel not mapped"),
        (PLAIN.replace("channel", "channel as chanel"), "did you mean channel"),
        (PLAIN.replace("channel", "channel, 1 as zebra"), "attrs"),
        (PLAIN.replace("cast(time as timestamptz)", "5"), "to_timestamp"),
        (PLAIN.replace("identity", "null as identity"), "identity not mapped"),
        (PLAIN + " where id is not null", "reject"),
    ],
)
def test_mappings_that_cannot_be_used(sql: str, word: str) -> None:
    with pytest.raises(MappingError, match=f"mapping of source crm: .*{word}"):
        SourceMapping(sql, RAW, "crm")


def test_a_mapping_travels_to_a_worker() -> None:
    mapping = pickle.loads(pickle.dumps(SourceMapping(PLAIN, RAW, "crm")))
    assert mapped(mapping, row(1))["id"] == "e1"


def test_names_do_not_mind_case() -> None:
    sql = PLAIN.replace("id,", "id as ID,", 1).replace("channel", "channel as Channel")
    assert mapped(SourceMapping(sql, RAW, "crm"), row(1))["channel"] == "web"


def test_a_mapping_that_takes_too_long() -> None:
    endless = "len(list_filter(range(20000), lambda x: hash(x, id) = 0)) as results_n"
    slow = plus(endless, timeout=0.05)
    with pytest.raises(MappingError, match=r"20000 rows took longer than 0\.05 s"):
        normalise(slow, raw([row(n) for n in range(20_000)]))
