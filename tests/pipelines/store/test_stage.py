"""Staged files: unique, described, and refused where a column breaks its declaration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.store import staging
from tests.support import store_builder


def by_customer(rows: pa.Table) -> list[dict[str, object]]:
    return sorted(rows.to_pylist(), key=lambda row: row["customer_key"])


def test_two_writes_of_the_same_rows_are_two_files(tmp_path: Path) -> None:
    rows = store_builder.table("journeys", store_builder.world()["journeys"])
    first, two = (staging.write(tmp_path, "journeys", rows) for _ in range(2))
    assert first and two and first.path != two.path
    assert first.rows == 3
    assert first.bytes == (tmp_path / first.path).stat().st_size


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    assert staging.write(tmp_path, "journeys", store_builder.table("journeys", [])) is None
    assert not (tmp_path / "journeys").exists()


def test_the_file_tells_grain_description_and_unit(tmp_path: Path) -> None:
    rows = store_builder.table("journeys", store_builder.world()["journeys"])
    bare = rows.replace_schema_metadata(None)
    file = staging.write(tmp_path, "journeys_live", bare)
    assert file is not None
    shape = pq.read_schema(tmp_path / file.path)
    assert shape.metadata[b"grain"] == b"journey"
    assert shape.field("started_at").metadata[b"unit"] == b"UTC"
    assert shape.field("case_id").metadata[b"description"].startswith(b"Case")


def test_values_pass_unchanged_coded_or_plain(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    coded = rows.set_column(
        rows.schema.names.index("channel"), "channel", rows["channel"].dictionary_encode()
    )
    file = staging.write(tmp_path, "events", coded)
    assert file is not None
    assert pq.read_table(tmp_path / file.path).to_pylist() == by_customer(rows)


def test_a_wrong_type_is_refused_with_both_types(tmp_path: Path) -> None:
    wrong = pa.table({"journey_id": pa.array(["a"]), "started_at": pa.array(["yesterday"])})
    with pytest.raises(staging.StageError, match=r"started_at: expected timestamp.*got string"):
        staging.write(tmp_path, "journeys", wrong)


def test_stamps_are_the_same_for_all_rows() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    stamped = staging.stamped(pa.table({"a": [1, 2]}), "run", "version", at)
    assert (
        stamped.select(["known_at", "revision", "run_id"]).to_pylist()
        == [{"known_at": at, "revision": 1, "run_id": "run"}] * 2
    )


def test_small_parts_become_row_groups_and_few_files(tmp_path: Path) -> None:
    part = pa.table({"n": range(10_000)})
    worker = staging.Stage(tmp_path)
    files = [file for _ in range(31) for file in worker.add("numbers", part)]
    assert [file.rows for file in files] == [270_000]
    files += [*worker.add("steps", store_builder.table("steps", [])), *worker.close()]
    assert [(file.table, file.rows) for file in files] == [
        ("numbers", 270_000),
        ("numbers", 40_000),
    ]
    first, second = (pq.ParquetFile(tmp_path / file.path) for file in files)
    groups = [first.metadata.row_group(n).num_rows for n in range(first.num_row_groups)]
    assert groups == [10_000] * 27
    assert pa.concat_tables([first.read(), second.read()]).equals(pa.concat_tables([part] * 31))


def test_live_rows_are_cut_into_parts(tmp_path: Path) -> None:
    whole = staging.LIVE_FILE
    rows = pa.table({"until": pa.array(range(3 * whole + 9), pa.timestamp("us", "UTC"))})
    worker = staging.Stage(tmp_path)
    files = [*worker.add("pending", rows.slice(9)), *worker.add("pending", rows.slice(0, 9))]
    assert [file.rows for file in files] == [whole] * 3
    assert [file.rows for file in worker.close()] == [9]
    file = staging.write(tmp_path, "pending", rows)
    assert file is not None and file.rows == rows.num_rows


def test_wide_rows_wait_for_few_and_shared_dictionaries_weigh_nothing(tmp_path: Path) -> None:
    names = pa.array([f"{n:064d}" for n in range(9_000)])  # all of a group's; each part has few
    parts = {
        "narrow": pa.DictionaryArray.from_arrays(pa.array([3, 7], pa.int32()), names),
        "wide": pa.array(["x" * 400_000] * 2),
    }
    for table, column in parts.items():
        worker = staging.Stage(tmp_path)
        assert not [file for _ in range(4) for file in worker.add(table, pa.table([column], ["a"]))]
        [file] = worker.close()
        written = pq.ParquetFile(tmp_path / file.path)
        assert written.metadata.num_row_groups == {"narrow": 1, "wide": 2}[table]
        assert written.read().column("a").to_pylist() == column.to_pylist() * 4


def test_parts_of_other_columns_go_to_another_file(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    worker = staging.Stage(tmp_path)
    assert not [*worker.add("events", rows), *worker.add("events", rows.drop_columns(["channel"]))]
    assert sorted(file.rows for file in worker.close()) == [rows.num_rows] * 2


def test_parts_with_dictionaries_of_their_own_are_joined(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    place = rows.schema.names.index("channel")

    def coded(part: pa.Table) -> pa.Table:
        return part.set_column(
            place, "channel", part["channel"].combine_chunks().dictionary_encode()
        )

    worker = staging.Stage(tmp_path)
    for n in range(rows.num_rows):
        assert not [*worker.add("events", coded(rows.slice(n, 1)))]
    [file] = worker.close()
    assert pq.read_table(tmp_path / file.path).to_pylist() == by_customer(rows)


@pytest.mark.parametrize("null", [False, True])
def test_a_file_has_those_values_of_a_dictionary_that_its_rows_have(
    tmp_path: Path, null: bool
) -> None:
    """Also where the last row is the first that has one."""
    texts = ["a"] * (2 * staging.LOOK) + ([None] if null else []) + ["b"]
    whole = pa.array([*texts, "spare"]).dictionary_encode().slice(0, len(texts))
    rows = staging.without_spares(pa.table({"text": whole}))
    assert rows.column("text").to_pylist() == texts
    assert rows.column("text").chunk(0).dictionary.to_pylist() == ["a", "b"]
