"""Messages in Avro and Arrow: the rows, types and rejects of the same objects in JSON."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import fastavro
import pyarrow as pa
import pytest

from rejse.pipelines.sources import read_messages
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.kafka.avro import Avro
from rejse.pipelines.sources.kafka.broker import BrokerError, Message
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard
from rejse.pipelines.sources.listing import SourceError
from tests.support import schema_registry
from tests.support.kafka_broker import free_port
from tests.support.schema_registry import Registry

NOON = datetime(2026, 1, 5, 12, 30, 0, 250_000, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("n", pa.int64()), ("at", pa.timestamp("us", tz="UTC")),
        ("day", pa.string()), ("price", pa.decimal128(9, 2)), ("tags", pa.list_(pa.string())),
    ]
)  # fmt: skip
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "n", "type": ["null", "long"], "default": None},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {
        "name": "price",
        "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    },
    {"name": "tags", "type": {"type": "array", "items": "string"}},
]
WRITER = {"type": "record", "name": "Click", "fields": FIELDS}
#: A later writer has a field more; it says of a number that it is a text.
LATER = {
    "type": "record",
    "name": "Click",
    "fields": [*FIELDS[:1], {"name": "n", "type": "string"}, *FIELDS[2:],
               {"name": "more", "type": "boolean"}],
}  # fmt: skip


def click(ident: str, **given: Any) -> dict[str, Any]:
    return {
        "id": ident, "n": 7, "at": NOON, "day": "2026-01-05", "price": Decimal("12.50"),
        "tags": ["a", "b"], **given,
    }  # fmt: skip


def dated(record: dict[str, Any]) -> dict[str, Any]:
    """The record as Avro has it; what is read of a date is a text."""
    return {**record, "day": date.fromisoformat(record["day"])}


def wire(record: dict[str, Any], number: int = 1, schema: Any = WRITER) -> bytes:
    out = io.BytesIO(b"\x00" + struct.pack(">I", number))
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), dated(record))
    return out.getvalue()


def container(*records: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(WRITER), map(dated, records))
    return out.getvalue()


def stream(*records: dict[str, Any], schema: pa.Schema | None = SCHEMA) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(list(records), schema=schema)
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return bytes(sink.getvalue())


def read(
    form: Literal["avro", "arrow"], *values: bytes | None, options: dict[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Rows and rejects by what comes after the partition in their positions."""
    rows: dict[str, Any] = {}
    rejects: dict[str, str] = {}
    for raw in batches(form, values, options):
        assert raw.positions is not None
        assert raw.batch.schema.names == SCHEMA.names
        places = [str(place) for place in raw.positions.to_pylist()]
        rows.update(zip(places, raw.batch.to_pylist(), strict=True))
        for row in raw.rejects.to_pylist():
            rejects[row["position"].removeprefix("kafka://clicks/0:")] = row["reason"]
    return rows, rejects


def batches(
    form: Literal["avro", "arrow"],
    values: Sequence[bytes | None],
    options: dict[str, str] | None = None,
) -> list[RawBatch]:
    topic = Topic("clicks", "localhost:9092", form, tuple((options or {}).items()))
    shard = TopicShard("web", topic, "a", 0, 0, len(values))
    poll = [Message(offset, value) for offset, value in enumerate(values)]
    return list(read_messages.batches(shard, SCHEMA, [poll]))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with schema_registry.serving({1: WRITER, 2: LATER, 3: {"type": "nonsense"}, 500: 500}) as made:
        yield made


def of(registry: Registry) -> dict[str, str]:
    return {"schema.registry.url": registry.url}


def test_records_of_several_writers(registry: Registry) -> None:
    values = (wire(click("a")), wire(click("b", n="8", more=True), 2, LATER), wire(click("c")))
    rows, rejects = read("avro", *values, options=of(registry))
    assert rows == {"0": click("a"), "2": click("c")}
    assert rejects == {"1": "type_mismatch"}
    assert sorted(number for number, _ in registry.asked) == ["1", "2"]  # each once


def refers_to(*subjects: str) -> list[dict[str, Any]]:
    return [{"name": "any", "subject": name, "version": 3} for name in subjects]


