"""Compaction: fewer files, the same rows; a new publication, and the old one still readable."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rejse.pipelines.config.retention import RetentionSettings
from rejse.pipelines.maintenance import compact
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from tests.support import store_builder

MARCH = datetime(2026, 3, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scattered")
    evidence = [{"kind": "transfer", "severity": 0.2, "at": 0, "owner": "Care"}]
    with store_builder.files_apart(), publish.writing(root) as writer:
        files = [
            file
            for numbers in ((7,), (6, 5), (4, 3, 2, 1))
            for file in store_builder.staged(
                root,
                store_builder.joined(
                    *(store_builder.journey(n, [{}, {}], evidence) for n in numbers)
                ),
            )
        ]
        publish.publish(writer, files, store_builder.run_of(1), audit=None)
    return root


@pytest.fixture
def scattered(made: Path, tmp_path: Path) -> Path:
    """A store whose tables have three files."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def contents(root: Path, publication: int | None = None) -> dict[str, list[tuple[object, ...]]]:
    with catalogue.connect(root, publication) as session:
        return {
            name: session.execute(f"select * from {name} order by all").fetchall()
            for name in ("events", "journeys", "steps", "sessions", "friction_evidence", "runs")
        }


def test_small_files_become_one_with_the_same_rows(scattered: Path) -> None:
    before = delta_store.latest(scattered)
    assert before is not None
    rows = contents(scattered)
    done = compact.compact(scattered)
    assert (done.status, done.publication) == ("published", 2)
    assert done.tables["steps"] == compact.Rewritten(3, 1, 0)
    assert contents(scattered) == rows
    after = delta_store.latest(scattered)
    assert after is not None
    assert len(delta_store.files(scattered, "steps", after.versions["steps"])) == 1
    assert (after.rows, after.fingerprint) == (before.rows, before.fingerprint)
    assert after.versions["runs"] == before.versions["runs"]
    assert contents(scattered, 1) == rows, "the earlier publication names its own files"


def test_rows_lie_by_customer_and_then_in_their_order(tmp_path: Path) -> None:
    """Two files, each with customers between those of the other."""
    with publish.writing(tmp_path) as writer:
        files = [
            file
            for part in ((6, 1, 3), (5, 2, 4))
            for file in store_builder.staged(
                tmp_path,
                store_builder.joined(*(store_builder.journey(n, [{}, {}]) for n in part)),
            )
        ]
        publish.publish(writer, files, store_builder.run_of(), audit=None)
    compact.compact(tmp_path)
    latest = delta_store.latest(tmp_path)
    assert latest is not None
    for name, order in (("events", "time"), ("steps", "step_id")):
        (path,) = delta_store.files(tmp_path, name, latest.versions[name])
        rows = delta_store.read(tmp_path / path).select(["customer_key", order]).to_pylist()
        keys = [tuple(row.values()) for row in rows]
        assert keys == sorted(keys)


def test_a_second_compaction_has_nothing_to_do(scattered: Path) -> None:
    compact.compact(scattered)
    again = compact.compact(scattered)
    assert (again.status, again.publication, again.tables) == ("nothing_new", 2, {})
    assert len(delta_store.publications(scattered)) == 2


def test_small_files_are_joined_up_to_a_full_one() -> None:
    rows = {"a": 49, "b": 50, "c": 49, "d": 2, "e": 1, "f": 100, "g": 100}
    files = [StagedFile("steps", path, n, 0) for path, n in rows.items()]
    bins = compact._bins(files, {"g"}, full=100)
    assert [[file.path for file in group] for group in bins] == [["a", "c", "d"], ["e"], ["g"]]


def test_no_publication_is_no_compaction(tmp_path: Path) -> None:
    with pytest.raises(catalogue.NotPublishedError, match="rejse run"):
        compact.compact(tmp_path)


def test_what_a_crashed_run_committed_is_not_joined(scattered: Path) -> None:
    rows = contents(scattered)
    with publish.writing(scattered):
        files = store_builder.staged(scattered, store_builder.journey(9, [{}]))
        for file in files:
            shape = published_tables.schema(file.table)
            delta_store.commit(scattered, file.table, [file], shape, "crashed", 2)
    compact.compact(scattered)
    assert contents(scattered) == rows


def test_rows_past_their_retention_go_with_their_journey(scattered: Path) -> None:
    now = int(MARCH.timestamp() * 1_000_000)
    settings = RetentionSettings.model_validate(
        {"tables": {"journeys": "3d", "friction_evidence": "1d"}}
    )
    done = compact.compact(scattered, settings.since(now))
    # journeys 1 to 7 end on 3 to 9 March at 10; kept are those from the 4th on, evidence the 6th
    assert done.tables["journeys"] == compact.Rewritten(3, 1, 1)
    seen = contents(scattered)
    assert {name: len(rows) for name, rows in seen.items()} == {
        "events": 14, "journeys": 6, "steps": 12, "sessions": 12, "friction_evidence": 4, "runs": 1,
    }  # fmt: skip
    latest = delta_store.latest(scattered)
    assert latest is not None and latest.rows["steps"] == 12
    assert len(contents(scattered, 1)["journeys"]) == 7


def test_a_table_whose_rows_are_all_too_old_is_empty(scattered: Path) -> None:
    settings = RetentionSettings.model_validate({"tables": {"journeys": "1d", "events": "1d"}})
    late = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
    compact.compact(scattered, settings.since(late))
    assert not any(contents(scattered)[name] for name in ("events", "journeys", "steps"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tables": {"journey": "9d"}}, "did you mean journeys"),
        ({"tables": {"dreams": "9d"}}, "known are alerts, events, experience"),
        ({"tables": {"journeys": "1h"}}, "expected at least 1d"),
        ({"tables": {"events": "9d", "journeys": "10d"}}, "at least as long as journeys"),
        ({"tables": {"events": "900d"}}, "at least as long as journeys"),
        ({"publications": "1h"}, "greater than or equal"),
    ],
)
def test_a_retention_that_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetentionSettings.model_validate(given)
