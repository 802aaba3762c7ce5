"""What passes between the steps of the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.transforms.alerts.ledger import Alert
from rejse.transforms.incremental.shuffle_media import Piece
from rejse.transforms.journeys.watermarks import Delivery

#: Topics that the stream writes, by what it calls them.
LIVE_ROWS, ALERTS = "live", "alerts"
#: Latest event time, microseconds, by kind of input and (configured source, delivered name).
Latest = dict[tuple[str, Delivery], int]


@dataclass(frozen=True)
class Arrived:
    """Rows of customers of one group from some messages of a partition.

    Attributes:
        source: The configured source.
        path: Name of the partition in positions.
        topic_id: Id of its topic.
        stop: Offset after the last of the messages.
        rows: Bucket files by kind of input; none where no row is of this group.
        latest: Latest times of the deliveries of these messages.
    """

    source: str
    path: str
    topic_id: str
    stop: int
    rows: Mapping[str, Sequence[Piece]]
    latest: Latest


@dataclass(frozen=True)
class Sent:
    """What was written last of a journey: the digest of its row; None for its deletion."""

    customer_key: str
    digest: bytes | None


@dataclass(frozen=True)
class Written:
    """What the topics of the stream had of a group when the graph began.

    Attributes:
        sent: What was written last of each journey that was not deleted.
        alerts: The alerts.
    """

    sent: Mapping[str, Sent]
    alerts: Sequence[Alert]


class Record(NamedTuple):
    """A message to one of the stream's topics; without a value it deletes its key."""

    topic: str
    key: str
    value: bytes | None


@dataclass(frozen=True)
class Outcome:
    """What a step of a group made.

    Attributes:
        records: Messages for the topics.
        entry: What is added to the group's log.
        is_anew: The log begins anew with this entry.
        token: Identifies the group's state after the step.
        due: Event time (microseconds) at which rows may change without an event; None: never.
    """

    records: Sequence[Record]
    entry: bytes
    is_anew: bool
    token: str
    due: int | None


@dataclass(frozen=True)
class Poll:
    """Messages of a partition, read: what each group has of them.

    Attributes:
        arrived: By number of the group.
        stop: Offset after the last of them.
        watermark: Event time (microseconds) up to which the partition is complete; None where
            that is not known.
    """

    arrived: Mapping[int, Arrived]
    stop: int
    watermark: int | None = None


#: Returns the entries of a group's log.
ReadLog = Callable[[], Iterable[bytes]]


class Reader(Protocol):
    """Reads a partition; it travels to the workers, and connects there."""

    def polls(self, partition: TopicShard, start: int, seconds: float) -> Iterator[Poll]:
        """Yield what comes from an offset on, for so many seconds."""

    def close(self) -> None:
        """End all connections."""


class Restorer(Protocol):
    """Reads what the topics of the stream hold; it travels to the workers."""

    def written(self, partition: TopicShard) -> Iterator[tuple[int, Written]]:
        """Yield by group what a partition holds."""


class Scorer(Protocol):
    """Scores groups of customers; it travels to the workers."""

    def is_current(self, token: str) -> bool:
        """Return whether a group's state follows the last publication."""

    def step(
        self, group: int, token: str, log: ReadLog, arrived: Sequence[Arrived], latest: Latest,
        written: Sequence[Written] = (),
    ) -> Outcome:  # fmt: skip
        """Take rows of a group, whose state has `token`; empty where it has none.

        `written` is what another graph has written of it.
        """


class Writer(Protocol):
    """Writes messages to topics; it travels to the workers, and connects there."""

    def write(self, record: Record) -> None:
        """Take a message."""

    def flush(self) -> None:
        """Return once the brokers have all messages. Raises an error where they do not."""
