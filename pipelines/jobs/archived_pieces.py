"""Which messages a run reads of the archive: those that the broker has no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.sources.kafka import archive
from rejse.pipelines.sources.kafka.archive import Archive
from rejse.pipelines.sources.kafka.topics import Offsets, TopicShard
from rejse.pipelines.sources.listing import SourceFile
from rejse.pipelines.sources.positions import Place, Position, Positions, partitions_of, place_of

Input = SourceFile | TopicShard


@dataclass(frozen=True)
class ArchivedPieces:
    """The archive beside what files and brokers hold now."""

    archive: Archive
    present: Sequence[Input]

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Files, and partitions from the first offset that archive and broker have on."""
        return tuple(
            self.archive.extended(shard) if isinstance(shard, TopicShard) else shard
            for shard in self.present
        )

    def not_covered(self, before: Positions) -> dict[Place, Position | Offsets]:
        """Return the positions without those of partitions whose messages the archive has."""
        return {
            place: at
            for place, at in before.items()
            if not (isinstance(at, Offsets) and self.archive.covers(place.source, place.path, at))
        }

    def pieces(self, unread: Sequence[Input]) -> list[Input]:
        """Divide what must be read into pieces of the archive and of the broker."""
        log_starts, out = {place_of(part): part.start for part in self._partitions()}, list[Input]()
        for shard in unread:
            if isinstance(shard, TopicShard):
                out += self.archive.pieces(shard, log_starts[place_of(shard)])
            else:
                out.append(shard)
        return out

    def former(self) -> list[TopicShard]:
        """Return the messages of deleted topics of the same names."""
        topics = {(part.source, part.topic, part.topic_id) for part in self._partitions()}
        return [shard for topic in sorted(topics, key=str) for shard in self.archive.former(*topic)]

    def _partitions(self) -> Iterator[TopicShard]:
        return (shard for shard in self.present if isinstance(shard, TopicShard))


def archived_pieces(
    settings: Settings, present: Sequence[Input], before: Positions, now: int, *, is_rebuild: bool
) -> ArchivedPieces:
    """Return the archive beside what there is, for a run that may need it.

    A rebuild does, and so do rows in the future that are due at `now` (microseconds): their
    messages may have expired.
    """
    is_due = any(at.due is not None and now >= at.due for at in partitions_of(before).values())
    sources = settings.archived if is_rebuild or is_due else frozenset()
    return ArchivedPieces(archive.read(settings.store, sources) if sources else Archive(), present)
