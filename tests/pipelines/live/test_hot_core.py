"""The hot core holds what the bounded run would publish: the law, over arrivals in any split."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.live import hot_core
from rejse.pipelines.publication import overlay
from rejse.pipelines.sources import files
from rejse.pipelines.sources.files import Shard
from rejse.pipelines.store import delta_store
from tests.support import strategies
from tests.support.increments import Arrivals, Order, contents, contents_of, with_copies
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
