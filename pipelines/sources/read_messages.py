"""Read the messages of a topic as Arrow batches under the frozen raw schema.

The values of a poll are joined and read at once, as the lines of a file are. Each message is a row
or a reject, whose position has its topic, partition and offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from rejse.pipelines.sources.decompress import RECORD
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.pipelines.sources.read_json import JsonLines
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.ingest import rejects as refusals

TOMBSTONE = "expected a value, came none; it deletes its key in a compacted topic, and no row here"


def read(shard: TopicShard, schema: pa.Schema) -> Iterator[RawBatch]:
    """Read a piece of a topic under the frozen schema. Raises what `broker.messages` raises."""
    yield from batches(shard, schema, broker.messages(shard))


def batches(
    shard: TopicShard, schema: pa.Schema, polls: Iterable[Sequence[Message]]
) -> Iterator[RawBatch]:
    """Yield a batch for each poll."""
    reader = JsonLines(schema, shard.source, shard.file)
    for poll in polls:
        yield json_batch(reader, poll)


def json_batch(reader: JsonLines, poll: Sequence[Message]) -> RawBatch:
    """Read values that are a JSON object each, whatever line breaks are in them."""
    lines, apart, refused = list[Message](), list[Message](), list[tuple[int, str, str]]()
    for message in poll:
        value = message.value
        if value is None:
            refused.append((message.offset, "no_value", TOMBSTONE))
        elif not value or value.isspace():
            refused.append((message.offset, "not_json", "expected an object, came nothing"))
        elif len(value) > RECORD or b"\n" in value:
            apart.append(message)
        else:
            lines.append(message)
    parts = []
    if lines:
        joined = b"\n".join(message.value or b"" for message in lines)
        parts.append(reader.decode_rows(joined, _offsets(lines)))
    if apart or not lines:
        parts.append(reader.records([message.value or b"" for message in apart], _offsets(apart)))
    rows = np.concatenate([part.rows for part in parts])
    batch = pa.concat_batches([part.batch for part in parts])
    rejects = [part.rejects for part in parts]
    if refused:
        rejects.append(_refused(reader.source, reader.file, refused))
    first = poll[0].offset if poll else 0
    return RawBatch(reader.source, reader.file, first, batch, arrow(rows), refusals.join(rejects))


def _offsets(messages: Sequence[Message]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([message.offset for message in messages], dtype=np.int64)


def _refused(source: str, file: str, refused: Sequence[tuple[int, str, str]]) -> pa.Table:
    return refusals.refuse(
        source,
        [f"{file}:{offset}" for offset, _, _ in refused],
        [reason for _, reason, _ in refused],
        [detail for _, _, detail in refused],
        [None] * len(refused),
    )
