"""Indexes beside files: whose rows a row group holds, and indexes that are damaged or left over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rejse.pipelines.store import file_index, id_index
from rejse.pipelines.store.id_index import KnownIds
from rejse.pipelines.store.key_index import counted, holding, key_index
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.cross_customer_ids import leading, records
from rejse.transforms.schema.contract import CUSTOMER_KEY
from tests.support import builders
from tests.support.law import examples

SALT = b"salt"
FILE = "events/part-a.parquet"
LAWS = hypothesis_settings(max_examples=examples(100))
KEYS = sorted(builders.key_of(str(n)) for n in range(12))
#: Two customers whose keys begin alike, and no others.
ALIKE = [KEYS[5][:16] + 16 * digit for digit in "07"]
SOME = st.lists(st.sampled_from([*KEYS, *ALIKE]), unique=True).map(sorted)


def stored(store: Path, keys: list[str], group: int, coded: bool = True) -> None:
    (store / "events").mkdir(exist_ok=True)
    column = text(keys)
    rows = pa.table({CUSTOMER_KEY: column.dictionary_encode() if coded else column})
    pq.write_table(rows, store / FILE, row_group_size=group)


@LAWS
@given(
    st.lists(st.sampled_from([*KEYS[::2], ALIKE[0]]), min_size=1, max_size=40),
    SOME,
    st.sampled_from((1, 3, 99)),
    st.booleans(),
)
def test_the_index_says_which_row_groups_hold_whom(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    asked: list[str],
    group: int,
    coded: bool,
) -> None:
    store = tmp_path_factory.mktemp("store")
    stored(store, rows, group, coded)
    index, wanted = key_index(store).of(FILE), leading(text(asked))
    alike = {key[:16] for key in asked}
    there = [n // group for n, key in enumerate(rows) if key[:16] in alike]
    assert holding(index, wanted) == sorted(set(there))
    counts = Counter(key[:16] for key in rows)
    assert counted(index, wanted).tolist() == [counts[key[:16]] for key in asked]
    table = PublishedTables(store, {"events": [FILE]}).rows("events", text(asked))
    keys = [] if table is None else table.column(CUSTOMER_KEY).to_pylist()
    assert keys == [key for key in rows if key in asked]


def test_few_are_found_among_many_and_many_among_few(tmp_path: Path) -> None:
    keys = sorted(builders.key_of(str(n)) for n in range(500))
    stored(tmp_path, keys, 7)
    index = key_index(tmp_path).of(FILE)
    for asked in (keys[250:251], keys[3:9], keys[::2], keys):
        wanted = sorted({keys.index(key) // 7 for key in asked})
        assert holding(index, leading(text(asked))) == wanted
    stored(tmp_path, keys[250:251], 7)
    (index,) = (tmp_path / file_index.KEYS / "events").iterdir()
    index.unlink()
    assert holding(key_index(tmp_path).of(FILE), leading(text(keys))) == [0]


def test_half_an_index_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    held = [{"time": n, "id": f"e{n}", "customer": "ann"} for n in range(9)]
    pq.write_table(builders.table(held), tmp_path / FILE)
    id_index.make(tmp_path, [FILE], SALT)
    (index,) = (tmp_path / file_index.IDS / "events").iterdir()
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
    key_index(tmp_path).make(files)
    (tmp_path / file_index.IDS / "events" / "part-c.making").touch()
    (tmp_path / files[0]).unlink()
    file_index.tidy(tmp_path)
    for folder in (file_index.IDS, file_index.KEYS):
        (left,) = (tmp_path / folder).rglob("*.*")
        assert left.name.startswith("part-b.")
