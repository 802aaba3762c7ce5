"""Follow a topic: a connection that stays, and what came through it since the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import TopicShard


@dataclass(frozen=True)
class HeldMessages(TopicShard):
    """A piece of a partition whose messages were received already."""

    messages: tuple[Message, ...] = ()


class Follower:
    """A connection to the partitions of one source's topic."""

    def __init__(self, partitions: Sequence[TopicShard]) -> None:
        """Begin at the end of each partition as it is given."""
        from confluent_kafka import Consumer, TopicPartition

        first = partitions[0]
        self._next = {given.partition: replace(given, start=given.stop) for given in partitions}
        self._consumer, self._faults = broker.client(
            Consumer, first.source, first.topic, broker.FIXED
        )
        places = [TopicPartition(first.topic.name, p.partition, p.stop) for p in partitions]
        self._consumer.assign(places)

    def look(self, wait: float = 0) -> list[HeldMessages]:
        """Return what has come, by partition; where nothing has, wait so many seconds for it.

        Raises:
            SourceError: messages were removed before they came.
        """
        received: dict[int, list[Message]] = {}
        answers = self._consumer.consume(1, timeout=wait) if wait else []
        answers += self._consumer.consume(broker.MESSAGES - len(answers), timeout=0)
        for answer in answers:
            fault = answer.error()
            if fault is None:
                received.setdefault(answer.partition(), []).append(broker.message_of(answer))
            elif fault.name() != "_PARTITION_EOF" and not fault.retriable():
                first = next(iter(self._next.values()))
                raise broker.described(first.source, first.topic, fault, self._faults)
        return [self._piece(partition, messages) for partition, messages in received.items()]

    def is_of(self, partitions: Sequence[TopicShard]) -> bool:
        """Return whether a topic still is the one that is followed, with the same partitions."""
        return _ids(self._next) == _ids({given.partition: given for given in partitions})

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()

    def _piece(self, partition: int, messages: Sequence[Message]) -> HeldMessages:
        before = self._next[partition]
        piece = replace(before, stop=messages[-1].offset + 1)
        self._next[partition] = replace(piece, start=piece.stop)
        fields: dict[str, Any] = {**vars(piece), "notes": ()}
        return HeldMessages(**fields, messages=tuple(messages))


def _ids(partitions: Mapping[int, TopicShard]) -> dict[int, str]:
    return {number: shard.topic_id for number, shard in partitions.items()}
