"""Vacuum: what nobody may read any more goes; what is current, or being read, never does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rejse.pipelines.maintenance import compact, vacuum
from rejse.pipelines.places.object_place import SEEN
from rejse.pipelines.places.place import MARK
from rejse.pipelines.publication import catalogue, publish, time_travel
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.pipelines.store import delta_log, delta_store
from rejse.transforms.schema.parameters import DAY
from tests.support import store_builder

KEEP = 7 * DAY


def some(root: Path, n: int) -> Path:
    """Publications on the days 1, 2, … of a clock of their own, each with one journey more.

    Two logs are long after the first.
    """
    with pytest.MonkeyPatch.context() as patch:
        for day in range(1, n + 1):
            patch.setattr(delta_store, "now", lambda at=day * DAY: at)
            rows = store_builder.joined(*(store_builder.journey(j, [{}]) for j in range(day)))
            store_builder.published(root, rows, number=day)
            if day == 1:
                store_builder.lengthen_logs(root)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return some(tmp_path_factory.mktemp("made"), 3)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A store with three publications, of a test's own."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def journeys(root: Path, number: int | None = None) -> int:
    with catalogue.connect(root, number) as session:
        (row,) = session.execute("select count(*) from journeys").fetchall()
        return int(row[0])


def everything(root: Path) -> set[str]:
    own = {MARK, SEEN}  # of a working copy
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return files - own


def test_a_publication_goes_when_the_next_one_is_old_enough(root: Path) -> None:
    assert vacuum.vacuum(root, KEEP, 2 * DAY + KEEP, dry_run=False).expired == ()
    done = vacuum.vacuum(root, KEEP, 2 * DAY + KEEP + 1, dry_run=False)
    assert (done.kept, done.expired) == ((2, 3), (1,))
    assert done.by_table["runs"] == done.by_table["events"] == 1
    assert (journeys(root, 2), journeys(root)) == (2, 3)
    with pytest.raises(NotPublishedError, match="its files are gone"):
        catalogue.connect(root, 1)
    assert [publication.number for publication in delta_store.publications(root)] == [1, 2, 3], (
        "history stays"
    )


def test_the_current_publication_is_never_removed(root: Path) -> None:
    done = vacuum.vacuum(root, 0, 1_000_000 * DAY, dry_run=False)
    assert done.kept == (3,)
    assert journeys(root) == 3
    assert vacuum.vacuum(root, 0, 1_000_000 * DAY, dry_run=False).files == ()
    assert store_builder.published(root, number=4).number == 4


def test_a_dry_run_says_the_same_and_removes_nothing(root: Path) -> None:
    before = everything(root)
    planned = vacuum.vacuum(root, 0, 100 * DAY)
    assert everything(root) == before
    done = vacuum.vacuum(root, 0, 100 * DAY, dry_run=False)
    assert (planned.files, planned.bytes) == (done.files, done.bytes)
    assert before - everything(root) == set(done.files)
    assert planned.bytes > 0


def test_what_is_gone_does_not_come_back_when_more_is_to_be_kept(root: Path) -> None:
    assert vacuum.vacuum(root, KEEP, 2 * DAY + KEEP + 1, dry_run=False).expired == (1,)
    again = vacuum.vacuum(root, 900 * DAY, 2 * DAY + KEEP + 1, dry_run=False)
    assert (again.kept, again.files) == ((2, 3), ())


def test_whoever_reads_a_kept_publication_is_not_disturbed(root: Path) -> None:
    with catalogue.connect(root, 2) as reader:
        vacuum.vacuum(root, KEEP, 2 * DAY + KEEP + 1, dry_run=False)
        assert reader.execute("select count(*) from events").fetchall() == [(2,)]
        assert reader.execute("select count(*) from publications").fetchall() == [(2,)]


def test_an_interrupted_vacuum_is_finished_by_the_next(root: Path) -> None:
    whole = vacuum.vacuum(root, 0, 100 * DAY)
    data = [name for name in whole.files if delta_log.LOG not in name]  # it leaves logs for last
    for name in data[: len(data) // 2]:
        (root / name).unlink()
    vacuum.vacuum(root, 0, 100 * DAY, dry_run=False)
    assert not any((root / name).exists() for name in whole.files)
    assert journeys(root) == 3


def test_the_log_stays_short_and_living_files_are_no_orphans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that a compaction leaves alone keeps a file whose entry the log no longer has."""
    some(tmp_path, 5)
    monkeypatch.setattr(delta_store, "now", lambda: 6 * DAY)
    vacuum.vacuum(tmp_path, 0, 100 * DAY, dry_run=False)
    log = sorted(path.name for path in (tmp_path / "journeys" / "_delta_log").iterdir())
    assert log == [
        "00000000000000000024.checkpoint.parquet", "00000000000000000024.json", "_last_checkpoint",
    ]  # fmt: skip
    with delta_store.writing(tmp_path) as writer:
        assert writer.previous is not None and writer.previous.number == 5
    assert store_builder.published(tmp_path, number=6).number == 6
    assert (journeys(tmp_path, 5), journeys(tmp_path)) == (5, 3)
    for entry in (tmp_path / "journeys" / "_delta_log").glob("*.json"):
        entry.unlink()
    tables_removed = {path.parent.name for path in delta_store.remove_orphans(tmp_path)}
    assert tables_removed == {"journeys"}, (
        "what only version 6 named; the checkpoint names version 5's"
    )
    assert journeys(tmp_path, 5) == 5


def test_files_before_a_compaction_go_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_store, "now", lambda: DAY)
    rows = [store_builder.journey(j, [{}]) for j in range(3)]
    with store_builder.files_apart(), publish.writing(tmp_path) as writer:
        files = [file for part in rows for file in store_builder.staged(tmp_path, part)]
        publish.publish(writer, files, store_builder.run_of(), audit=None)
    compact.compact(tmp_path)
    # The clock stands still, so that the compaction is published a microsecond later.
    done = vacuum.vacuum(tmp_path, KEEP, DAY + 1 + KEEP + 1, dry_run=False)
    assert done.by_table["journeys"] == 3
    assert journeys(tmp_path) == 3


def test_nothing_published_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotPublishedError, match="rejse run"):
        vacuum.vacuum(tmp_path, KEEP, 0)


def test_a_publication_is_found_by_number_or_time(root: Path) -> None:
    times = {"1": 1, "1970-01-02": 1, "1970-01-03T23:59": 2, "1970-01-04T01:00+01:00": 3}
    assert {text: time_travel.number(root, text) for text in times} == times
    with pytest.raises(NotPublishedError, match="nothing was published by then"):
        time_travel.number(root, "1970-01-01T23:59")
    with pytest.raises(time_travel.AsOfError, match="a time such as"):
        time_travel.number(root, "yesterday")
    vacuum.vacuum(root, KEEP, 2 * DAY + KEEP + 1, dry_run=False)
    with pytest.raises(
        NotPublishedError,
        match=r"can still be read \(2 to 3\), came '1': its files are no longer kept",
    ):
        time_travel.number(root, "1")
