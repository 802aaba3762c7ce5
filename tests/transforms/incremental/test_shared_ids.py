"""Ids given to several customers: apart by groups of customers, the same rows stay as together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.incremental.cross_customer_ids import (
    SHORT,
    IdFiles,
    id_owners,
    owned_by_other,
    read,
    records,
)
from rejse.transforms.incremental.deduplicate import without_duplicates
from rejse.transforms.incremental.shuffle_media import InMemory, Piece, ScratchFiles
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(80))
IDS = ("", "a", "b", "x" * 7, "x" * 8, "x" * 9, "x" * SHORT, "x" * (SHORT + 1), "é" * 40, "a\0")


SALT = b"salt"


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of few ids and customers, so that many ids are shared."""
    return [
        {
            "time": draw(st.integers(0, 3)),
            "id": draw(st.sampled_from(IDS)),
            "source": draw(st.sampled_from(("crm", "web"))),
            "customer": draw(st.sampled_from(("ann", "ben", "cid"))),
            "recordedtime": draw(st.sampled_from((None, 5, 6))),
        }
        for _ in range(draw(st.integers(1, 15)))
    ]


def batches(table: pa.Table) -> list[pa.RecordBatch]:
    return [table.slice(n, 4).combine_chunks().to_batches()[0] for n in range(0, len(table), 4)]


@LAWS
@given(rows(), st.sampled_from((1, 2, 5)), st.sampled_from((None, 0, 1_000)))
def test_customers_apart_keep_what_they_keep_together(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[dict[str, Any]],
    parts: int,
    held: int | None,
) -> None:
    table = builders.table(events)
    medium = ScratchFiles(tmp_path_factory.mktemp("ids")) if held is None else InMemory(held)
    files, stays = IdFiles(medium, parts, SALT), {}
    by_part: dict[int, list[Piece]] = {}
    for batch in batches(table):
        files.add(batch)
        for part, piece in files.full():
            by_part.setdefault(part, []).append(piece)
    for part, piece in files.close():
        by_part.setdefault(part, []).append(piece)
    for pieces in by_part.values():
        stays.update(id_owners(read(pieces)))
    stayed, removed = [], 0
    keys = np.array(table.column("customer_key").to_pylist())
    for key in np.unique(keys):
        mine = table.filter(arrow(keys == key))
        elsewhere = owned_by_other(mine, stays, SALT)
        kept, duplicates = without_duplicates(mine.filter(arrow(~elsewhere)))
        stayed += kept.to_pylist()
        removed += duplicates + int(elsewhere.sum())
    together, as_many = without_duplicates(table)
    assert sorted(map(str, stayed)) == sorted(map(str, together.to_pylist()))
    assert removed == as_many


def test_no_shared_id_no_winner() -> None:
    once = [
        {"time": n, "id": name, "customer": customer}
        for n, name in enumerate(IDS)
        for customer in "a"
    ]
    assert id_owners(records(builders.table(once), SALT)) == {}
    twice = builders.table([*once, *once])
    assert id_owners(records(twice, SALT)) == {}, (
        "duplicates of one customer are no matter of others"
    )


def test_words_do_not_depend_on_neighbours() -> None:
    table = builders.table([{"time": 0, "id": name} for name in IDS])
    whole = records(table, SALT)
    assert len(set(zip(whole["high"].tolist(), whole["low"].tolist(), strict=True))) == len(IDS)
    for n in range(len(IDS)):
        assert records(table.slice(n, 1), SALT)[0] == whole[n]


def test_another_salt_mixes_every_id_into_other_words() -> None:
    table = builders.table([{"time": 0, "id": name} for name in IDS])
    first, other = (set(records(table, salt)["high"].tolist()) for salt in (SALT, b"other"))
    assert not first & other


def test_files_lie_in_the_folder_and_are_narrow(tmp_path: Path) -> None:
    table = builders.table([{"time": n, "id": f"e{n}"} for n in range(10)])
    files = IdFiles(ScratchFiles(tmp_path), 3, SALT)
    for batch in batches(table):
        files.add(batch)
    paths = [Path(path) for _, path in files.close()]
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in paths) == 10 * records(table, SALT).itemsize
