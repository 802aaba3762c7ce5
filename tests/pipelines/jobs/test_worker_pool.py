"""A pool of workers: what they return, how they fail, and that none outlives its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs import local_graph, worker_pool
from rejse.pipelines.jobs.worker_pool import Pool, WorkerDiedError
from rejse.pipelines.store import delta_store
from rejse.transforms.errors import MisuseError
from tests.support.installation import installation, lines, once, row
from tests.support.processes import has_ended
from tests.support.workers import Adding, Dying


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(Adding(100), 2) as pool:
        yield pool


def test_tasks_are_divided_and_every_worker_has_its_own_copy(pool: Pool) -> None:
    assert sorted(pool.map("add", [(n,) for n in range(10)])) == list(range(10))
    pids, totals = zip(*pool.broadcast("result"), strict=True)
    assert sum(totals) == 2 * 100 + 45
    assert len({*pids, os.getpid()}) == 3
    assert pool.map("add", []) == []
    assert pool.broadcast("threads") == ["1", "1"]


def test_an_exception_comes_as_it_was_raised(pool: Pool) -> None:
    with pytest.raises(MisuseError, match="expected a number, came a word") as raised:
        pool.broadcast("refuse")
    assert "in refuse" in raised.value.__notes__[0], "where in the worker"


def test_an_exception_that_cannot_travel_comes_in_words(pool: Pool) -> None:
    with pytest.raises(WorkerDiedError, match="TwoArgumentsError in a worker: this and that"):
        pool.map("refuse_oddly", [()])


@pytest.mark.parametrize(
    ("method", "argument", "words"),
    [
        ("die", signal.SIGKILL, r"signal 9 \(SIGKILL\); nothing was published; where memory ran"),
        ("die", signal.SIGSEGV, r"signal 11 \(SIGSEGV\); nothing was published$"),
        ("leave", 3, "ended with exit code 3"),
    ],
)
def test_a_worker_that_dies_is_an_error(pool: Pool, method: str, argument: int, words: str) -> None:
    pids = [pid for pid, _ in pool.broadcast("result")]
    with pytest.raises(WorkerDiedError, match=words):
        pool.map(method, [(argument,)])
    pool.kill()
    assert all(map(has_ended, pids))


def test_no_worker_is_left_by_a_pool_that_has_ended() -> None:
    with Pool(Adding(0), 3) as pool:
        pids = [pid for pid, _ in pool.broadcast("result")]
    assert all(map(has_ended, pids))


HOLDS_A_POOL = """
import threading
from rejse.pipelines.jobs.worker_pool import Pool
from tests.support.workers import Adding
with Pool(Adding(0), 2) as pool:
    print(*[pid for pid, _ in pool.broadcast("result")], flush=True)
    threading.Event().wait()
"""


def test_no_worker_outlives_the_process_that_wants_its_work() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_POOL], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
        process.wait()
        assert len(pids) == 2
        assert all(map(has_ended, pids))


@pytest.mark.parametrize(
    ("rows", "most", "n"),
    [(0, None, 1), (199_999, 8, 1), (200_000, 8, 2), (10**7, 8, 8), (10**7, 1, 1), (0, 8, 1)],
)
def test_a_small_batch_takes_one_worker(rows: int, most: int | None, n: int) -> None:
    assert worker_pool.n_workers(rows, most) == n


def test_as_many_workers_as_cores_where_nothing_is_said() -> None:
    assert worker_pool.n_workers(10**9, None) == worker_pool.n_cores()


def test_a_run_whose_worker_dies_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    installed = installation(tmp_path, {"a.jsonl": lines([row(n) for n in range(4)])})

    def two(rows: int, most: int | None) -> Any:
        return 2

    with monkeypatch.context() as patch:
        patch.setattr(worker_pool, "n_workers", two)
        patch.setattr(local_graph, "GraphWorker", Dying)
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            once(installed)
    assert delta_store.latest(installed.store) is None
    assert not list(installed.store.glob(".scratch-*"))
    assert once(installed).counts["kept"] == 4
