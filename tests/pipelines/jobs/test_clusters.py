"""A graph on runners that share no folder with its workers but the project's: Prism and Flink.

They run in a network of their own. The tables are those of the run on this machine, whatever is
killed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from rejse.pipelines.cli.exit_codes import MISUSE
from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.transforms.code_version import code_version
from tests.support import equal_stores, flink_cluster, prism_runner
from tests.support.company import company
from tests.support.flink_cluster import Cluster
from tests.support.law import SOAK
from tests.support.namespaces import hosts
from tests.support.paths import FOLDERS, ROOT

pytestmark = pytest.mark.slow
REJSE = (sys.executable, "-m", "rejse.pipelines.cli.main")
REFUSED = "rejse: expected a worker of the version that planned the graph"
#: Seconds in which a run must end, on a machine that others load.
PATIENCE = 600
#: What a run has reported when something is killed: nothing yet, rows read, events scored.
PHASES = ("", "read", "scored")
#: What is killed, and when; a killed job server ends the run, which is then started again.
KILLS = list(product(range(10), ("tasks1", "pool1", "server"), PHASES))
FEW = [(0, "tasks1", "scored")]
#: The parallelism at which many rows are tried: a sorter of Flink's takes no group of theirs as one
#: element.
MANY = 4


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made company, published on this machine."""
    return published(tmp_path_factory.mktemp("company") / "here", 300 if SOAK else 40)


def published(folder: Path, customers: int) -> Path:
    """A company made in a folder, and published on this machine."""
    company(folder, customers)
    run(settings.load(folder / "rejse.toml"), RunRequest(complete=True))
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with flink_cluster.running() as started:
        yield started


def command(project: Path, folder: Path, options: Sequence[str]) -> list[str]:
    """What publishes a copy of the project in a folder by a runner of Beam's."""
    if not folder.exists():
        shutil.copytree(project, folder, ignore=shutil.ignore_patterns("store"))
    config = str(folder / "rejse.toml")
    return [*REJSE, "run", "--complete", "--config", config, "--", *options]


def different(project: Path, folder: Path) -> list[str]:
    """The tables in which two stores differ; what runs failed is not compared."""
    compared = equal_stores.compare(project / "store", folder / "store")
    return [str(t) for t in compared if t.differences and t.table != "runs"]


def test_prism_publishes_the_same(project: Path, tmp_path: Path) -> None:
    with hosts(1) as [host]:
        done = host.run(*command(project, tmp_path / "prism", prism_runner.options()))
    assert done.returncode == 0, done.stderr[-2000:]
    assert different(project, tmp_path / "prism") == []


@pytest.mark.parametrize("parallelism", (1, 2, MANY) if SOAK else (2,))
def test_flink_publishes_the_same(
    project: Path, cluster: Cluster, tmp_path: Path, parallelism: int
) -> None:
    if parallelism == MANY:
        project = published(tmp_path / "many", 20_000)
    options = cluster.options(parallelism)
    done = cluster.hub.run(*command(project, tmp_path / "flink", options))
    assert done.returncode == 0, done.stderr[-2000:]
    assert different(project, tmp_path / "flink") == []


@pytest.mark.parametrize(("turn", "victim", "phase"), KILLS if SOAK else FEW)
def test_a_kill_changes_nothing(
    project: Path, cluster: Cluster, tmp_path: Path, turn: int, victim: str, phase: str
) -> None:
    words = command(project, tmp_path / "killed", cluster.options(2))
    with (tmp_path / "log").open("wb") as log:
        running = cluster.hub.start(*words, stdout=log, stderr=log)
        has_killed = reached(running, tmp_path / "killed" / "store", phase)
        if has_killed:
            cluster.kill(victim)
        ended = running.wait(PATIENCE)
    assert has_killed, (tmp_path / "log").read_text()[-2000:]
    has_failed = victim == "server" and bool(phase)  # at first the run does not know it yet
    assert (ended != 0) == has_failed or not phase, (tmp_path / "log").read_text()[-2000:]
    if ended:
        assert "rejse: expected " in (tmp_path / "log").read_text()  # in words, no fault of ours
        cluster.start()
        again = cluster.hub.run(*words)
        assert again.returncode == 0, again.stderr[-2000:]
    assert different(project, tmp_path / "killed") == []


if SOAK:  # Flink tries twenty times

    def test_a_worker_of_another_version_refuses(
        project: Path, cluster: Cluster, tmp_path: Path
    ) -> None:
        code = tmp_path / "other" / "rejse"
        for folder in FOLDERS:
            shutil.copytree(ROOT / folder, code / folder)
        for name in ("__init__.py", "sql/__init__.py"):
            with (code / name).open("a") as out:
                out.write("# changed\n")
        with cluster.of_other_code(code.parent):
            done = cluster.hub.run(*command(project, tmp_path / "refused", cluster.options(2)))
        [message] = [line for line in done.stderr.splitlines() if line.startswith(REFUSED)]
        assert done.returncode == MISUSE, done.stderr[-2000:]
        assert message.count("Python") == 2 and code_version() in message


def reached(running: subprocess.Popen[bytes], store: Path, phase: str) -> bool:
    """Whether a run came to a phase before it ended."""
    while running.poll() is None:
        for progress in store.glob(".scratch-*/progress-*" if phase else ".scratch-*"):
            if not phase or phase in progress.read_text():
                return True
        time.sleep(0.01)
    return False
