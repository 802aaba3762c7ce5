"""The one pass and Great Expectations refuse the same rows, by every rule."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rejse.expectations import one_pass
from rejse.expectations.rules import by_table
from rejse.pipelines.publication import audit
from rejse.transforms.schema.contract import CUSTOMER_KEY
from tests.support import store_builder
from tests.support.broken_rows import broken_rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("broken")
    store_builder.staged(root, broken_rows())
    return root


def counts(store: Path, n_ranges: int) -> dict[tuple[str, str], int]:
    """Rows that break each rule, by table and rule."""
    files = {folder.name: sorted(folder.glob("*.parquet")) for folder in store.iterdir()}
    with duckdb.connect() as con:
        counted = one_pass.counted(con, files, one_pass.no_stored_rows, n_ranges)
    return {(rule.table, rule.name): n for rule, n in counted.items()}


@pytest.fixture(scope="module")
def whole(store: Path) -> dict[tuple[str, str], int]:
    """The counts where all customers are one range."""
    return counts(store, 1)


def test_every_rule_is_broken(whole: dict[tuple[str, str], int]) -> None:
    """A rule that is added needs rows that break it, or nobody knows that it can refuse any."""
    declared = {(rule.table, rule.name) for rules in by_table().values() for rule in rules}
    assert {rule for rule, n in whole.items() if n} == declared


def test_great_expectations_refuses_the_same_rows(
    store: Path, whole: dict[tuple[str, str], int]
) -> None:
    files = {folder.name: [str(path.relative_to(store)) for path in folder.glob("*.parquet")]
             for folder in store.iterdir()}  # fmt: skip
    findings, _ = audit.published(store, files)
    assert {(f.table, f.rule): f.rows for f in findings} == whole


@pytest.fixture(scope="module")
def by_customer(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows, those of each customer in a file of their own."""
    root = tmp_path_factory.mktemp("by-customer")
    for file in store.glob("*/*.parquet"):
        rows = pq.read_table(file)
        folder = root / file.parent.name
        folder.mkdir(exist_ok=True)
        if CUSTOMER_KEY not in rows.column_names:
            pq.write_table(rows, folder / file.name)
            continue
        keys = rows.column(CUSTOMER_KEY).cast(pa.string())
        for number, key in enumerate(pc.unique(keys).to_pylist()):
            theirs = pc.is_null(keys) if key is None else pc.equal(keys, key)
            pq.write_table(rows.filter(theirs), folder / f"{number}-{file.name}")
    return root


def test_no_count_depends_on_the_files_that_a_range_of_customers_opens(
    by_customer: Path, whole: dict[tuple[str, str], int]
) -> None:
    assert counts(by_customer, 16) == whole


@pytest.mark.parametrize("n_ranges", [2, 16])
def test_no_count_depends_on_the_ranges_of_customers(
    store: Path, whole: dict[tuple[str, str], int], n_ranges: int
) -> None:
    assert counts(store, n_ranges) == whole
