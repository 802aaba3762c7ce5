"""The hot core holds what the bounded run would publish: the law, over arrivals in any split."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live import arrivals as live
from rejse.pipelines.live import hot_core
from rejse.pipelines.publication import overlay
from rejse.pipelines.sources import files
from rejse.pipelines.sources.files import Shard
from rejse.pipelines.store import delta_store
from tests.support import strategies
from tests.support.increments import Arrivals, Order, contents, contents_of, with_copies
from tests.support.installation import installation, lines, row
from tests.support.law import SOAK

CUSTOMERS = 30
ORDERS: tuple[Order, ...] = ("in order", "locally shuffled", "wholly shuffled", "late")
SEEDS = range(1, 30 if SOAK else 2)


def arrived(arrivals: Arrivals, part: int) -> list[Shard]:
    """Pieces of the files of a part."""
    shards = (s for source in arrivals.settings.sources.values() for s in files.shards(source))
    return [shard for shard in shards if shard.path.name.startswith(f"{part:03d}.")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_overlay_is_what_a_run_publishes(tmp_path: Path, order: Order, seed: int) -> None:
    transcript = with_copies(strategies.many_felt(seed, CUSTOMERS), seed)
    arrivals = Arrivals([transcript], tmp_path, parts := 6, order, seed)
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    store = arrivals.settings.store
    (scratch := tmp_path / "scratch").mkdir()
    base, core = hot_core.warm(arrivals.settings, scratch, delta_store.now())
    laid = overlay.Overlay(store, base.number)
    for part in range(1, parts):
        arrivals.arrive(part)
        touched = core.step(arrived(arrivals, part))
        laid.add(touched.customers, touched.tables)
    with overlay.connect(store) as con:
        provisional = contents_of(con)
    arrivals.run(is_last=False)
    final = contents(arrivals.settings)
    assert {name for name in final if final[name] != provisional[name]} == set()
    assert overlay.segments(store, 2) == []


@pytest.mark.parametrize(
    ("source", "time", "touched"),
    [
        ("web", "2026-01-05T09:05:00Z", 1),  # the deadline of the first customer is ahead
        ("web", "2026-03-05T09:05:00Z", 2),  # it has passed, and nothing of theirs came
        ("app", "2026-03-05T09:05:00Z", 1),  # `web` is silent: it may know better
    ],
)
def test_deadlines_pass_by_what_all_sources_have_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, time: str, touched: int
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    first, more = {"web.1": [row(0)]}, {}
    names = {"web": "web.*.jsonl"} | ({"app": "app.*.jsonl"} if source == "app" else {})
    if source == "app":
        more = {"app.1": [row(0, id="e9")]}
    project = installation(
        tmp_path, {f"{name}.jsonl": lines(of) for name, of in {**first, **more}.items()}, names
    )
    run(project, RunRequest(audit=None))
    (tmp_path / f"{source}.2.jsonl").write_text(lines([row(1, time=time)]))
    base, core = hot_core.warm(project, tmp_path, delta_store.now())
    with live.Arrivals(project, base, 0) as arrivals:
        assert len(core.step(arrivals.first()).customers) == touched
