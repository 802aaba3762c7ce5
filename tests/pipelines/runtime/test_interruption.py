"""Signals: the work ends at its next step, nothing of it is left, and the next run does it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.store import delta_store
from tests.support.installation import installation, lines, once, row
from tests.support.processes import has_ended

#: The command line.
PROGRAM = """
import os, signal, sys, threading
from rejse.expectations import one_pass
from rejse.pipelines.cli import main
from rejse.pipelines.jobs import stage_steps
from rejse.pipelines.runtime import signals
"""
#: Its audit sends the signal, then goes on.
AUDITED = """
counted = one_pass.counted
def hit(*given):
    os.kill(os.getpid(), signal.{name})
    return counted(*given)
one_pass.counted = hit
"""
#: Its first table of a run sends the signal, then goes on.
HIT = """
process = stage_steps.Stage.process
def hit(step, scored):
    os.kill(os.getpid(), signal.{name})
    yield from process(step, scored)
stage_steps.Stage.process = hit
"""
#: Its first table of a run sends the signal, and never ends: nor does the main thread hear it, as
#: where a library blocks it.
STUCK = """
heed = signals.heed
signals.heed = lambda close: heed(close, grace=0.0)
def stuck(step, scored):
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)
    os.kill(os.getpid(), signal.{name})
    threading.Event().wait()
    yield
stage_steps.Stage.process = stuck
"""
#: Two workers, of which one sends the signal to the run; both stay at work.
POOL = """
from rejse.pipelines.jobs import local_graph, worker_pool
from tests.support import workers
os.environ.update({{workers.TARGET: str(os.getpid()), workers.NUMBER: "{number}",
                   workers.NOTE: "{note}"}})
worker_pool.n_workers = lambda rows, most: 2
local_graph.GraphWorker = workers.Signalling
"""
#: The same where the main thread does not hear it, so that the process ends at once.
DEAF_POOL = (
    POOL
    + """
heed = signals.heed
signals.heed = lambda close: heed(close, grace=0.0)
wait = worker_pool.wait
def deaf(connections):
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)
    return wait(connections)
worker_pool.wait = deaf
"""
)
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    installation(tmp_path, {"a.jsonl": lines([row(n) for n in range(4)])})
    (tmp_path / "store").mkdir()
    return tmp_path


@contextmanager
def called(place: Path, *args: str, more: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", f"{PROGRAM}{more}\nmain.main()", *args, "-c", str(place)]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def printed_lines(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """Lines of JSON."""
    out, err = process.communicate()
    assert "Traceback" not in err
    return [json.loads(line) for line in out.splitlines()]


def nothing_is_left(place: Path) -> bool:
    return delta_store.latest(place / "store") is None and not list(
        (place / "store").glob(".scratch-*")
    )


@SIGNALS
@pytest.mark.parametrize(
    "how", [HIT, STUCK, AUDITED], ids=("at its next step", "at once", "in its audit")
)
def test_a_run_at_work_ends(place: Path, number: signal.Signals, how: str) -> None:
    with called(place, "run", more=how.format(name=number.name)) as process:
        (last,) = printed_lines(process)
    assert (process.returncode, last["exit_code"]) == (128 + number, 128 + number)
    assert nothing_is_left(place)
    assert once(settings.load(place)).counts["kept"] == 4


@SIGNALS
@pytest.mark.parametrize("how", [POOL, DEAF_POOL], ids=("at its next step", "at once"))
def test_a_run_takes_its_workers_along(place: Path, number: signal.Signals, how: str) -> None:
    note = place / "worker"
    with called(place, "run", more=how.format(number=int(number), note=note)) as process:
        (last,) = printed_lines(process)
    assert (process.returncode, last["exit_code"]) == (128 + number, 128 + number)
    assert has_ended(int(note.read_text()))
    assert nothing_is_left(place)


#: A loop of runs alone, without the hot process.
LOOP = ("live", "--look-every", "0s", "--publish-every", "0s")


def test_a_loop_leaves_the_run_at_work(place: Path) -> None:
    with called(place, *LOOP, more=HIT.format(name="SIGTERM")) as process:
        assert printed_lines(process) == []
    assert process.returncode == 0
    assert nothing_is_left(place)


def test_a_loop_that_cannot_leave_its_run_is_ended(place: Path) -> None:
    with called(place, *LOOP, more=STUCK.format(name="SIGTERM")) as process:
        printed_lines(process)
    assert process.returncode in (0, 143)
    assert nothing_is_left(place)
