"""The hot loop: what arrives is seen before it is published, and never beside another base."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live import hot_process
from rejse.pipelines.live.arrivals import Arrivals
from rejse.pipelines.live.hot_core import Touched, warm
from rejse.pipelines.live.hot_loop import HotLoop, Watermarks
from rejse.pipelines.maintenance import erase
from rejse.pipelines.publication import overlay
from rejse.pipelines.publication.overlay import Overlay, OverlayError
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.traces import OVERLAY
from rejse.pipelines.store.warm_tables import RowGroups
from tests.support.installation import installation, lines, row


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    run(project, RunRequest(audit=None))
    return project


def publish(project: Settings) -> None:
    assert run(project, RunRequest(audit=None)).status == "published"


def live(project: Settings) -> list[tuple[Any, ...]]:
    """Events and provisional journeys that a session with the overlay sees."""
    with overlay.connect(project.store) as con:
        counts = "(select count(*) from events), (select count(*) from v_live where is_provisional)"
        return con.execute(f"select {counts}").fetchall()


def steps(project: Settings) -> tuple[HotLoop, Iterator[int]]:
    loop = HotLoop(project, pause=0)
    return loop, loop.steps()


def test_a_row_is_seen_before_it_is_published(project: Settings) -> None:
    loop, looks = steps(project)
    assert (next(looks), live(project)) == (0, [(1, 0)])
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    assert (next(looks), live(project)) == (1, [(2, 1)])
    assert next(looks) == 0
    publish(project)
    assert next(looks) == 0
    assert live(project) == [(2, 0)]
    (project.root / "c.jsonl").write_text(lines([row(2), row(3)]))
    (project.root / "d.jsonl").write_text(lines([row(4)])[:-3])  # is still written
    assert (next(looks), live(project)[0][0]) == (2, 4)
    loop.stop.set()
    assert list(looks) == []


def test_a_reader_never_mixes_two_bases(project: Settings) -> None:
    _, looks = steps(project)
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    next(looks)
    (project.root / "c.jsonl").write_text(lines([row(2)]))
    publish(project)
    assert overlay.base(project.store) == 1
    assert live(project) == [(2, 1)]  # the loop has not seen publication 2 yet
    next(looks)
    assert overlay.base(project.store) is None  # nothing is laid over it yet
    assert live(project) == [(3, 0)]


def test_an_erasure_takes_the_overlay_with_it(project: Settings) -> None:
    _, looks = steps(project)
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    next(looks)
    identity = row(1)["identity"]
    erase.forget(project, "customer", identity)
    assert list(project.store.glob(f"{OVERLAY}/*")) == []
    assert live(project) == [(1, 0)]


def test_listeners_hear_of_each_step_and_none_stops_the_loop(
    project: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def hears(base: Publication, touched: Touched, watermarks: Watermarks) -> None:
        heard.append((base.number, len(touched.customers), [*watermarks[0]]))
        n = len(touched.customers)
        assert live(project) == [(1 + n, n)]  # they can read what they hear of

    def fails(*_: object) -> None:
        raise ValueError("a value of a row")

    loop = HotLoop(project, pause=0, listeners=(fails, hears))
    looks = loop.steps()
    next(looks)
    assert heard == [(1, 0, ["crm"])]  # the publication is new to them
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    assert (next(looks), next(looks)) == (1, 0)
    assert heard[1:] == [(1, 1, ["crm"])]  # and nothing more came
    assert "ValueError in fails" in caplog.text
    assert "a value of a row" not in caplog.text
    loop.stop.set()
    assert list(looks) == []


def test_what_cannot_be_read_by_this_configuration_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    _, looks = steps(project)
    assert next(looks) == 0
    assert not (project.store / OVERLAY).exists()
    publish(project)
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    assert next(looks) == 1


def test_a_second_hot_core_waits_for_the_first(project: Settings) -> None:
    (first, looks), (second, others) = steps(project), steps(project)
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    assert (next(looks), next(others)) == (1, 0)
    assert live(project) == [(2, 1)]
    first.stop.set()
    assert list(looks) == []
    assert next(others) == 1
    second.stop.set()
    assert list(others) == []


def test_an_erasure_is_followed_by_a_core_at_work(project: Settings) -> None:
    (project.root / "b.jsonl").write_text(lines([row(1), row(2)]))
    base, core = warm(project, project.root, delta_store.now())
    laid = Overlay(project.store, base.number)
    identity = row(1)["identity"]
    _, looks = steps(project)
    erase.forget(project, "customer", identity)
    touched = core.step(Arrivals(project, base, 0).first())
    with pytest.raises(OverlayError, match="No such file"):  # its rows have the erased customer
        laid.add(touched.customers, touched.tables)
    assert live(project) == [(1, 0)]
    assert next(looks) == 1
    assert live(project) == [(2, 1)]


def test_a_full_disk_costs_provisional_rows_alone(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, looks = steps(project)
    next(looks)
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    with monkeypatch.context() as full:
        full.setattr("pyarrow.parquet.write_table", no_room)
        assert next(looks) == 0
    assert live(project) == [(1, 0)]
    assert next(looks) == 1
    assert live(project) == [(2, 1)]


def test_rows_of_files_that_are_gone_are_held_no_longer(project: Settings) -> None:
    """Else rows of an erased customer would stay in memory, and memory would grow."""
    groups = RowGroups(1 << 20)
    base, core = warm(project, project.root, delta_store.now(), groups)
    (project.root / "b.jsonl").write_text(lines([row(0) | {"id": "again"}]))
    core.step(Arrivals(project, base, 0).first())
    assert groups.nbytes > 0
    publish(project)
    erase.forget(project, "customer", row(0)["identity"])
    warm(project, project.root, delta_store.now(), groups)
    assert groups.nbytes == 0


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_hot_process_leaves_nothing_behind(
    project: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with hot_process.beside(project.root / "rejse.toml", 0.01) as process:
        while not (project.store / OVERLAY).is_dir():
            assert process.keep() is None
            os.sched_yield()
        assert any(scratch.iterdir())
    assert not any(scratch.iterdir())
