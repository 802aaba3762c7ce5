"""Messages of a poll as rows and rejects: each message counts once, with its offset."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa

from rejse.pipelines.sources import read_messages
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])


def read(*values: bytes | None, first: int = 0, schema: pa.Schema = SCHEMA) -> RawBatch:
    """The batch of one poll; every second offset holds no message, as after compaction."""
    shard = TopicShard("web", Topic("clicks", "localhost:9092"), "a", 3, 0, 1000)
    poll = [Message(first + 2 * place, value) for place, value in enumerate(values)]
    (batch,) = read_messages.batches(shard, schema, [poll])
    return batch


def rows(raw: RawBatch) -> dict[int, tuple[str, int]]:
    assert raw.positions is not None
    return {
        at: (row["id"], row["n"])
        for at, row in zip(raw.positions.to_pylist(), raw.batch.to_pylist(), strict=True)
    }


def rejects(raw: RawBatch) -> dict[str, str]:
    return {row["position"]: row["reason"] for row in raw.rejects.to_pylist()}


def test_rows_have_the_offsets_of_their_messages() -> None:
    raw = read(b'{"id": "a", "n": 1}', b'{"id": "b", "n": 2, "x": 0}', first=40)
    assert rows(raw) == {40: ("a", 1), 42: ("b", 2)}
    assert raw.file == "kafka://clicks/3"
    assert raw.rejects.num_rows == 0


def test_what_is_no_row_is_a_reject() -> None:
    raw = read(
        b"{poison", None, b"", b" \t", b"[1]", b'{"id": "a", "n": 1}', b'{"n": "many"}', b"\xff{}",
        b'{"id": "' + b"x" * (1 << 20) + b'"}', b'{"n": 1}{"n": 2}', b'{"n": NaN}',
    )  # fmt: skip
    assert rows(raw) == {10: ("a", 1)}
    assert rejects(raw) == {
        "kafka://clicks/3:0": "not_json",
        "kafka://clicks/3:2": "no_value",
        "kafka://clicks/3:4": "not_json",
        "kafka://clicks/3:6": "not_json",
        "kafka://clicks/3:8": "not_an_object",
        "kafka://clicks/3:12": "type_mismatch",
        "kafka://clicks/3:14": "not_json",
        "kafka://clicks/3:16": "record_too_large",
        "kafka://clicks/3:18": "not_json",
        "kafka://clicks/3:20": "not_json",
    }


def test_a_line_break_in_a_value_parts_no_rows() -> None:
    """An object is a row however it is laid out; two objects are one reject, not two rows."""
    laid_out = json.dumps({"id": "a", "n": 1}, indent=2).encode()
    raw = read(
        laid_out, b'{"n": 1}\n{"n": 2}', b'{"id": "b\nc", "n": 3}', b'{"id": "d", "n": 4}\n',
        b'{"id": "e\\nf", "n": 5}',
    )  # fmt: skip
    assert rows(raw) == {0: ("a", 1), 6: ("d", 4), 8: ("e\nf", 5)}
    assert rejects(raw) == {"kafka://clicks/3:2": "not_json", "kafka://clicks/3:4": "not_json"}


def test_key_and_time_of_a_message_are_columns_where_the_schema_has_them() -> None:
    """They are never the value's own, and a schema file without them reads as before."""
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    poll = [
        Message(0, b'{"id": "a", "kafka_key": "its own"}', b"C1", at), Message(1, b"?", b"C2", at),
        Message(2, b'{"id": "b",\n"n": 1}', b"", None), Message(3, b'{"id": "c"}', b"\xff", at),
    ]  # fmt: skip
    shard = TopicShard("web", Topic("clicks", "localhost:9092"), "a", 3, 0, 1000)
    schema = pa.schema([*SCHEMA, ("kafka_timestamp", pa.timestamp("us", "UTC"))])
    schema = schema.append(pa.field("kafka_key", pa.string()))
    (raw,) = read_messages.batches(shard, schema, [poll])
    rows = {row.pop("id"): tuple(row.values()) for row in raw.batch.to_pylist()}
    assert rows == {"a": (None, at, "C1"), "b": (1, None, None), "c": (None, at, "\ufffd")}
    (plain,) = read_messages.batches(shard, SCHEMA, [poll])
    assert plain.batch.schema.names == ["id", "n"]


def test_a_poll_of_poison_alone() -> None:
    raw = read(None, b"?", b"\n")
    assert raw.batch.num_rows == 0
    assert raw.batch.schema.names == ["id", "n"]
    assert raw.rejects.num_rows == 3


def test_a_secret_in_poison_is_in_its_payload_only() -> None:
    raw = read(b'{"password": "hunter2", ')
    (row,) = raw.rejects.to_pylist()
    assert row["payload"] == '{"password": "hunter2", '
    assert "hunter2" not in row["detail"]