def test_schemas_with_references() -> None:
    """Each is asked for once, those that it refers to first, also where several refer to one."""
    name = {"type": "record", "name": "shop.Name",
            "fields": [{"name": "id", "type": "string"}]}  # fmt: skip
    pair = {"type": "record", "name": "Pair",
            "fields": [{"name": "of", "type": "shop.Name"}]}  # fmt: skip
    whole = {"type": "record", "name": "Whole", "fields": [
        {"name": "id", "type": "string"}, {"name": "pair", "type": "Pair"},
        {"name": "name", "type": "shop.Name"},
    ]}  # fmt: skip
    schemas: dict[int | str, Any] = {
        1: (whole, refers_to("pair/a", "name")), 2: (whole, refers_to("gone")),
        "subjects/pair/a/versions/3": (pair, refers_to("name")),
        "subjects/name/versions/3": name,
    }  # fmt: skip
    record = fastavro.parse_schema({**whole, "fields": [
        whole["fields"][0], {"name": "pair", "type": {**pair, "fields": [
            {"name": "of", "type": name}]}}, whole["fields"][2],
    ]})  # fmt: skip
    out = io.BytesIO()
    fastavro.schemaless_writer(
        out, record, {"id": "a", "pair": {"of": {"id": "b"}}, "name": {"id": "c"}}
    )
    with schema_registry.serving(schemas) as registry:
        values = (b"\x00\x00\x00\x00" + number + out.getvalue() for number in (b"\1", b"\2"))
        rows, rejects = read("avro", *values, options=of(registry))
        asked = [path for path, _ in registry.asked]
    assert rows["0"]["id"] == "a"
    assert rejects == {"1": "not_avro"}
    assert asked == [
        "1", "subjects/pair/a/versions/3", "subjects/name/versions/3", "2",
        "subjects/gone/versions/3",
    ]  # fmt: skip


def test_what_is_no_avro(registry: Registry) -> None:
    whole = wire(click("a"))
    values = (whole[:-3], whole + b"\x00", b"{}", b"", None, wire(click("a"), 9),
              b"\x00\x00\x00\x00\x03", b"Obj\x01?")  # fmt: skip
    rows, rejects = read("avro", *values, options=of(registry))
    assert rows == {}
    assert rejects == {**dict.fromkeys("012367", "not_avro"), "4": "no_value", "5": "not_avro"}


def test_containers_hold_several_records() -> None:
    rows, rejects = read("avro", container(click("a"), click("b")), container(click("c")))
    assert rows == {"0.1": click("a"), "0.2": click("b"), "1": click("c")}
    assert rejects == {}


def test_a_registry_that_is_needed_and_not_set() -> None:
    assert read("avro", wire(click("a"))) == ({}, {"0": "not_avro"})


def test_a_registry_that_fails_is_no_fault_of_the_rows(registry: Registry) -> None:
    with pytest.raises(BrokerError, match="status 500"):
        read("avro", wire(click("a"), 500), options=of(registry))
    closed = {"schema.registry.url": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(BrokerError, match="refused"):
        read("avro", wire(click("a")), options=closed)


def test_a_registry_is_asked_with_a_secret(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_USER", "ann:hunter2")
    options = {**of(registry), "schema.registry.basic.auth.user.info": "${REGISTRY_USER}"}
    assert read("avro", wire(click("a")), options=options)[0] == {"0": click("a")}
    assert registry.asked == [("1", "Basic YW5uOmh1bnRlcjI=")]
    with pytest.raises(BrokerError) as fault:
        read("avro", wire(click("a"), 500), options=options)
    assert "hunter2" not in str(fault.value)


def test_a_secret_that_is_not_set() -> None:
    options = (("schema.registry.basic.auth.user.info", "${NOT_SET_ANYWHERE}"),)
    with pytest.raises(SourceError, match="NOT_SET_ANYWHERE, which is not set"):
        Avro("web", Topic("clicks", "localhost:9092", "avro", options))


def test_rows_of_arrow_streams() -> None:
    values = (stream(click("a"), click("b")), stream(click("c")), stream(), None)
    rows, rejects = read("arrow", *values)
    assert rows == {"0.1": click("a"), "0.2": click("b"), "1": click("c")}
    assert rejects == {"3": "no_value"}


def test_arrow_streams_of_other_columns_and_types() -> None:
    """A column that is not there is null, one that is not known is left out, a misfit refused."""
    text = stream({"id": "a", "n": "8", "x": 1}, {"id": "b", "n": "many", "x": 2}, schema=None)
    rows, rejects = read("arrow", text, stream(click("c")))
    empty = dict.fromkeys(SCHEMA.names)
    assert rows == {"0.1": {**empty, "id": "a", "n": 8}, "1": click("c")}
    assert rejects == {"0.2": "type_mismatch"}


def test_what_is_no_arrow() -> None:
    whole = stream(click("a"))
    twice = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["id", "id"])
    with pa.ipc.new_stream(twice, batch.schema) as out:
        out.write_batch(batch)
    rows, rejects = read("arrow", b"", b"{}", whole[: len(whole) // 2], bytes(twice.getvalue()))
    assert (rows, rejects) == ({}, dict.fromkeys("0123", "not_arrow"))


@pytest.mark.parametrize("form", ["avro", "arrow"])
def test_bytes_changed_by_chance_raise_nothing(form: Literal["avro", "arrow"]) -> None:
    whole = container(click("a")) if form == "avro" else stream(click("a"))
    changed = [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(len(whole))]
    made = batches(form, changed)
    rows = sum(raw.batch.num_rows for raw in made)
    rejects = sum(raw.rejects.num_rows for raw in made)
    assert rows > 0
    assert rejects > 0
    assert rows + rejects <= len(whole)
