"""Read the messages of a topic as Arrow batches under the frozen raw schema.

The values of a poll are read at once, JSON as the lines of a file are. Each message is a row, some
rows, or a reject, whose position has its topic, partition and offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.pipelines.config import raw_schema
from rejse.pipelines.sources.decompress import RECORD
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.kafka import archive, broker
from rejse.pipelines.sources.kafka.avro import Avro, DecodeError
from rejse.pipelines.sources.kafka.broker import KEY, TIMESTAMP, Message
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.pipelines.sources.read_json import JsonLines
from rejse.pipelines.sources.read_parquet import Parquet
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.schema.contract import TIME

#: Columns of a schema file that a message fills, whatever its value holds.
MESSAGE_COLUMNS: Mapping[str, pa.DataType] = {KEY: pa.string(), TIMESTAMP: TIME}
TOMBSTONE = "expected a value, came none; it deletes its key in a compacted topic, and no row here"
#: What reading Arrow IPC may raise.
FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, NotImplementedError)
_DECIMAL = re.compile(r"decimal\d+\((\d+), (-?\d+)\)")
#: Offset of a message, or offset and number (from 1) of a row in it.
Label = int | str
#: Reason and detail of a refused message, by label.
Refused = list[tuple[Label, str, str]]
#: Yields the messages of a piece, some at a time.
Polls = Callable[[TopicShard], Iterator[list[Message]]]


def messages(shard: TopicShard) -> Iterator[list[Message]]:
    """Return the messages of a piece, of its file of the archive or of the broker.

    Raises what `archive.messages` and `broker.messages` raise.
    """
    return broker.messages(shard) if shard.archived is None else archive.messages(shard)


def batches(
    shard: TopicShard, schema: pa.Schema, polls: Iterable[Sequence[Message]]
) -> Iterator[RawBatch]:
    """Yield the batches of each poll under the frozen schema.

    Raises BrokerError where a schema registry does not answer.
    """
    decode = _decoder(shard, schema)
    for poll in polls:
        refused: Refused = []
        present = [message for message in poll if _has_value(message, refused)]
        for raw in decode(present, refused):
            yield _with_message_columns(raw, schema, present)


def _with_message_columns(raw: RawBatch, schema: pa.Schema, poll: Sequence[Message]) -> RawBatch:
    """Return the batch with key and timestamp of its messages, where the schema file has them."""
    columns = [field for field in schema if MESSAGE_COLUMNS.get(field.name) == field.type]
    if not columns or raw.positions is None:
        return raw
    offsets = [int(str(label).partition(".")[0]) for label in raw.positions.to_pylist()]
    messages, batch = {message.offset: message for message in poll}, raw.batch
    for field in columns:
        if field.name == KEY:
            keys = ((messages[at].key or b"").decode("utf-8", "replace") for at in offsets)
            column = pa.array([key or None for key in keys], pa.string())
        else:
            column = pa.array([messages[at].timestamp for at in offsets], field.type)
        batch = batch.set_column(batch.schema.get_field_index(field.name), field.name, column)
    return replace(raw, batch=batch)


def _decoder(
    shard: TopicShard, schema: pa.Schema
) -> Callable[[Sequence[Message], Refused], Iterator[RawBatch]]:
    source, file = shard.source, shard.file
    if shard.topic.format == "arrow":
        return ArrowMessages(Parquet(schema, source, file)).batches
    lines = JsonMessages(JsonLines(schema, source, file))
    if shard.topic.format == "avro":
        return AvroMessages(Avro(source, shard.topic), lines).batches
    return lines.batches


def _has_value(message: Message, refused: Refused) -> bool:
    if message.value is None:
        refused.append((message.offset, "no_value", TOMBSTONE))
    return message.value is not None


class JsonMessages:
    """Reads values that are a JSON object each, whatever line breaks are in them."""

    def __init__(self, reader: JsonLines) -> None:
        self._reader = reader

    def batches(self, poll: Sequence[Message], refused: Refused) -> Iterator[RawBatch]:
        """Yield the batch of a poll; `refused` are rejects that it has already."""
        yield self.batch([(m.offset, m.value or b"") for m in poll], refused)

    def batch(self, objects: Sequence[tuple[Label, bytes]], refused: Refused) -> RawBatch:
        """Return the batch of some JSON objects."""
        lines, apart = list[tuple[Label, bytes]](), list[tuple[Label, bytes]]()
        for label, value in objects:
            if not value or value.isspace():
                refused.append((label, "not_json", "expected an object, came nothing"))
            elif len(value) > RECORD or b"\n" in value:
                apart.append((label, value))
            else:
                lines.append((label, value))
        labels = [label for label, _ in (*lines, *apart)]
        numbers, parts = np.arange(len(labels)), []
        if lines:
            joined = b"\n".join(value for _, value in lines)
            parts.append(self._reader.decode_rows(joined, numbers))
        if apart or not lines:
            values = [value for _, value in apart]
            parts.append(self._reader.records(values, numbers[len(lines) :]))
        return _labelled(
            self._reader,
            labels,
            pa.concat_batches([part.batch for part in parts]),
            np.concatenate([part.rows for part in parts]),
            refusals.join([part.rejects for part in parts]),
            refused,
        )


class AvroMessages:
    """Reads Avro as JSON objects, so that types and rejects are those of JSON."""

    def __init__(self, avro: Avro, lines: JsonMessages) -> None:
        self._avro, self._lines = avro, lines

    def batches(self, poll: Sequence[Message], refused: Refused) -> Iterator[RawBatch]:
        """Yield the batch of a poll; `refused` are rejects that it has already."""
        objects: list[tuple[Label, bytes]] = []
        for offset, value, *_ in poll:
            try:
                records = self._avro.records(value or b"")
            except DecodeError as fault:
                refused.append((offset, "not_avro", str(fault)))
            else:
                objects += zip(_labels(offset, len(records)), records, strict=True)
        yield self._lines.batch(objects, refused)


class ArrowMessages:
    """Reads Arrow IPC streams; those of one schema become one batch."""

    def __init__(self, reader: Parquet) -> None:
        self._reader = reader

    def batches(self, poll: Sequence[Message], refused: Refused) -> Iterator[RawBatch]:
        """Yield the batches of a poll; `refused` are rejects that it has already."""
        alike: dict[str, list[pa.RecordBatch]] = {}
        labels: dict[str, list[Label]] = {}
        for offset, value, *_ in poll:
            try:
                with pa.ipc.open_stream(pa.py_buffer(value)) as stream:
                    _expect_plain(stream.schema)
                    made = [batch for batch in stream if batch.validate(full=True) is None]
            except FAULTS:
                refused.append((offset, "not_arrow", "expected an Arrow IPC stream"))
                continue
            for batch in made:
                alike.setdefault(str(batch.schema), []).append(batch)
            if made:
                rows = sum(batch.num_rows for batch in made)
                labels.setdefault(str(made[0].schema), []).extend(_labels(offset, rows))
        if refused or not alike:
            yield _labelled(self._reader, [], *_nothing(self._reader.schema), refused)
        for schema, made in alike.items():
            part = self._reader.part(pa.concat_batches(made), 0)
            rows = np.arange(part.batch.num_rows) if part.rows is None else part.rows
            yield _labelled(self._reader, labels[schema], part.batch, rows, part.rejects, [])


def _expect_plain(schema: pa.Schema) -> None:
    """Raise ValueError where columns have one name, or a type that no schema file can write.

    Arrow does not check the types of a damaged stream, and ends the process where it casts them.
    """
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("columns of one name")
    for kind in schema.types:
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if raw_schema.parse(raw_schema.render(plain)) != plain:
            raise ValueError("no type of a schema file")
        for digits, scale in _DECIMAL.findall(str(plain)):
            if not 0 <= int(scale) <= int(digits):
                raise ValueError("a decimal of a wrong scale")


def _labels(offset: int, rows: int) -> list[Label]:
    """Return where each row of a message is; that of a single one is its offset."""
    return [offset] if rows == 1 else [f"{offset}.{row}" for row in range(1, rows + 1)]


def _nothing(schema: pa.Schema) -> tuple[pa.RecordBatch, Any, pa.Table]:
    empty = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
    return empty, np.zeros(0, dtype=np.int64), refusals.empty()


def _labelled(
    reader: JsonLines | Parquet,
    labels: Sequence[Label],
    batch: pa.RecordBatch,
    rows: np.ndarray[Any, np.dtype[np.int64]],
    rejects: pa.Table,
    refused: Refused,
) -> RawBatch:
    """Return a raw batch whose rows and rejects, numbered as they were read, have their labels."""
    source, file = reader.source, reader.file
    if all(isinstance(label, int) for label in labels):
        places = arrow(np.array(labels, dtype=np.int64)[rows])
    else:
        places = text([str(labels[row]) for row in rows.tolist()])
    if rejects.num_rows:
        numbers = (at.rpartition(":")[2] for at in rejects.column("position").to_pylist())
        named = text([f"{file}:{labels[int(number)]}" for number in numbers])
        rejects = rejects.set_column(rejects.schema.get_field_index("position"), "position", named)
    more = refusals.refuse(
        source,
        [f"{file}:{label}" for label, _, _ in refused],
        [reason for _, reason, _ in refused],
        [detail for _, _, detail in refused],
        [None] * len(refused),
    )
    return RawBatch(source, file, 0, batch, places, refusals.join([rejects, more]))
