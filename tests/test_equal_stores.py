"""The command that compares two stores: equal ones, a changed value, a lost row, renames."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import equal_stores, store_builder


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Path, Path]:
    """Two stores of the same world, published by runs of other names."""
    for name, number in (("a", 1), ("b", 2)):
        store_builder.published(tmp_path / name, number=number)
    return tmp_path / "a", tmp_path / "b"


def different(first: Path, second: Path, **renamed: str) -> dict[str, tuple[str, ...]]:
    compared = equal_stores.compare(first, second, renamed)
    return {table.table: table.differences for table in compared if table.differences}


def test_stores_of_two_runs_are_equal(
    stores: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert equal_stores.main([str(store) for store in stores]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "journeys: 3 rows, equal" in lines
    assert "friction_evidence: 2 rows, equal" in lines
    assert any(line.startswith("runs: 1 rows, equal") for line in lines)


def test_a_changed_value_is_shown_with_its_key(
    stores: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = store_builder.world()
    rows["journeys"][1]["n_steps"] = 7
    store_builder.published(tmp_path / "c", rows)
    assert different(stores[0], tmp_path / "c") == {
        "journeys": ("n_steps: 1 rows, as j0002: 2 and 7",)
    }
    assert equal_stores.main([str(stores[0]), str(tmp_path / "c")]) == 1
    assert "journeys: 3 rows, different" in capsys.readouterr().out


def test_rows_count_as_often_as_they_are_there(stores: tuple[Path, Path], tmp_path: Path) -> None:
    rows = store_builder.world()
    rows["steps"].append(rows["steps"][0])
    store_builder.published(tmp_path / "c", rows)
    assert different(stores[0], tmp_path / "c")["steps"] == (
        "only in the second store: 1 rows, as j0001-1",
    )


def test_a_renamed_table_and_column(stores: tuple[Path, Path]) -> None:
    other = different(*stores, n_steps="n_stages")
    assert other["journeys"] == ("n_stages: INTEGER and absent", "n_steps: absent and INTEGER")
    assert different(*stores, steps="stages") == {
        "stages": ("no rows in one of the stores",),
        "steps": ("no rows in one of the stores",),
    }
