"""The topics of the stream: partitions are followed and split by group; live rows are written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.alerts import messages
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.stream_values import (
    ALERTS,
    Arrived,
    Latest,
    Poll,
    Record,
    Sent,
    Written,
)
from rejse.pipelines.live.hot_core import Edge
from rejse.pipelines.live.stream_groups import digest, groups_of
from rejse.pipelines.sources import positions, shards
from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.kafka.follow import Follower
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.alerts.ledger import Alert
from rejse.transforms.columnar.customer_buckets import key_range
from rejse.transforms.errors import MisuseError
from rejse.transforms.incremental.shuffle_files import BucketFiles
from rejse.transforms.incremental.shuffle_media import InMemory, Piece
from rejse.transforms.journeys.watermarks import HEARTBEAT

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

#: Seconds in which a look into a connection waits for the first message.
WAIT = 0.1
#: Seconds in which the brokers must take what a bundle writes.
ANSWER = 60.0
#: What a producer is set to: a record is in the log of all replicas, once a try.
FIXED: Mapping[str, Any] = {"enable.idempotence": True, "linger.ms": 5, "log_level": 2}


def unread(settings: Settings, base: Publication) -> list[TopicShard]:
    """Return the partitions of all sources, each from what a publication has not read.

    Raises:
        MisuseError: no source has a topic.
        SourceError: a topic does not exist, or its broker does not answer.
    """
    if not any(source.topic for source in settings.sources.values()):
        raise MisuseError("expected a source with a topic: a stream does not follow files")
    partitions = [p for source in settings.sources.values() for p in shards.partitions(source)]
    before = positions.of(settings, base.positions)
    look = positions.look(partitions, before, settings.key(), delta_store.now())
    starts = {(piece.source, piece.path): piece.start for piece in look.unread}
    return [
        replace(part, start=starts.get((part.source, part.path), part.stop), notes=())
        for part in partitions
    ]


def by_group(edge: Edge, piece: TopicShard, n_groups: int, known: Latest) -> dict[int, Arrived]:
    """Read messages of a partition; return the rows of each group.

    Groups without rows are told of times later than those `known`, which are added to these.
    """
    batches, latest = edge.read([piece])
    rows: dict[int, dict[str, list[Piece]]] = {}
    for kind, of_kind in batches.items():
        files = BucketFiles(InMemory(), n_groups)
        for batch in of_kind:
            files.add(batch)
        for group, content in files.close():
            rows.setdefault(group, {}).setdefault(kind, []).append(content)
    is_later = any(known.get(name, at - 1) < at for name, at in latest.items())
    known |= {name: max(at, known.get(name, at)) for name, at in latest.items()}
    return {
        group: Arrived(
            piece.source, piece.path, piece.topic_id, piece.stop, rows.get(group, {}), dict(known)
        )
        for group in (range(n_groups) if is_later else sorted(rows))
    }


@dataclass
class PartitionReader:
    """Follows partitions in the worker to which it travels.

    Attributes:
        config: The configuration, which the worker reads.
        n_groups: Groups of customers.
        disorder: Microseconds by which rows of each source may come too late.
    """

    config: Path
    n_groups: int
    disorder: Mapping[str, int]
    _followers: dict[str, tuple[Follower, int]] = field(default_factory=dict)
    _latest: dict[str, Latest] = field(default_factory=dict)

    def polls(self, partition: TopicShard, start: int, seconds: float) -> Iterator[Poll]:
        """Yield what comes from an offset on, for so many seconds.

        Raises what `Follower.look` raises.
        """
        end, groups = time.monotonic() + seconds, groups_of(self.config, self.n_groups)
        name = f"{partition.source}:{partition.path}"
        follower, at = self._followers.pop(name, (None, -1))
        if follower is None or at != start:
            if follower is not None:
                follower.close()
            follower = Follower([replace(partition, stop=start)])
            self._latest[name] = {}
        at = start
        while time.monotonic() < end and at < partition.stop:
            for piece in follower.look(WAIT):
                with groups.lock:
                    arrived = by_group(groups.base().edge, piece, self.n_groups, self._latest[name])
                yield Poll(arrived, piece.stop, self._watermark(self._latest[name]))
                at = piece.stop
        self._followers[name] = (follower, at)

    def close(self) -> None:
        """End all connections."""
        for follower, _ in self._followers.values():
            follower.close()
        self._followers.clear()

    def _watermark(self, latest: Latest) -> int | None:
        """Return up to when a partition is complete by what came of it."""
        return max(
            (
                at if name.startswith(HEARTBEAT) else at - self.disorder.get(source, 0)
                for (_, (source, name)), at in latest.items()
            ),
            default=None,
        )

    def __getstate__(self) -> tuple[Path, int, Mapping[str, int]]:
        return self.config, self.n_groups, self.disorder

    def __setstate__(self, state: tuple[Path, int, Mapping[str, int]]) -> None:
        self.config, self.n_groups, self.disorder = state
        self._followers, self._latest = {}, {}


@dataclass(frozen=True)
class WrittenReader:
    """Reads what the topics of the stream hold, in the worker to which it travels."""

    n_groups: int

    def written(self, partition: TopicShard) -> Iterator[tuple[int, Written]]:
        """Yield by group what a partition of live rows or of alerts holds.

        Raises what `broker.messages` raises.
        """
        sent: dict[str, Sent] = {}
        alerts: dict[str, Alert] = {}
        for message in (message for poll in broker.messages(partition) for message in poll):
            key = (message.key or b"").decode()
            if message.value is None:
                sent.pop(key, None)
            elif partition.source == ALERTS:
                alerts[key] = messages.alert_of(json.loads(message.value))
            else:
                sent[key] = Sent(json.loads(message.value)["customer_key"], digest(message.value))
        for group in range(self.n_groups):
            low, high = key_range(group, self.n_groups)
            of_group = {j: row for j, row in sent.items() if low <= row.customer_key < high}
            theirs = [alert for alert in alerts.values() if low <= alert.customer_key < high]
            if of_group or theirs:
                yield group, Written(of_group, theirs)


@dataclass
class TopicWriter:
    """Writes messages to the topics of the stream; the client is made with the first.

    Attributes:
        topics: Name of the topic by what the stream calls it; messages to others are left out.
        servers: Brokers to ask first.
        options: Options of librdkafka; `${NAME}` for secrets.
    """

    topics: Mapping[str, str]
    servers: str
    options: tuple[tuple[str, str], ...] = ()
    _producer: Any = None
    _faults: list[Any] = field(default_factory=list)

    def partitions(self) -> list[TopicShard]:
        """Return the partitions of the topics as they are now; the source is what they hold.

        Raises SourceError where a topic does not exist.
        """
        return [
            partition
            for name, topic in self.topics.items()
            for partition in broker.partitions(name, self._topic(topic))
        ]

    def write(self, record: Record) -> None:
        """Take a message. Raises BrokerError where too many wait for their brokers."""
        topic = self.topics.get(record.topic)
        if topic is None:
            return
        if self._producer is None:
            self._producer = self._made()
        while True:
            try:
                self._producer.produce(topic, record.value, record.key, on_delivery=self._note)
                return
            except BufferError:  # the queue is full
                self.flush()

    def flush(self) -> None:
        """Return once the brokers have all messages. Raises BrokerError where they do not."""
        if self._producer is None:
            return
        left = self._producer.flush(ANSWER)
        faults, self._faults = self._faults, []
        if left or faults:
            self._producer = None  # what is in its queue is written again by the next try
            problem = faults[0].name() if faults else "no answer"
            raise BrokerError(f"expected the brokers to take live rows, came: {problem}")

    def _made(self) -> Any:
        from confluent_kafka import Producer

        return broker.client(Producer, "stream", self._topic(""), FIXED)[0]

    def _topic(self, name: str) -> Topic:
        return Topic(name, self.servers, "json", self.options)

    def _note(self, fault: KafkaError | None, _: Message) -> None:
        if fault is not None:
            self._faults.append(fault)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.topics, self.servers, self.options

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.topics, self.servers, self.options = state
        self._producer, self._faults = None, []
