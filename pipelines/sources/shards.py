"""Pieces of what a source delivers, files or partitions of a topic: find, divide and read them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from rejse.pipelines.config.settings import Source
from rejse.pipelines.sources import files, read_messages
from rejse.pipelines.sources.files import RawBatch
from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.follow import HeldMessages
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard
from rejse.pipelines.sources.listing import SourceFile
from rejse.pipelines.sources.read_messages import Polls

Shard = files.Shard | TopicShard


def of(source: Source) -> list[Shard]:
    """Return all there is of a source now.

    Raises:
        SourceError: its topic does not exist, or its broker does not answer.
    """
    return [*files.shards(source), *partitions(source)]


def pieces(given: SourceFile | TopicShard) -> list[Shard]:
    """Divide a file into pieces to read; a partition stays as it is."""
    if isinstance(given, TopicShard):
        return [given]
    return [*files.of_file(given)]


def partitions(source: Source, answer: float = broker.ANSWER) -> list[TopicShard]:
    """Return the partitions of a source's topic as they are now; none where it has files.

    Raises:
        SourceError: the topic does not exist, or its broker does not answer in `answer` seconds.
    """
    topic = topic_of(source)
    return [] if topic is None else broker.partitions(source.name, topic, answer)


def topic_of(source: Source) -> Topic | None:
    """Return the topic of a source; None where it has files."""
    if source.topic is None:
        return None
    options = tuple(sorted(source.options.items()))
    return Topic(source.topic, source.servers, source.format, options)


def split(shard: Shard) -> list[Shard]:
    """Divide a large piece into smaller ones. Rows, their numbers and rejects stay the same."""
    return [*(shard.split() if isinstance(shard, TopicShard) else files.split(shard))]


def read(
    shard: Shard, schema: pa.Schema, messages: Polls = read_messages.messages
) -> Iterator[RawBatch]:
    """Read a piece under the frozen schema (or the columns of it that a mapping reads).

    `messages` yields those of a piece of a topic.

    Raises:
        OSError: a file cannot be opened.
        SourceError: a broker does not answer, or messages are gone.
    """
    if isinstance(shard, HeldMessages):
        return read_messages.batches(shard, schema, [shard.messages])
    if isinstance(shard, TopicShard):
        return read_messages.batches(shard, schema, messages(shard))
    return files.read(shard, schema)
