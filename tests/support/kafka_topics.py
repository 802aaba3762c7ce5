"""Topics of a broker in tests: made under a name of their own, filled, changed."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from rejse.pipelines.config import settings
from tests.support import installation
from tests.support.increments import Arrivals, Order
from tests.support.transcript import Transcript

#: Nothing of what the library has to say of a broker that ended.
QUIET = {"log_level": 0}
_numbers = itertools.count(1)


class Topics:
    """Topics of one broker."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self._admin = AdminClient({"bootstrap.servers": servers, **QUIET})
        self._connect()

    def _connect(self) -> None:
        """Forget what is known of partitions."""
        self._producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5, **QUIET})

    def make(self, partitions: int = 1, name: str = "", **config: Any) -> str:
        """Make a topic; without a name it has one of its own."""
        name = name or f"topic-{next(_numbers)}"
        made = self._admin.create_topics([NewTopic(name, partitions, 1, config=config)])
        made[name].result()
        return name

    def make_anew(self, name: str, partitions: int = 1) -> None:
        """Delete a topic and make another one of its name."""
        self._admin.delete_topics([name])[name].result()
        while True:
            try:
                self.make(partitions, name)
                self._connect()
                return
            except KafkaException as fault:  # until the first one is gone
                assert fault.args[0].name() == "TOPIC_ALREADY_EXISTS"

    def grow(self, name: str, partitions: int) -> None:
        """Let a topic have more partitions."""
        self._admin.create_partitions([NewPartitions(name, partitions)])[name].result()
        self._connect()

    def expire(self, name: str, before: int, partition: int = 0) -> None:
        """Remove the messages of a partition before an offset, as retention does."""
        place = TopicPartition(name, partition, before)
        self._admin.delete_records([place])[place].result()

    def send(self, name: str, values: Iterable[bytes | None], partition: int = 0) -> None:
        """Add messages to a partition."""
        for value in values:
            self._producer.produce(name, value, key=b"k", partition=partition)
        assert self._producer.flush(30) == 0

    def scatter(self, name: str, values: Sequence[bytes], partitions: int, seed: int) -> None:
        """Add messages to partitions by chance."""
        chance = random.Random(seed)
        placed: list[list[bytes]] = [[] for _ in range(partitions)]
        for value in values:
            placed[chance.randrange(partitions)].append(value)
        for partition, own in enumerate(placed):
            self.send(name, own, partition)


def transaction(servers: str, name: str, values: Iterable[bytes], *, commit: bool) -> None:
    """Add messages in a transaction of their own, which is committed or aborted."""
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": f"writer-{next(_numbers)}", **QUIET}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(name, value, partition=0)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.flush(30)
        producer.abort_transaction(30)


def of_topic(
    folder: Path, servers: str, topic: str, more: Mapping[str, str] | None = None
) -> settings.Settings:
    """An installation whose source reads a topic."""
    installation.installation(folder, {})
    path = folder / "rejse.toml"
    lines = [f'topic = "{topic}"', f'servers = "{servers}"']
    lines += [f"{name} = {value}" for name, value in (more or {}).items()]
    path.write_text(path.read_text().replace('files = ["*.jsonl"]', "\n".join(lines)))
    return settings.load(folder)


class MessageArrivals(Arrivals):
    """Transcripts whose rows arrive as messages, scattered over partitions."""

    def __init__(
        self, topics: Topics, partitions: int, transcripts: Sequence[Transcript], folder: Path,
        parts: int, order: Order, seed: int = 1,
    ) -> None:  # fmt: skip
        self._topics, self._partitions, self._seed = topics, partitions, seed
        self._names: dict[str, str] = {}
        super().__init__(transcripts, folder, parts, order, seed)

    def _adapt(self, sources: Mapping[str, int]) -> None:
        super()._adapt(sources)
        path = self._folder / "rejse.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(r'files = \["arrived/\*\.(\w+)\.jsonl"\]', self._topic, text), encoding="utf-8"
        )

    def _topic(self, files: re.Match[str]) -> str:
        name = self._names[files[1]] = self._topics.make(self._partitions)
        return f'topic = "{name}"\nservers = "{self._topics.servers}"\narchive = true'

    def n_messages(self) -> int:
        """How many messages all parts have together."""
        return sum(len(part) for parts in self._lines.values() for part in parts)

    def arrive(self, *parts: int) -> None:
        """Messages of these parts are in the topics."""
        for source, lines in self._lines.items():
            for part in parts:
                values = [line.rstrip("\n").encode() for line in lines[part]]
                self._topics.scatter(
                    self._names[source], values, self._partitions, self._seed + part
                )
