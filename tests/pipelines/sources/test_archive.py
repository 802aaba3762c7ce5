"""The archive of topics: what is kept of a run, which pieces are read of it, what expires."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rejse.pipelines.sources.kafka import archive, archive_folder
from rejse.pipelines.sources.kafka.archive import Archive, Archived
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import Offsets, Topic, TopicShard
from rejse.pipelines.sources.listing import SourceError

CLICKS = Topic("clicks", "localhost:9092")
RUN, NEXT = "20260105T090000-0123abcd", "20260106T090000-0123abcd"
AT = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 86_400_000_000


def shard(start: int, stop: int, topic_id: str = "a") -> TopicShard:
    return TopicShard("web", CLICKS, topic_id, 3, start, stop)


def keep(store: Path, piece: TopicShard, *offsets: int, run: str = RUN) -> None:
    """A draft of a run with messages of these offsets."""
    polls = [[Message(offset, b"%d" % offset, b"k", AT)] for offset in offsets]
    taken = archive.keep(piece, polls, store, run, lambda poll: {m.offset for m in poll} & {13})
    assert list(taken) == polls


def read(store: Path) -> Archive:
    return archive.read(store, {"web"})


def settled(store: Path, *runs: str) -> Archive:
    archive_folder.settle(store, lambda: runs)
    return read(store)


def test_messages_are_kept_as_they_came(tmp_path: Path) -> None:
    keep(tmp_path, shard(3, 20), 5, 13, 19)
    assert read(tmp_path).files == []  # its run has not published
    (file,) = settled(tmp_path, RUN).files
    assert (file.topic, file.topic_id, file.partition, file.start, file.stop) == (
        "clicks", "a", 3, 3, 20,
    )  # fmt: skip
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert pq.read_table(file.path).to_pylist() == [
        {"topic_id": "a", "partition": 3, "offset": 5, "key": b"k", "value": b"5", "timestamp": AT},
        {"topic_id": "a", "partition": 3, "offset": 19, "key": b"k", "value": b"19",
         "timestamp": AT},
    ]  # fmt: skip
    (piece,) = read(tmp_path).former("web", CLICKS, "b")
    assert [[m.offset for m in poll] for poll in archive.messages(piece)] == [[5], [19]]
    later = replace(piece, start=6)
    assert [[m.offset for m in poll] for poll in archive.messages(later)] == [[19]]


def test_what_no_publication_names_is_removed(tmp_path: Path) -> None:
    keep(tmp_path, shard(0, 2), 0, 1)
    keep(tmp_path, shard(2, 4), 2, run=NEXT)
    taken = archive.keep(shard(4, 6), [[Message(4, b"")]] * 2, tmp_path, NEXT, lambda poll: ())
    next(taken)  # and then it is killed
    assert len(settled(tmp_path, RUN).files) == 1
    assert len(list((tmp_path / "archive").iterdir())) == 1


def test_files_expire_by_the_time_of_their_run(tmp_path: Path) -> None:
    for run in (RUN, NEXT):
        keep(tmp_path, shard(0, 2), 0, run=run)
    settled(tmp_path, RUN, NEXT)
    day_of_next = int(datetime(2026, 1, 6, 9, tzinfo=UTC).timestamp()) * 1_000_000
    assert archive_folder.expire(tmp_path, DAY, day_of_next) == []
    (expired,) = archive_folder.expire(tmp_path, DAY, day_of_next + 1)
    assert expired.startswith(RUN)
    assert [file.name[:24] for file in archive_folder.files(tmp_path)] == [NEXT]


def test_messages_are_removed_from_a_file(tmp_path: Path) -> None:
    keep(tmp_path, shard(0, 9), 0, 1, 5)
    (file,) = settled(tmp_path, RUN).files
    assert archive.remove(file.path, {1, 7}) == 1
    assert read(tmp_path).files == [file]
    assert [m.offset for poll in archive.messages(file.shard(CLICKS)) for m in poll] == [0, 5]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    keep(tmp_path, shard(0, 9), 0)
    (file,) = settled(tmp_path, RUN).files
    file.path.write_bytes(b"PAR1?")
    with pytest.raises(SourceError, match="of the archive"):
        read(tmp_path)
    with pytest.raises(SourceError, match="of the archive"):
        list(archive.messages(file.shard(CLICKS)))


def covering(*spans: tuple[int, int], topic_id: str = "a") -> Archive:
    return Archive([
        Archived(Path(f"{start}"), "web", "clicks", topic_id, 3, start, stop)
        for start, stop in spans
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "start"),
    [
        ([], 50),
        ([(0, 20), (20, 60)], 0),
        ([(0, 20), (21, 50)], 21),  # a gap
        ([(0, 30), (10, 70), (80, 90)], 0),
        ([(50, 70)], 50),
        ([(0, 49)], 50),
    ],
)
def test_a_partition_begins_where_archive_and_broker_have_all(
    spans: Sequence[tuple[int, int]], start: int
) -> None:
    assert covering(*spans).extended(shard(50, 100)) == shard(start, 100)
    assert covering(*spans, topic_id="b").extended(shard(50, 100)) == shard(50, 100)


def parts(pieces: Sequence[TopicShard]) -> list[tuple[int, int, str]]:
    return [
        (p.start, p.stop, "kept" if p.is_kept else str(p.archived or "new")) for p in pieces
    ]  # fmt: skip


def test_the_archive_gives_what_the_broker_has_no_more() -> None:
    made = covering((0, 20), (20, 60), (60, 70), (80, 90))
    assert parts(made.pieces(shard(0, 100), 50)) == [
        (0, 20, "0"), (20, 50, "20"), (50, 70, "kept"), (70, 80, "new"), (80, 90, "kept"),
        (90, 100, "new"),
    ]  # fmt: skip
    assert parts(made.pieces(shard(30, 65), 30)) == [(30, 65, "kept")]
    assert parts(made.pieces(shard(95, 100), 50)) == [(95, 100, "new")]
    noted = replace(shard(0, 0), notes=(("messages_expired", 2),))
    assert made.pieces(noted, 0) == [noted]
    first, *rest = made.pieces(replace(shard(0, 100), notes=(("messages_expired", 2),)), 50)
    assert first.notes
    assert {piece.notes for piece in rest} == {()}


def test_all_that_was_read_must_be_there() -> None:
    made = covering((0, 20), (20, 60))
    path = "kafka://clicks/3"
    assert made.covers("web", path, Offsets("a", 5, 60))
    assert not made.covers("web", path, Offsets("a", 5, 61))
    assert not made.covers("web", path, Offsets("b", 5, 60))
    assert not made.covers("crm", path, Offsets("a", 5, 60))
    assert not covering((0, 20), (21, 60)).covers("web", path, Offsets("a", 5, 60))


def test_a_file_covers_what_expired_unread_before_it(tmp_path: Path) -> None:
    """Else a rebuild would miss forever what nobody ever read."""
    keep(tmp_path, replace(shard(7, 9), notes=(("messages_expired", 4),)), 7, 8)
    (file,) = settled(tmp_path, RUN).files
    assert (file.start, file.stop) == (3, 9)
