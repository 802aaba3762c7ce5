"""Indexes beside files that are damaged, left over, or of an earlier version."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from rejse.pipelines.store import id_index, index_folders
from rejse.pipelines.store.id_index import KnownIds
from rejse.transforms.incremental.cross_customer_ids import records
from tests.support import builders

SALT = b"salt"
FILE = "events/part-a.parquet"


def test_half_an_index_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    held = [{"time": n, "id": f"e{n}", "customer": "ann"} for n in range(9)]
    pq.write_table(builders.table(held), tmp_path / FILE)
    id_index.make(tmp_path, [FILE], SALT)
    (index,) = (tmp_path / index_folders.IDS / "events").iterdir()
    new = records(builders.table([{"time": 0, "id": "e3", "customer": "ben"}]), SALT)
    whole = index.read_bytes()
    uneven = b"\x01" + bytes(7) + b"\xff" * 8  # as many words as it says, but no rows of them
    for left in (b"", whole[:50], whole[:-16], whole[:-1], uneven):
        index.write_bytes(left)
        known = KnownIds(tmp_path, [FILE], SALT).of(new)
        assert known is not None
        assert known.column("id").to_pylist() == ["e3"]


def test_an_index_whose_file_is_gone_goes(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    files = [f"events/part-{n}.parquet" for n in "ab"]
    for file in files:
        pq.write_table(builders.table([{"time": 0}]), tmp_path / file)
    id_index.make(tmp_path, files, SALT)
    (tmp_path / index_folders.IDS / "events" / "part-c.making").touch()
    (tmp_path / files[0]).unlink()
    index_folders.tidy(tmp_path)
    (left,) = (tmp_path / index_folders.IDS).rglob("*.*")
    assert left.name.startswith("part-b.")


def test_indexes_of_keys_by_an_earlier_version_go(tmp_path: Path) -> None:
    (tmp_path / ".keys" / "events").mkdir(parents=True)
    (tmp_path / ".keys" / "events" / "part-a.words").touch()
    index_folders.tidy(tmp_path)
    assert not [*tmp_path.iterdir()]
