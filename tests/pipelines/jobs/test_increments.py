"""The law of increments: however events are split into runs, the result is that of one batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from tests.support import strategies
from tests.support.increments import Arrivals, Order, contents, with_copies
from tests.support.law import SOAK

CUSTOMERS = 30
EVER = (-(2**62), 2**62)
#: Groups of buckets by seed (the batch has four), and what executes run by run: here, or Beam.
GROUPS = (64, 1, 7)
EXECUTORS: tuple[dict[str, Any], ...] = (
    {"beam_args": ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]},
    {"workers": 1},
)
ORDERS: tuple[Order, ...] = ("in order", "locally shuffled", "wholly shuffled")
#: Orders of arrival, seeds, and into how many runs the rows are split; 20 seeds more in the soak.
SPLITS = [
    *((order, 1, 2) for order in ORDERS),
    ("wholly shuffled", 2, 7 if SOAK else 4),
    ("wholly shuffled", 3, 2),
    ("late", 1, 5),
    ("late", 2, 9 if SOAK else 3),
    *(
        (ORDERS[1 + seed % 2], seed, parts)
        for seed in range(4, 24 if SOAK else 4)
        for parts in (1, 2, 7, 30)
    ),
]


@pytest.mark.parametrize(("order", "seed", "parts"), SPLITS)
def test_increments_are_one_batch(tmp_path: Path, order: Order, seed: int, parts: int) -> None:
    transcript = with_copies(strategies.many_felt(seed, CUSTOMERS), seed)
    (tmp_path / "batch").mkdir()
    (tmp_path / "parts").mkdir()
    batch = Arrivals([transcript], tmp_path / "batch", 1, order, seed)
    batch.arrive(0)
    batch.run(is_last=True)
    groups = GROUPS[seed % len(GROUPS)]
    split = Arrivals([transcript], tmp_path / "parts", parts, order, seed)
    for part in range(parts):
        split.arrive(part)
        executor = EXECUTORS[part % len(EXECUTORS)]
        split.run(is_last=part == parts - 1, min_groups=groups, **executor)
    if order == "late":
        repair = RunRequest("repair", span=EVER, min_groups=groups, audit=None)
        brought = run(split.settings, repair)
        assert brought.counts["late"] < 0 < brought.counts["duplicate"]
    expected, actual = contents(batch.settings), contents(split.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()
