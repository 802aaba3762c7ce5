"""Bucket files: what goes in comes out, by group, whatever the batches and their dictionaries."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.customer_buckets import BUCKETS
from rejse.transforms.incremental.shuffle_files import BucketFiles, read, split_buckets
from rejse.transforms.incremental.shuffle_media import InMemory, Medium, Piece, ScratchFiles
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(60))
PEOPLE = [f"person {n}" for n in range(12)]
INTENTS = st.sampled_from([None, "bill", "move", "", "loss", "é\x1f"])


def batch(people: list[str], **given_: object) -> pa.RecordBatch:
    rows = [{"time": n, "customer": person, **given_} for n, person in enumerate(people)]
    return builders.table(rows).combine_chunks().to_batches()[0]


def through(
    medium: Medium, batches: Iterable[pa.RecordBatch], groups: int, **limits: int
) -> dict[int, pa.Table]:
    """Batches written to bucket files and read again, by group."""
    files = BucketFiles(medium, groups, **limits)
    pieces: dict[int, list[Piece]] = {}
    for part in batches:
        files.add(part)
        for group, piece in files.full():
            pieces.setdefault(group, []).append(piece)
    for group, piece in files.close():
        pieces.setdefault(group, []).append(piece)
    return {group: read(pieces_of_group) for group, pieces_of_group in pieces.items()}


def rows_of(tables: Iterable[pa.Table | pa.RecordBatch]) -> list[str]:
    """Rows without their nulls: a column that is null throughout may be absent."""
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(str(sorted((k, v) for k, v in row.items() if v is not None)) for row in rows)


@LAWS
@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=30), st.sampled_from((1, 2, 7, 4096)))
def test_parts_cover_the_batch_and_share_no_bucket(people: list[str], groups: int) -> None:
    whole = batch(people)
    parts = list(split_buckets(whole, groups))
    rows = [row for _, part in parts for row in part.to_pylist()]
    assert sorted(rows, key=lambda r: r["id"]) == whole.to_pylist()
    numbers = [group for group, _ in parts]
    assert len(numbers) == len(set(numbers))
    for group, part in parts:
        buckets = set(part.column("bucket").to_pylist())
        assert {bucket * groups // BUCKETS for bucket in buckets} == {group}
        keys = part.column("customer_key")
        assert len(keys.dictionary) == len(set(keys.to_pylist()))  # nobody else's names
        assert keys.to_pylist() == sorted(keys.to_pylist())
        assert part.schema == whole.schema


@LAWS
@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=20))
def test_buckets_of_different_batches_go_to_the_same_group(people: list[str]) -> None:
    def groups_of(names: list[str]) -> dict[str, int]:
        return {
            key: group
            for group, part in split_buckets(batch(names), 7)
            for key in part.column("customer_key").to_pylist()
        }

    assert groups_of(people) == groups_of(people[::-1])
    assert all(groups_of([person]).items() <= groups_of(people).items() for person in people)


@LAWS
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from(PEOPLE), INTENTS), min_size=1, max_size=6), max_size=5
    ),
    groups=st.sampled_from((1, 3, 4096)),
    gathered=st.sampled_from((1, 5, 1_000)),
    wide=st.sampled_from((0, 1, 2, 1_000)),
    held=st.sampled_from((None, 0, 1_000_000)),
)
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, str | None]]],
    groups: int,
    gathered: int,
    wide: int,
    held: int | None,
) -> None:
    rows = [
        [
            {"time": n, "customer": person, "intent": intent}
            for n, (person, intent) in enumerate(rows_of_batch)
        ]
        for rows_of_batch in batches
    ]
    whole = [builders.table(rows_given).combine_chunks().to_batches()[0] for rows_given in rows]
    medium = ScratchFiles(tmp_path_factory.mktemp("buckets")) if held is None else InMemory(held)
    groups_read = through(medium, whole, groups, gathered=gathered, wide=wide)
    assert rows_of(groups_read.values()) == rows_of(whole)
    for group, table in groups_read.items():
        assert {b * groups // BUCKETS for b in table.column("bucket").to_pylist()} == {group}
        coded = [c for c in ("intent", "source") if c in table.column_names]
        assert all(pa.types.is_dictionary(table.schema.field(c).type) for c in coded)


def test_bucket_files_of_different_columns_are_one_table() -> None:
    groups_read = through(InMemory(), [batch(["ann"]), batch(["ben"], intent="bill")], 1)[0]
    pairs = zip(
        *(groups_read.column(c).to_pylist() for c in ("customer_key", "intent")), strict=True
    )
    assert dict(pairs) == {builders.key_of("ann"): None, builders.key_of("ben"): "bill"}


def test_a_bundle_of_any_size_holds_little() -> None:
    """Pieces in memory leave it before the bundle ends; each can be read alone."""
    files, n_read, most = BucketFiles(InMemory(2_000), 3, gathered=1), 0, 0
    for _ in range(20):
        files.add(batch(PEOPLE, intent="bill"))
        pieces = list(files.full())
        n_read += sum(read([piece]).num_rows for _, piece in pieces)
        most = max([most, *(len(piece) for _, piece in pieces)])
        assert sum(draft.out.tell() for draft, _ in files._files.values()) <= 2_000
    assert n_read + sum(read([piece]).num_rows for _, piece in files.close()) == 20 * len(PEOPLE)
    assert 0 < most < 8_000


def test_a_vocabulary_is_written_once_a_file(tmp_path: Path) -> None:
    """What made small pieces dear: a dictionary a piece."""
    files = BucketFiles(ScratchFiles(tmp_path), 1)
    for _ in range(3):
        files.add(batch(["ann"], intent="bill"))
        files._flush()
    [(_, path)] = files.close()
    with pa.ipc.open_stream(path) as stream:
        stream.read_all()
        assert stream.stats.num_record_batches == 3
        assert stream.stats.num_dictionary_batches < 2 * len(stream.schema)
        assert stream.stats.num_replaced_dictionaries == 0
