"""Live rows that a run has made again as they were: whose rows of a table stay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.store import carry_forward, delta_store, staging, unchanged_rows
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.table_rows import LIVE_TABLES
from rejse.transforms.schema.contract import CUSTOMER_KEY

TABLE = "steps_live"
ANN, BEN, CYD, DAN = (digit * 32 for digit in "0123")
BEFORE = [
    {"step_id": "a1", CUSTOMER_KEY: ANN, "events": 1, "event_ids": ["e1"]},
    {"step_id": "b1", CUSTOMER_KEY: BEN, "events": 1, "event_ids": ["e2"]},
    {"step_id": "b2", CUSTOMER_KEY: BEN, "events": None, "event_ids": None},
    {"step_id": "d1", CUSTOMER_KEY: DAN, "events": 1, "event_ids": []},
]


def staged(store: Path, rows: list[dict[str, Any]], run: str, number: int) -> StagedFile:
    shape = pa.schema({
        "step_id": pa.string(), CUSTOMER_KEY: pa.string(), "events": pa.int64(),
        "event_ids": pa.list_(pa.string()),
    })  # fmt: skip
    at = datetime(2026, 1, number, tzinfo=UTC)
    table = staging.stamped(pa.Table.from_pylist(rows, schema=shape), run, "v", at)
    file = staging.write(store, TABLE, table)
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (BEFORE, [ANN, BEN, CYD, DAN]),  # Cyd has no row before and none now
        (BEFORE[::-1], [ANN, BEN, CYD, DAN]),
        ([{**BEFORE[0], "events": 2}, *BEFORE[1:]], [BEN, CYD, DAN]),
        ([{**BEFORE[0], "events": None}, *BEFORE[1:]], [BEN, CYD, DAN]),
        ([{**BEFORE[0], "event_ids": ["e1", "e9"]}, *BEFORE[1:]], [BEN, CYD, DAN]),
        (BEFORE[:2] + BEFORE[3:], [ANN, CYD, DAN]),
        ([*BEFORE, {**BEFORE[0], "step_id": "c1", CUSTOMER_KEY: CYD}], [ANN, BEN, DAN]),
    ],
)
def test_customers_whose_rows_are_the_same_but_for_run_and_clock(
    tmp_path: Path, now: list[dict[str, Any]], same: list[str]
) -> None:
    published = [staged(tmp_path, BEFORE[:2], "one", 1), staged(tmp_path, BEFORE[2:], "one", 1)]
    made = [staged(tmp_path, now, "two", 2)]
    customers = text([ANN, BEN, CYD, DAN])
    stays = unchanged_rows.unchanged(tmp_path, published, made, customers)
    assert stays.to_pylist() == same
    assert unchanged_rows.unchanged(tmp_path, [], made, customers).to_pylist() == []
    assert unchanged_rows.unchanged(tmp_path, published, [], customers).to_pylist() == []


def test_unchanged_rows_keep_their_file_and_leave_the_staged_one(tmp_path: Path) -> None:
    published = [staged(tmp_path, BEFORE[:3], "one", 1), staged(tmp_path, BEFORE[3:], "one", 1)]
    shape = published_tables.schema(TABLE)
    version = delta_store.commit(tmp_path, TABLE, published, shape, "one", 1)
    previous = Publication(1, "one", "", "", 0, {TABLE: version})
    made = staged(tmp_path, [*BEFORE[:3], {**BEFORE[3], "events": 2}], "two", 2)
    customers = pa.table({"table": [LIVE_TABLES] * 3, CUSTOMER_KEY: [ANN, BEN, DAN]})
    replaced = staging.write(tmp_path, "gone", customers)
    assert replaced is not None
    carried = carry_forward.carry_forward(
        tmp_path, previous, [tmp_path / replaced.path], None, staged=[made]
    )
    assert carried.files == {TABLE: [published[0]]}
    (left,) = carried.staged
    rows = delta_store.read(tmp_path / left.path).to_pylist()
    assert [(row["step_id"], row["run_id"]) for row in rows] == [("d1", "two")]
    assert not (tmp_path / made.path).exists()
