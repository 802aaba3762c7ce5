"""The archive of topics: raw messages that runs have read, for rebuilds beyond their retention.

What a run reads of a piece becomes a Parquet file (`archive_folder`), whose metadata say which
offsets it covers, also those without a message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.sources.kafka import archive_folder
from rejse.pipelines.sources.kafka.archive_folder import UNFINISHED
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import EXPIRED, Offsets, Topic, TopicShard
from rejse.pipelines.sources.listing import SourceError

T = TypeVar("T")
SCHEMA = pa.schema([
    ("topic_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()),
    ("key", pa.binary()), ("value", pa.binary()), ("timestamp", pa.timestamp("ms", "UTC")),
])  # fmt: skip


@dataclass(frozen=True)
class Archived:
    """A file of the archive, and the offsets of a partition that it covers."""

    path: Path
    source: str
    topic: str
    topic_id: str
    partition: int
    start: int
    stop: int

    def shard(self, topic: Topic) -> TopicShard:
        """Return the piece of work that reads it."""
        return TopicShard(
            self.source, topic, self.topic_id, self.partition, self.start, self.stop,
            archived=self.path,
        )  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """The files of the archive that a run may read."""

    files: Sequence[Archived] = ()

    def extended(self, shard: TopicShard) -> TopicShard:
        """Return a partition from the first offset that archive and broker have without a gap."""
        start = shard.start
        for file in sorted(self._of(shard), key=lambda file: file.stop, reverse=True):
            if file.start < start <= file.stop:
                start = file.start
        return replace(shard, start=start)

    def covers(self, source: str, path: str, read: Offsets) -> bool:
        """Return whether all that was read of a partition is here; `path` names it in positions."""
        end = read.begin
        for file in sorted(self.files, key=lambda file: file.start):
            shard = file.shard(Topic(file.topic, ""))
            if (source, path, read.topic_id) == (file.source, shard.path, file.topic_id):
                end = max(end, file.stop) if file.start <= end else end
        return end >= read.end

    def pieces(self, shard: TopicShard, log_start: int) -> list[TopicShard]:
        """Divide a piece into those of the archive, and those of the broker from `log_start` on."""
        out, at = list[TopicShard](), shard.start
        for file in sorted(self._of(shard), key=lambda file: file.start):
            start, stop = max(at, file.start), min(file.stop, shard.stop)
            if start >= stop:
                continue
            middle = min(stop, max(start, log_start))
            out += [
                replace(shard, start=at, stop=start),
                replace(shard, start=start, stop=middle, archived=file.path),
                replace(shard, start=middle, stop=stop, is_kept=True),
            ]
            at = stop
        first, *rest = _joined([*out, replace(shard, start=at)]) or [shard]
        return [first, *(replace(piece, notes=()) for piece in rest)]

    def former(self, source: str, topic: Topic, topic_id: str) -> list[TopicShard]:
        """Return the messages of topics of the same name that were deleted."""
        return [
            file.shard(topic)
            for file in self.files
            if (file.source, file.topic) == (source, topic.name) and file.topic_id != topic_id
        ]

    def _of(self, shard: TopicShard) -> list[Archived]:
        return [
            file
            for file in self.files
            if (file.source, file.topic_id, file.partition)
            == (shard.source, shard.topic_id, shard.partition)
        ]


def _joined(pieces: Iterable[TopicShard]) -> list[TopicShard]:
    """Return the pieces that are not empty; those that the broker has next to each other as one."""
    out: list[TopicShard] = []
    for piece in pieces:
        if piece.start >= piece.stop:
            continue
        if out and piece.is_kept and piece == replace(out[-1], start=piece.start, stop=piece.stop):
            piece = replace(piece, start=out.pop().start)
        out.append(piece)
    return out


def read(store: Path, sources: Collection[str]) -> Archive:
    """Return the archive of some sources, as far as publications name it."""
    files = (described(path) for path in archive_folder.files(store))
    return Archive([file for file in files if file.source in sources])


# --- messages ----------------------------------------------------------------------------------


def keep(
    shard: TopicShard,
    polls: Iterable[list[Message]],
    store: Path,
    run_id: str,
    left_out: Callable[[Sequence[Message]], Collection[int]],
) -> Iterator[list[Message]]:
    """Yield the polls of a piece; when all are taken they are a draft of the run.

    `left_out` returns the offsets of messages that are not kept.
    """
    draft, mode = archive_folder.draft(store, run_id), file_modes.file(file_modes.of(store))
    # Before the first message after a gap come those that retention removed unread.
    expired = dict(shard.notes).get(EXPIRED, 0)
    covered = replace(shard, start=shard.start - expired)

    def taken(out: pq.ParquetWriter) -> Iterator[list[Message]]:
        for poll in polls:
            dropped = left_out(poll)
            kept = [message for message in poll if message.offset not in dropped]
            out.write_table(_table(shard.topic_id, shard.partition, kept))
            yield poll

    yield from _written(draft, mode, _metadata(covered), taken)


def messages(shard: TopicShard) -> Iterator[list[Message]]:
    """Yield the messages of a piece that is in the archive, some at a time.

    Raises:
        SourceError: the file is damaged.
    """
    assert shard.archived is not None
    try:
        with pq.ParquetFile(shard.archived) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group).select(Message._fields)
                poll = [Message(*row.values()) for row in rows.to_pylist()]
                if poll := [m for m in poll if shard.start <= m.offset < shard.stop]:
                    yield poll
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(
            f"source {shard.source}: expected messages in {shard.archived.name} of the archive,"
            f" came: {fault}"
        ) from None


def remove(path: Path, offsets: Collection[int]) -> int:
    """Rewrite a file without the messages of some offsets; return how many were there.

    A kill leaves it as it was or as it should be. Call it only while holding the store's lock.
    """
    with pq.ParquetFile(path) as file:
        metadata = file.schema_arrow.metadata

        def taken(out: pq.ParquetWriter) -> Iterator[int]:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                kept = [at.as_py() not in offsets for at in rows.column("offset")]
                out.write_table(rows.filter(pa.array(kept, pa.bool_())))
                yield len(kept) - sum(kept)

        return sum(_written(path, path.stat().st_mode & 0o777, metadata, taken))


def _written(
    path: Path,
    mode: int,
    metadata: Mapping[bytes, bytes],
    taken: Callable[[pq.ParquetWriter], Iterator[T]],
) -> Iterator[T]:
    """Yield what `taken` yields while it writes; only then has the file its name."""
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)
    schema = SCHEMA.with_metadata(metadata)
    with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as out:
            yield from taken(out)
        file.flush()
        os.fsync(file.fileno())  # it may become the only copy
    unfinished.replace(path)


def _table(topic_id: str, partition: int, poll: Sequence[Message]) -> pa.Table:
    rows = [{"topic_id": topic_id, "partition": partition, **message._asdict()} for message in poll]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _metadata(shard: TopicShard) -> dict[bytes, bytes]:
    named = {
        "source": shard.source, "topic": shard.topic.name, "topic_id": shard.topic_id,
        "partition": shard.partition, "start": shard.start, "stop": shard.stop,
    }  # fmt: skip
    return {name.encode(): str(value).encode() for name, value in named.items()}


def described(path: Path) -> Archived:
    """Read which offsets a file covers.

    Raises:
        SourceError: it is damaged.
    """
    try:
        metadata = pq.read_schema(path).metadata
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(
            f"expected the file {path.name} of the archive, came: {fault}; remove it, and its"
            " messages are read from their topic, if that still has them"
        ) from None
    text = {name.decode(): value.decode() for name, value in metadata.items()}
    numbers = {name: int(text[name]) for name in ("partition", "start", "stop")}
    return Archived(path, text["source"], text["topic"], text["topic_id"], **numbers)
