"""Small files of a table are joined by each run: which, and what is left of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.publication import publish
from rejse.pipelines.store import delta_store, join_files, staging
from rejse.pipelines.store.staged_file import StagedFile
from tests.support import store_builder

LARGE, FULL = join_files.LARGE, staging.FILE


def of_rows(*rows: int) -> list[StagedFile]:
    return [StagedFile("steps", f"steps/{n:02d}", n_rows, 0) for n, n_rows in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "joined"),
    [
        ([], []),
        ([10], []),
        ([10, 10], [[10, 10]]),
        ([10, 20], []),
        ([10, 20, 10], [[10, 10, 20]]),
        ([40, 10, 20], []),
        ([70, 10, 20, 40], [[10, 20, 40, 70]]),
        ([100, 10, 20, 71], [[10, 20, 71, 100]]),  # 100 is not more than 101
        ([102, 10, 20, 71], []),
        ([LARGE, LARGE], []),
        ([LARGE - 1, LARGE - 1], [[LARGE - 1, LARGE - 1]]),
        ([FULL // 2] * 20, []),
        ([LARGE] * 15, []),
        ([LARGE] * 18 + [1, 1], [[1, 1], [LARGE] * 16]),
    ],
)
def test_files_are_joined_with_smaller_ones_of_as_many_rows(
    rows: list[int], joined: list[list[int]]
) -> None:
    groups = join_files.groups(of_rows(*rows), (), FULL)
    assert [[file.rows for file in group] for group in groups] == joined


def test_what_the_run_itself_has_written_is_one_file() -> None:
    """Rows 1 and 30 are written anyway, so that nothing is gained by leaving them apart."""
    files = of_rows(1, 10, 30, 70)
    for new, joined in (
        ([0, 2], [[1, 10, 30]]), ([0], []), ([3], [[1, 10, 30, 70]]), ([1], [[1, 10]]),
    ):  # fmt: skip
        groups = join_files.groups(files, [files[n].path for n in new], FULL)
        assert [[file.rows for file in group] for group in groups] == joined


def test_a_hundred_runs_of_ten_rows_leave_few_files_and_write_few_rows() -> None:
    files, n_written = [], 0
    for run in range(100):
        files.append(StagedFile("steps", f"{run}", 10, 0))
        for group in [*join_files.groups(files, (f"{run}",), FULL)]:
            files = [file for file in files if file not in group]
            files.append(StagedFile("steps", f"of {run}", sum(f.rows for f in group), 0))
            n_written += files[-1].rows
        assert len(files) <= 7
    assert sum(file.rows for file in files) == 1_000
    assert n_written <= 1_000 * 7


def test_parts_of_live_rows_stay_parts() -> None:
    full = staging.full("steps_live")
    assert staging.full("pending") == full < staging.full("steps")
    assert not [*join_files.groups(of_rows(full, full // 2, full - 1), (), full)]
    (group,) = join_files.groups(of_rows(9, full // 2 - 1, full // 2, 9), (), full)
    assert [file.rows for file in group] == [9, 9]


def test_joined_files_of_the_run_itself_are_removed_published_ones_stay(tmp_path: Path) -> None:
    with publish.writing(tmp_path) as writer:
        files = [
            file
            for n in range(2)
            for file in store_builder.staged(tmp_path, store_builder.journey(n, [{}]))
        ]
        first = publish.publish(writer, files, store_builder.run_of(1), audit=None)
    (published,) = delta_store.named(tmp_path, "steps", first.versions["steps"])
    assert [path.name for path in (tmp_path / "steps").glob("*.parquet")] == [
        Path(published.path).name
    ]
    more = store_builder.staged(tmp_path, store_builder.joined(
        *(store_builder.journey(n, [{}]) for n in (8, 9))
    ))  # fmt: skip
    steps = [file for file in more if file.table == "steps"]
    joined = join_files.join_small(tmp_path, first, {"steps": [published, *steps]})
    (file,) = joined["steps"]
    assert file.rows == published.rows + sum(staged.rows for staged in steps)
    assert sorted(f"steps/{path.name}" for path in (tmp_path / "steps").glob("*.parquet")) == (
        sorted([published.path, file.path])
    )
