"""What arrives after a publication: files in folders that grow, messages of topics, each once."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.arriving_files import is_whole, listed
from rejse.pipelines.live.publishing_loop import present
from rejse.pipelines.sources import positions, shards
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.kafka.follow import Follower
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.pipelines.sources.listing import SourceFile
from rejse.pipelines.sources.positions import Look
from rejse.pipelines.sources.shards import Shard
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.delta_store import Publication

#: Seconds between two looks whether topics still are what they were.
TOPICS = 10.0


@dataclass
class Interval:
    """A time that passes again and again."""

    seconds: float
    _end: float = 0.0

    def is_over(self) -> bool:
        """Return whether it is over; then it begins anew."""
        now = time.monotonic()
        if now < self._end:
            return False
        self._end = now + self.seconds
        return True


class Arrivals:
    """What a publication has not read. A file that was read and has changed waits for the next.

    Connections to topics stay open as long as the context.
    """

    def __init__(self, settings: Settings, base: Publication, pause: float) -> None:
        """Take the seconds between two looks into folders."""
        self._settings, self._key = settings, settings.key()
        self._read = positions.of(settings, base.positions)
        self._followers: dict[str, Follower] = {}
        self._open = ExitStack()
        self._files, self._topics = Interval(pause), Interval(TOPICS)

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def first(self) -> list[Shard]:
        """Return all there is, and follow topics from there.

        Raises what reading the sources raises.
        """
        inputs = present(self._settings)
        self._topics.is_over()  # begins
        arrived = self._unread(inputs)
        by_source: dict[str, list[TopicShard]] = {}
        for given in inputs:
            if isinstance(given, TopicShard):
                by_source.setdefault(given.source, []).append(given)
        for source, partitions in by_source.items():
            follower = self._followers[source] = Follower(partitions)
            self._open.enter_context(closing(follower))
        return arrived

    def look(self) -> list[Shard]:
        """Return what has come since. Raises what reading the sources raises."""
        arrived: list[Shard] = [
            piece for follower in self._followers.values() for piece in follower.look()
        ]
        if self._files.is_over():
            arrived += self._unread(listed(self._settings, is_whole))
        if self._followers and self._topics.is_over():
            self.expect_same_topics()
        return arrived

    def _unread(self, inputs: list[SourceFile | TopicShard] | list[SourceFile]) -> list[Shard]:
        looked: Look = positions.look(inputs, self._read, self._key, delta_store.now())
        self._read |= looked.positions
        fresh = [new for new in looked.unread if (new.source, new.file) not in looked.reread]
        return [shard for new in fresh for shard in shards.pieces(new)]

    def expect_same_topics(self) -> None:
        """Raise BrokerError where a topic was made anew, or has other partitions than before."""
        for source, follower in self._followers.items():
            if not follower.is_of(shards.partitions(self._settings.sources[source])):
                raise BrokerError(f"source {source}: its topic has other partitions than before")
