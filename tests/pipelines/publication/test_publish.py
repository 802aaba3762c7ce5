"""Publication: all or nothing, once, by one writer; and a crash at any point harms nobody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rejse.pipelines.places import place
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import delta_store, lock, staging
from rejse.pipelines.store.lock import AnotherWriter
from tests.support import objects, processes, store_builder
from tests.support.crashes import Crash, crash_after


def counts(root: Path) -> dict[str, int]:
    """Rows of all published tables, and of the two views that join final and live ones."""
    with catalogue.connect(root) as session:
        names = [row[0] for row in session.execute("show tables").fetchall()]
        names = [name for name in names if not name.startswith("v_")] + ["v_journeys", "v_steps"]
        return {
            name: session.execute(f"select count(*) from {name}").fetchall()[0][0] for name in names
        }


def test_publications_of_an_earlier_version_stay_readable(tmp_path: Path) -> None:
    """As it was written before one said how far answers are complete and who is satisfied."""
    store_builder.copied(tmp_path)
    (path,) = delta_store.files(
        tmp_path, "publications", delta_store.head(tmp_path, "publications")
    )
    old = delta_store.read(tmp_path / path).drop_columns(["x_frontiers", "thresholds"])
    pq.write_table(old, tmp_path / path)
    store_builder.published(tmp_path, number=2, x_frontiers={"s": 1}, thresholds={"t": 0.5})
    both = delta_store.publications(tmp_path)
    assert [publication.x_frontiers for publication in both] == [{}, {"s": 1}]
    assert [publication.thresholds for publication in both] == [{}, {"t": 0.5}]


def test_a_publication_holds_what_was_staged(tmp_path: Path) -> None:
    done = store_builder.published(tmp_path)
    assert done.number == 1
    assert done.rows["journeys"] == 3
    assert delta_store.latest(tmp_path) == done
    seen = counts(tmp_path)
    assert (seen["v_journeys"], seen["v_steps"], seen["events"], seen["late"]) == (3, 4, 4, 0)
    assert seen["runs"] == seen["publications"] == 1


def test_the_next_publication_replaces_and_never_adds(tmp_path: Path) -> None:
    store_builder.copied(tmp_path)
    again = store_builder.published(tmp_path, number=2)
    assert again.number == 2
    seen = counts(tmp_path)
    assert (seen["journeys"], seen["steps"]) == (3, 4)
    assert seen["runs"] == seen["publications"] == 2
    assert [p.run_id for p in delta_store.publications(tmp_path)] == ["run-1", "run-2"]


def test_an_older_publication_can_still_be_read(tmp_path: Path) -> None:
    store_builder.copied(tmp_path)
    store_builder.published(tmp_path, store_builder.journey(9, [{}]), number=2)
    with catalogue.connect(tmp_path, 1) as old, catalogue.connect(tmp_path) as new:
        count = "select count(*) from journeys"
        assert old.execute(count).fetchall() == [(3,)]
        assert new.execute(count).fetchall() == [(1,)]


def test_a_run_that_does_not_balance_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(publish.BalanceError, match="difference 1"):
        store_builder.published(tmp_path, counts={"read": 5, "kept": 4}, reasons={})
    assert delta_store.latest(tmp_path) is None
    with pytest.raises(publish.BalanceError, match="rejects with a reason 0"):
        store_builder.published(tmp_path, reasons={})


def test_the_run_is_told_with_its_reconciliation(tmp_path: Path) -> None:
    store_builder.published(tmp_path, notes={"unknown_channel": 2})
    with catalogue.connect(tmp_path) as session:
        row = session.execute(
            "select n_read, n_kept, n_rejected, difference, reasons, notes from runs"
        ).fetchall()
    assert row == [(5, 4, 1, 0, {"missing_time": 1}, {"unknown_channel": 2})]


def test_an_unknown_table_or_a_vanished_file_is_refused(tmp_path: Path) -> None:
    with publish.writing(tmp_path) as writer:
        missing = staging.StagedFile("journeys", "journeys/part-gone.parquet", 1, 1)
        with pytest.raises(FileNotFoundError, match=r"part-gone.*run again"):
            publish.publish(writer, [missing], store_builder.run_of(), audit=None)
        strange = staging.StagedFile("dreams", "dreams/part-1.parquet", 1, 1)
        with pytest.raises(KeyError, match="dreams"):
            publish.publish(writer, [strange], store_builder.run_of(), audit=None)


@pytest.mark.parametrize("steps", (0, 1, 9, 17, 18, 19, 20, 21))
def test_a_crash_at_any_step_leaves_a_whole_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    store_builder.copied(tmp_path)
    with monkeypatch.context() as patched:
        crash_after(patched, steps)
        rows = store_builder.joined(store_builder.world(), store_builder.journey(9, [{}]))
        try:
            store_builder.published(tmp_path, rows, number=2)
        except Crash:
            newest = delta_store.latest(tmp_path)
            assert newest is not None
            seen = counts(tmp_path)
            assert (seen["journeys"], seen["publications"]) == (3, 1), "readers see the old one"
    with publish.writing(tmp_path) as writer:
        assert writer.previous is not None
        if writer.previous.number == 1:
            files = store_builder.staged(tmp_path, rows)
            publish.publish(writer, files, store_builder.run_of(2), audit=None)
    seen = counts(tmp_path)
    assert (seen["journeys"], seen["steps"], seen["runs"], seen["publications"]) == (4, 5, 2, 2)


@pytest.mark.parametrize(
    "content", (b"", b"garbage", b"catalog-.duckdb", b"\xff\0", b"catalog-9.duckdb")
)
def test_a_broken_pointer_hides_nothing_and_the_next_writer_makes_it_anew(
    tmp_path: Path, content: bytes
) -> None:
    """A power cut may leave an empty file; `publications` still tells what is current."""
    store_builder.copied(tmp_path)
    (tmp_path / catalogue.CURRENT).write_bytes(content)
    assert catalogue.current(tmp_path) == 1
    assert counts(tmp_path)["journeys"] == 3
    with publish.writing(tmp_path) as writer:
        assert writer.previous is not None
    assert (tmp_path / catalogue.CURRENT).read_text() == "catalog-1.duckdb\n"


def test_a_catalogue_that_is_gone_is_made_anew_by_the_next_writer(tmp_path: Path) -> None:
    store_builder.copied(tmp_path)
    catalogue.path(tmp_path, 1).unlink()
    with publish.writing(tmp_path):
        assert counts(tmp_path)["journeys"] == 3


def test_the_pointer_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        sync(handle)

    def renamed(self: Path, target: Path) -> Path:
        done.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    store_builder.published(tmp_path)
    at = done.index(catalogue.CURRENT)
    assert done[at - 1] == f"{catalogue.CURRENT}.making"


def test_files_of_a_crashed_run_are_removed_by_the_next(tmp_path: Path) -> None:
    store_builder.copied(tmp_path)
    orphan = store_builder.staged(tmp_path, store_builder.world())
    kept = set(tmp_path.glob("*/part-*.parquet")) - {tmp_path / file.path for file in orphan}
    with publish.writing(tmp_path):
        assert set(tmp_path.glob("*/part-*.parquet")) == kept
    assert counts(tmp_path)["journeys"] == 3


def test_a_second_writer_on_this_machine_is_told_at_once(tmp_path: Path) -> None:
    with publish.writing(tmp_path):
        with pytest.raises(AnotherWriter, match="another run at work") as raised:
            store_builder.published(tmp_path)
        assert raised.value.exit_code == 75
    assert store_builder.published(tmp_path).number == 1


def test_a_writer_overtaken_from_elsewhere_publishes_nothing(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    """Two machines: the lock does not reach, the commit does."""
    store_builder.copied(tmp_path)
    monkeypatch.setattr(lock.fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(delta_store, "remove_orphans", lambda _: [])
    with publish.writing(tmp_path) as slow:
        files = store_builder.staged(tmp_path, store_builder.journey(7, [{}]))
        other = tmp_path
        if form == "objects":  # each machine has a folder of its own
            other = objects.elsewhere(tmp_path, tmp_path_factory.mktemp("other"))
        store_builder.published(other, number=2)
        with pytest.raises(AnotherWriter, match="published meanwhile"):
            publish.publish(slow, files, store_builder.run_of(3), audit=None)
    place.of(tmp_path).refresh(is_held=False)
    newest = delta_store.latest(tmp_path)
    assert newest is not None and newest.run_id == "run-2"
    assert counts(tmp_path)["journeys"] == 3


def _race(root: str, number: int, barrier: Any, results: Any) -> None:
    lock.fcntl.flock = lambda *_: None  # type: ignore[assignment]
    delta_store.remove_orphans = lambda _: []
    with publish.writing(Path(root)) as writer:
        files = store_builder.staged(Path(root), store_builder.journey(number, [{}]))
        barrier.wait()
        try:
            publish.publish(writer, files, store_builder.run_of(number), audit=None)
            results.put((number, "published"))
        except AnotherWriter:
            results.put((number, "refused"))


def test_of_writers_that_race_one_wins(tmp_path: Path) -> None:
    store_builder.copied(tmp_path)
    forks = processes.forking("tests.support.store_builder")
    barrier, results = forks.Barrier(3), forks.Queue()
    racers = [
        forks.Process(target=_race, args=(str(tmp_path), n, barrier, results)) for n in (2, 3, 4)
    ]
    for racer in racers:
        racer.start()
    states = dict(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    winners = [number for number, state in states.items() if state == "published"]
    assert len(winners) == 1
    newest = delta_store.latest(tmp_path)
    assert newest is not None and newest.run_id == f"run-{winners[0]}"
    assert newest.number == 2
