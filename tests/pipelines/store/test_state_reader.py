"""Rows of some customers: found in whichever file and row group, and in no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rejse.pipelines.store import delta_store, staging
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import CustomerKeys, PublishedTables
from rejse.transforms import published_tables
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.schema.contract import CUSTOMER_KEY
from tests.support import builders
from tests.support.law import examples

FILE = StagedFile("events", "events/part-a.parquet", 0, 0)
LAWS = hypothesis_settings(max_examples=examples(100))
KEYS = sorted(builders.key_of(str(n)) for n in range(12))
#: Two customers whose keys begin alike, and no others.
ALIKE = [KEYS[5][:16] + 16 * digit for digit in "07"]
SOME = st.lists(st.sampled_from([*KEYS, *ALIKE]), unique=True).map(sorted)


def stored(store: Path, keys: list[str], group: int, coded: bool = True) -> PublishedTables:
    (store / "events").mkdir(exist_ok=True)
    column = text(keys)
    rows = pa.table({CUSTOMER_KEY: column.dictionary_encode() if coded else column})
    pq.write_table(rows, store / FILE.path, row_group_size=group)
    return PublishedTables(store, {"events": [FILE]})


@LAWS
@given(
    st.lists(st.sampled_from([*KEYS[::2], ALIKE[0]]), min_size=1, max_size=40),
    SOME,
    st.sampled_from((1, 3, 99)),
    st.booleans(),
)
def test_rows_are_found_in_whatever_order_they_lie(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    asked: list[str],
    group: int,
    coded: bool,
) -> None:
    tables = stored(tmp_path_factory.mktemp("store"), rows, group, coded)
    table = tables.rows("events", text(asked))
    keys = [] if table is None else table.column(CUSTOMER_KEY).to_pylist()
    assert keys == [key for key in rows if key in asked]
    counts = Counter(rows)
    assert tables.row_counts("events", text(asked)).tolist() == [counts[key] for key in asked]
    wanted = CustomerKeys(text(asked))
    assert wanted.have_rows_in(tables.store, FILE) == bool(counts.keys() & set(asked))
    least, most = min(rows), max(rows)
    between = tables.between("events", KEYS[3], KEYS[8])
    assert (0 if between is None else between.num_rows) == sum(
        KEYS[3] <= key < KEYS[8] for key in rows
    )
    assert wanted.are_between(least, most) == any(least <= key <= most for key in asked)


def test_row_groups_of_other_customers_are_not_read(tmp_path: Path) -> None:
    keys = sorted(builders.key_of(str(n)) for n in range(500))
    stored(tmp_path, keys, 7)
    for asked in (keys[250:251], keys[3:9], keys[::2], keys):
        wanted = sorted({keys.index(key) // 7 for key in asked})
        assert CustomerKeys(text(asked)).groups(tmp_path, FILE) == wanted


def test_a_staged_file_lies_by_customer_and_its_log_knows_between_which(tmp_path: Path) -> None:
    """The log has three digits of a key, and a file of other customers is not opened."""
    customers = ["0123" + 28 * "a", "5670" + 28 * "b", "89ab" + 28 * "c"]
    names = [customers[n] for n in (2, 0, 1, 0, 2)]
    rows = pa.table({CUSTOMER_KEY: text(names), "id": text([f"e{n}" for n in range(5)])})
    file = staging.write(tmp_path, "events", rows)
    assert file is not None
    assert pq.read_table(tmp_path / file.path).column("id").to_pylist() == [
        "e1", "e3", "e2", "e0", "e4",
    ]  # fmt: skip
    assert (file.first, file.last) == ("012", "89ag")
    delta_store.commit(tmp_path, "events", [file], published_tables.schema("events"), "run", 1)
    assert delta_store.named(tmp_path, "events", 1) == [file]
    assert not any(
        key in entry.read_text()
        for entry in (tmp_path / "events" / "_delta_log").iterdir()
        for key in customers
    )
    (tmp_path / file.path).unlink()
    tables = PublishedTables(tmp_path, {"events": [file]})
    for others in (["0" * 32, "f" * 32], []):
        assert tables.rows("events", text(others)) is None
    assert tables.between("events", "8a0", "g") is None
