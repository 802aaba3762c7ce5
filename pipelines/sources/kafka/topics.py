"""Kafka topics: offsets of a partition as pieces of work, and how far each partition was read.

A topic made anew has another id, and counts as another topic. Offsets below the start of a
partition's log are gone: its retention has removed their messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rejse.transforms.journeys.watermarks import PARTITION

Format = Literal["json", "avro", "arrow"]
#: Messages of a piece at most: few, so that one partition feeds many workers.
PIECE = 262_144
#: Notes of a run: messages that retention removed before they were read; messages that were read
#: and that the broker lost; partitions read from their start since their topic was made anew.
EXPIRED, TRUNCATED, ANEW = "messages_expired", "messages_truncated", "partitions_made_anew"
_OFFSETS = re.compile(r"([\w+/=-]+):(\d+)-(\d+)(?: until (-?\d+) from (\d+))?")


@dataclass(frozen=True)
class Topic:
    """A topic and how to reach it. `options` name the variables that hold secrets, no secret."""

    name: str
    servers: str
    format: Format = "json"
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TopicShard:
    """A piece of work: the messages of a partition from offset `start` to before `stop`.

    `notes` are counted with its first piece. `archived` is a file of the archive that is read in
    place of the topic; `is_kept`: the archive has these messages.
    """

    source: str
    topic: Topic
    topic_id: str
    partition: int
    start: int
    stop: int
    notes: tuple[tuple[str, int], ...] = ()
    archived: Path | None = None
    is_kept: bool = False

    @property
    def path(self) -> str:
        """Return its name in positions."""
        return f"{PARTITION}{self.topic.name}/{self.partition}"

    @property
    def file(self) -> str:
        """Return its name in reports."""
        return self.path

    def split(self, size: int = PIECE) -> list[TopicShard]:
        """Divide it into pieces of at most `size` offsets."""
        starts = range(self.start, max(self.stop, self.start + 1), size)
        return [
            replace(
                self,
                start=start,
                stop=min(start + size, self.stop),
                notes=self.notes if start == self.start else (),
            )
            for start in starts
        ]


@dataclass(frozen=True)
class Offsets:
    """What was read of a partition: from offset `begin` to before `end` of the topic of this id.

    From `due` (microseconds) on, messages from offset `again` on are read again, for rows that were
    set aside because their time was in the future.
    """

    topic_id: str
    begin: int
    end: int
    due: int | None = None
    again: int | None = None

    def __str__(self) -> str:
        due = "" if self.due is None else f" until {self.due} from {self.again}"
        return f"{self.topic_id}:{self.begin}-{self.end}{due}"

    def with_due(self, due: int, again: int) -> Offsets:
        """Return it with more rows set aside: the earliest time and the first offset count."""
        if self.due is None or self.again is None:
            return replace(self, due=due, again=again)
        return replace(self, due=min(due, self.due), again=min(again, self.again))


def parse(text: str) -> Offsets | None:
    """Parse the position of a partition; None where the text is none."""
    match = _OFFSETS.fullmatch(text)
    if match is None:
        return None
    topic_id, begin, end, due, again = match.groups()
    late = None if due is None else int(due)
    return Offsets(topic_id, int(begin), int(end), late, None if again is None else int(again))


def is_partition(path: str) -> bool:
    """Return whether a name in positions is that of a partition."""
    return path.startswith(PARTITION)


def unread(shard: TopicShard, known: Offsets | None, now: int) -> tuple[TopicShard, Offsets]:
    """Return what must be read of all there is of a partition, and its position afterwards.

    Args:
        shard: The partition from the start of its log to its end.
        known: What was read of it before.
        now: Microseconds.
    """
    anew = Offsets(shard.topic_id, shard.start, shard.stop)
    if known is None:
        return shard, anew
    if known.topic_id != shard.topic_id:
        return replace(shard, notes=((ANEW, 1),)), anew
    is_due = known.due is not None and now >= known.due
    after = replace(known, end=shard.stop)
    start = known.end
    if is_due and known.again is not None:
        start, after = known.again, replace(after, due=None, again=None)
    counts = {EXPIRED: shard.start - known.end, TRUNCATED: known.end - shard.stop}
    notes = tuple((name, n) for name, n in counts.items() if n > 0)
    start = min(max(start, shard.start), shard.stop)
    return replace(shard, start=start, notes=notes), after


def name_of(path: str) -> str:
    """Return the topic of a partition by its name in positions."""
    return path.removeprefix(PARTITION).rpartition("/")[0]


def is_gone(shard: TopicShard | None, known: Offsets) -> bool:
    """Return whether messages that were read before cannot be read again.

    `shard` is what the partition holds; None: there is no such partition.
    """
    if known.begin == known.end:
        return False
    return shard is None or known.topic_id != shard.topic_id or shard.start > known.begin


def lag(shards: Iterable[TopicShard], known: Mapping[str, Offsets]) -> dict[str, int]:
    """Return by name of the partition how many of its offsets were not read yet."""
    return {
        shard.path: shard.stop - unread(shard, known.get(shard.path), 0)[0].start
        for shard in shards
    }
