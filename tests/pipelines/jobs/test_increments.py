"""The law of increments: however events are split into runs, the result is that of one batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from tests.support import strategies
from tests.support.increments import Arrivals, Order, contents, with_copies
from tests.support.law import SOAK

CUSTOMERS = 30 if SOAK else 15
EVER = (-(2**62), 2**62)
#: Groups of buckets by seed (the batch has four), and what executes run by run: Beam, or here.
#: Beam every second time in the soak, else in one order of arrival.
GROUPS = (64, 1, 7)
HERE: dict[str, Any] = {"workers": 1}
BEAM = {"beam_args": ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]}
ORDERS: tuple[Order, ...] = ("in order", "locally shuffled", "wholly shuffled")
#: Orders of arrival, seeds, and into how many runs the rows are split; 20 seeds more in the soak.
IN_SOAK = [
    *((order, 1, 2) for order in ORDERS),
    ("wholly shuffled", 2, 7),
    ("wholly shuffled", 3, 2),
    ("late", 1, 5),
    ("late", 2, 9),
    *((ORDERS[1 + n % 2], n, parts) for n in range(4, 24) for parts in (1, 2, 7, 30)),
]
SPLITS = IN_SOAK if SOAK else [
    ("in order", 3, 2),
    ("locally shuffled", 1, 2),
    ("wholly shuffled", 2, 3),
    ("late", 1, 3),
]  # fmt: skip


@pytest.fixture(scope="module")
def of_batch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, list[str]]]:
    """Rows of all tables after one run over everything, by seed."""

    @cache
    def contents_of(seed: int) -> dict[str, list[str]]:
        transcript = with_copies(strategies.many_felt(seed, CUSTOMERS), seed)
        batch = Arrivals([transcript], tmp_path_factory.mktemp("batch"), 1, "in order", seed)
        batch.arrive(0)
        batch.run(is_last=True)
        return contents(batch.settings)

    return contents_of


@pytest.mark.parametrize(("order", "seed", "parts"), SPLITS)
def test_increments_are_one_batch(
    of_batch: Callable[[int], dict[str, list[str]]],
    tmp_path: Path,
    order: Order,
    seed: int,
    parts: int,
) -> None:
    transcript = with_copies(strategies.many_felt(seed, CUSTOMERS), seed)
    groups = GROUPS[seed % len(GROUPS)]
    split = Arrivals([transcript], tmp_path, parts, order, seed)
    for part in range(parts):
        split.arrive(part)
        is_beam = part % 2 == 0 and (SOAK or (order, seed) == ("wholly shuffled", 2))
        executor = BEAM if is_beam else HERE
        split.run(is_last=part == parts - 1, min_groups=groups, **executor)
    if order == "late":
        repair = RunRequest("repair", span=EVER, min_groups=groups, audit=None)
        brought = run(split.settings, repair)
        assert brought.counts["late"] < 0 < brought.counts["duplicate"]
    expected, actual = of_batch(seed), contents(split.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()


@pytest.mark.parametrize("seed", (1, 20))
def test_the_audit_accepts_whatever_arrives(tmp_path: Path, seed: int) -> None:
    """Deadlines that coincide (1), activities that start after they are logged (20)."""
    transcript = with_copies(strategies.many_felt(seed, 30), seed)
    split = Arrivals([transcript], tmp_path, 2, "in order")
    for part in range(2):
        split.arrive(part)
        assert run(split.settings, RunRequest()).findings == ()
