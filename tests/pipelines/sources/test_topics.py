"""Offsets of partitions: what must be read of a topic, and what is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rejse.pipelines.sources import positions
from rejse.pipelines.sources.kafka import topics
from rejse.pipelines.sources.kafka.topics import Offsets, Topic, TopicShard
from rejse.pipelines.sources.positions import Place

CLICKS = Topic("clicks", "localhost:9092")
NOW = 1_000
PLACE = Place("web", "kafka://clicks/0")


def partition(start: int, stop: int, topic_id: str = "a-_1", number: int = 0) -> TopicShard:
    return TopicShard("web", CLICKS, topic_id, number, start, stop)


@pytest.mark.parametrize(
    ("here", "known", "piece", "after"),
    [
        (partition(0, 9), None, (0, 9, {}), Offsets("a-_1", 0, 9)),
        (partition(0, 9), Offsets("a-_1", 0, 5), (5, 9, {}), Offsets("a-_1", 0, 9)),
        (partition(0, 9), Offsets("a-_1", 0, 9), (9, 9, {}), Offsets("a-_1", 0, 9)),
        (
            partition(7, 9), Offsets("a-_1", 0, 5),
            (7, 9, {"messages_expired": 2}), Offsets("a-_1", 0, 9),
        ),
        (
            partition(9, 9), Offsets("a-_1", 0, 5),
            (9, 9, {"messages_expired": 4}), Offsets("a-_1", 0, 9),
        ),
        (
            partition(0, 3), Offsets("a-_1", 0, 5),
            (3, 3, {"messages_truncated": 2}), Offsets("a-_1", 0, 3),
        ),
        (
            partition(2, 9, "b"), Offsets("a-_1", 0, 5),
            (2, 9, {"partitions_made_anew": 1}), Offsets("b", 2, 9),
        ),
        (partition(0, 9), Offsets("a-_1", 0, 5, NOW + 1, 3), (5, 9, {}),
         Offsets("a-_1", 0, 9, NOW + 1, 3)),
        (partition(0, 9), Offsets("a-_1", 0, 5, NOW, 3), (3, 9, {}), Offsets("a-_1", 0, 9)),
        # What is due again was read before: its loss is none.
        (partition(4, 9), Offsets("a-_1", 0, 5, NOW, 3), (4, 9, {}), Offsets("a-_1", 0, 9)),
    ],
)  # fmt: skip
def test_what_is_read_of_a_partition(
    here: TopicShard, known: Offsets | None, piece: tuple[object, ...], after: Offsets
) -> None:
    unread, position = topics.unread(here, known, NOW)
    assert (unread.start, unread.stop, dict(unread.notes)) == piece
    assert position == after


@pytest.mark.parametrize(
    "offsets",
    [
        Offsets("Ab-_9", 0, 12),
        Offsets("a+/b=", 0, 12),
        Offsets("x", 3, 4, -5, 3),
        Offsets("x", 3, 4, 99, 3),
    ],
)
def test_a_position_is_written_and_read(offsets: Offsets) -> None:
    assert topics.parse(str(offsets)) == offsets


def test_what_is_no_position_of_a_partition() -> None:
    assert topics.parse("120@17") is None


def test_pieces_of_a_partition_cover_it_once() -> None:
    noted = replace(partition(5, 12), notes=(("messages_expired", 2),))
    pieces = noted.split(3)
    assert [(piece.start, piece.stop) for piece in pieces] == [(5, 8), (8, 11), (11, 12)]
    assert [piece.notes for piece in pieces] == [noted.notes, (), ()]
    assert partition(5, 5).split(3) == [partition(5, 5)]


@pytest.mark.parametrize(
    ("here", "known", "is_gone"),
    [
        (partition(0, 9), Offsets("a-_1", 0, 5), False),
        (partition(1, 9), Offsets("a-_1", 0, 5), True),
        (partition(0, 9, "b"), Offsets("a-_1", 0, 5), True),
        (None, Offsets("a-_1", 0, 5), True),
        (partition(7, 9), Offsets("a-_1", 4, 4), False),  # nothing was read of it
    ],
)
def test_what_cannot_be_read_again(here: TopicShard | None, known: Offsets, is_gone: bool) -> None:
    assert topics.is_gone(here, known) is is_gone


def test_a_look_at_partitions_and_files(tmp_path: Path) -> None:
    """New partitions are read whole, idle ones not at all; those that are no more are left."""
    before = {
        PLACE: Offsets("a", 0, 5),
        Place("web", "kafka://clicks/1"): Offsets("a", 0, 4),
        Place("web", "kafka://clicks/7"): Offsets("old", 0, 4),
        Place("web", "kafka://views/0"): Offsets("c", 0, 4),
    }
    here = [partition(0, 9, "a", 0), partition(0, 4, "a", 1), partition(0, 2, "a", 2)]
    looked = positions.look(here, before, b"key", NOW)
    assert [(s.partition, s.start, s.stop) for s in looked.unread] == [(0, 5, 9), (2, 0, 2)]
    assert looked.left == {Place("web", "kafka://clicks/7")}
    assert looked.positions[Place("web", "kafka://clicks/2")] == Offsets("a", 0, 2)
    assert looked.reread == {}


def test_rows_of_a_span_are_due_again_at_once() -> None:
    first = positions.look([partition(0, 9)], {}, b"key", NOW, in_part=True)
    assert first.positions == {PLACE: Offsets("a-_1", 0, 9, 0, 0)}
    then = positions.look([partition(0, 11)], first.positions, b"key", NOW)
    assert [(shard.start, shard.stop) for shard in then.unread] == [(0, 11)]
    assert then.reread == {("web", "kafka://clicks/0"): 0}
    assert then.positions == {PLACE: Offsets("a-_1", 0, 11)}


def test_rows_in_the_future_are_read_again_from_their_piece_on() -> None:
    shards = [partition(5, 9)]
    aside = {("web", "kafka://clicks/0"): 500}
    noted = positions.with_due({PLACE: Offsets("a-_1", 0, 9)}, shards, aside, 100)
    assert noted == {PLACE: Offsets("a-_1", 0, 9, 400, 5)}
    again = positions.with_due(
        {PLACE: Offsets("a-_1", 0, 12, 400, 5)},
        [partition(9, 12)],
        {("web", "kafka://clicks/0"): 450},
        100,
    )
    assert again == {PLACE: Offsets("a-_1", 0, 12, 350, 5)}


def test_positions_go_through_a_publication(tmp_path: Path) -> None:
    text = {"web:kafka://clicks/0": "a:0-9 until 4 from 5", "web:in/a.jsonl": "3@4"}
    read = positions.located(tmp_path, text, ["web"])
    assert read[PLACE] == Offsets("a", 0, 9, 4, 5)
    assert positions.files_of(read) == {
        Place("web", str(tmp_path / "in/a.jsonl")): positions.Position(3, 4)
    }


def test_a_partition_of_an_unreadable_position_is_read_from_its_start(tmp_path: Path) -> None:
    assert positions.located(tmp_path, {"web:kafka://clicks/0": "?"}, ["web"]) == {}


def test_partitions_of_equal_offsets_are_alike() -> None:
    first, moved = {PLACE: Offsets("a", 0, 9)}, {PLACE: Offsets("a", 0, 10)}
    assert positions.are_alike(first, dict(first))
    assert not positions.are_alike(first, moved)
