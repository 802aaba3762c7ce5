"""Ask a Kafka broker for the ends of a topic and for messages, within librdkafka's client.

Messages are those of committed transactions only. Offsets of consumer groups are neither read nor
written.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rejse.pipelines.config.field_types import SettingsError, expand
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard
from rejse.pipelines.sources.listing import SourceError
from rejse.transforms.schema.moments import moment

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

#: Seconds in which a broker must answer, and in which some message of a piece must come.
ANSWER, STALL = 15.0, 60.0
#: Offset of an end that a broker does not know, in place of an error.
INVALID = -1001
#: Messages and bytes of a poll at most.
MESSAGES, BYTES = 16_384, 8 << 20
#: Options that begin so are for the schema registry, not for the broker.
REGISTRY = "schema.registry."
#: What every client is set to; no option of a source changes it.
FIXED: Mapping[str, Any] = {
    "group.id": "rejse", "enable.auto.commit": False, "enable.auto.offset.store": False,
    "auto.offset.reset": "error", "isolation.level": "read_committed",
    "enable.partition.eof": True, "log_level": 2,
}  # fmt: skip
_PROPERTY = re.compile(r'property[: ]+"?([\w.]+)"?')


#: Columns by which a mapping has key and time of a message.
KEY, TIMESTAMP = "kafka_key", "kafka_timestamp"


class Message(NamedTuple):
    """A message of a partition; a tombstone has no value."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: datetime | None = None


class BrokerError(SourceError):
    """A broker cannot be reached or refuses an answer; another try may succeed."""


def partitions(source: str, topic: Topic, answer: float = ANSWER) -> list[TopicShard]:
    """Return what a topic holds now: each partition from the start of its log to its end.

    The end is that of committed transactions: what comes later is left for another run.

    Raises:
        SourceError: there is no such topic, or an option is wrong.
        BrokerError: the broker does not answer within `answer` seconds, or has just been started
            and does not know some end.
    """
    expect_installed(source, "confluent_kafka")
    from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    fixed = {name: FIXED[name] for name in ("log_level",)}
    admin, faults = client(AdminClient, source, topic, fixed)
    try:
        about_topics = admin.describe_topics(TopicCollection([topic.name]), request_timeout=answer)
        about = about_topics[topic.name].result()
        places = [TopicPartition(topic.name, part.id) for part in about.partitions]
        ends = [
            admin.list_offsets(
                dict.fromkeys(places, spec),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=answer,
            )
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        ]
        first, last = ({p.partition: f.result().offset for p, f in end.items()} for end in ends)
    except KafkaException as fault:
        admin.poll(0)  # brings what the client noticed meanwhile
        raise described(source, topic, fault.args[0], faults) from None
    if unknown := sorted(p for p in first if min(first[p], last.get(p, INVALID)) < 0):
        raise BrokerError(
            f"source {source}: topic {topic.name} at {topic.servers}: expected the ends of all"
            f" partitions, the broker does not know those of {', '.join(map(str, unknown))} yet"
        )
    topic_id = str(about.topic_id)
    return [
        TopicShard(source, topic, topic_id, part, first[part], last[part]) for part in sorted(first)
    ]


def messages(shard: TopicShard, stall: float = STALL) -> Iterator[list[Message]]:
    """Yield the messages of a piece, some at a time; offsets without a message are left out.

    Raises:
        SourceError: messages were removed meanwhile, or an option is wrong.
        BrokerError: no message came for `stall` seconds.
    """
    from confluent_kafka import Consumer, TopicPartition

    if shard.start >= shard.stop:
        return
    consumer, faults = client(Consumer, shard.source, shard.topic, FIXED)
    try:
        consumer.assign([TopicPartition(shard.topic.name, shard.partition, shard.start)])
        yield from _polls(consumer, shard, faults, stall)
    finally:
        consumer.close()


def _polls(
    consumer: Any, shard: TopicShard, faults: list[KafkaError], stall: float
) -> Iterator[list[Message]]:
    poll, size, is_over, heard = list[Message](), 0, False, time.monotonic()
    while not is_over:
        signals.check()
        answers = consumer.consume(MESSAGES, timeout=0.2)
        for answer in answers:
            fault, offset = answer.error(), answer.offset()
            if fault is None and offset < shard.stop:
                value = answer.value()
                poll.append(message_of(answer))
                size += len(value or b"")
                is_over = is_over or offset == shard.stop - 1
            elif fault is None or fault.name() == "_PARTITION_EOF":
                is_over = True
            elif not fault.retriable():
                raise described(shard.source, shard.topic, fault, faults)
        if answers:
            heard = time.monotonic()
        elif time.monotonic() - heard > stall:
            raise described(shard.source, shard.topic, None, faults)
        if poll and (is_over or size >= BYTES or len(poll) >= MESSAGES):
            yield poll
            poll, size, heard = [], 0, time.monotonic()


def message_of(answer: Any) -> Message:
    """Return a message as the client received it; one without a timestamp has none."""
    kind, milliseconds = answer.timestamp()
    at = None if kind == 0 else moment(1000 * milliseconds)
    return Message(answer.offset(), answer.value(), answer.key(), at)


def expect_installed(source: str, library: str) -> None:
    """Raise SourceError where a library of the extra `kafka` is not installed."""
    if importlib.util.find_spec(library) is None:
        raise SourceError(
            f"source {source}: expected {library}, which reads topics; first:"
            " pip install 'rejse[kafka]'"
        )


def client(kind: Any, source: str, topic: Topic, fixed: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a client and the list to which it adds its faults."""
    from confluent_kafka import KafkaException

    faults: list[KafkaError] = []
    options = resolved(source, topic, is_registry=False)
    try:
        made = kind(
            {
                **options,
                "bootstrap.servers": expand(topic.servers),
                "error_cb": faults.append,
                **fixed,
            },
            logger=logging.getLogger("rejse.kafka"),
        )
    except KafkaException as fault:
        # The library's message may repeat the value, which may be a secret.
        named = _PROPERTY.search(str(fault))
        which = named[1] if named else "one of them"
        raise SourceError(
            f"source {source}: options: {which} is no option of librdkafka, or has no value of its"
            " kind; see docs/how-to/kafka.md"
        ) from None
    return made, faults


def resolved(source: str, topic: Topic, *, is_registry: bool) -> dict[str, str]:
    """Return the options for the broker or for the schema registry, with the secrets.

    Raises:
        SourceError: an environment variable is not set.
    """
    out = {}
    for name, text in topic.options:
        if name.startswith(REGISTRY) == is_registry:
            try:
                out[name] = expand(text)
            except SettingsError as fault:
                raise SourceError(f"source {source}: options: {name}: {fault}") from None
    return out


def described(
    source: str, topic: Topic, fault: KafkaError | None, before: list[KafkaError]
) -> SourceError:
    """Return the error of a fault, else of the last one before."""
    last = before[-1] if before else None
    where = f"source {source}: topic {topic.name} at {topic.servers}"
    name = "" if fault is None else fault.name()
    if name in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"):
        return SourceError(f"{where}: expected the topic, found none; correct `topic` or make it")
    if name in ("OFFSET_OUT_OF_RANGE", "_AUTO_OFFSET_RESET"):
        return SourceError(f"{where}: messages were removed while they were read; run again")
    what = last if fault is None or (name in ("_TIMED_OUT", "_TRANSPORT") and last) else fault
    answer = "none" if what is None else what.str()
    return BrokerError(f"{where}: expected an answer of the broker, came: {answer}")
