"""Hot core, runs and broker are killed at any moment: in the end all is as if nothing had been.

`rejse live` reads topics of a broker while messages arrive, and is killed, or its hot core, or the
broker. Nothing is lost and nothing doubled, in the tables and in the archive.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq
import pytest

from rejse.pipelines.publication import overlay
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.sources.kafka import archive_folder
from tests.support import kafka_broker, strategies
from tests.support.increments import Arrivals, contents, with_copies
from tests.support.kafka_topics import MessageArrivals, Topics
from tests.support.law import SOAK

#: One of each in the usual sample.
VICTIMS = ("hot core", "run", "broker")
KILLS = int(os.environ.get("REJSE_KILLS", 200 if SOAK else len(VICTIMS)))
SEED, PARTITIONS, CUSTOMERS = 20, 3, 30 if SOAK else 10
#: Seconds between two kills at most: a start takes about two, a publication one.
LONGEST = 6.0 if SOAK else 3.0
#: Seconds in which all must be seen in the end, on a machine that others load.
PATIENCE = 300
LIVE = ("live", "--publish-every", "200ms" if SOAK else "1s", "--look-every", "50ms", "--config")


class Service:
    """`rejse live` in a process of its own."""

    def __init__(self, config: Path, log: IO[bytes]) -> None:
        self._command = [sys.executable, "-m", "rejse.pipelines.cli.main", *LIVE, str(config)]
        self._log = log
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def lives(self, seconds: float) -> bool:
        """Whether it still runs after so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_hot_core(self) -> bool:
        """Kill the process of the hot core; False where it does not run yet."""
        for pid in _children(self.process.pid):
            if b"hot_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return True
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def live(folder: Path) -> Iterator[Service]:
    with (folder / "live.log").open("ab") as log:
        service = Service(folder / "rejse.toml", log)
        try:
            yield service
        finally:
            service.process.terminate()
            service.process.wait(60)


def test_kills_at_any_moment_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The audit looks at every publication, and refuses some of what the rich generator makes up.
    transcript = with_copies(strategies.many(SEED, CUSTOMERS, rich=False), SEED)
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    files = Arrivals([transcript], tmp_path / "undisturbed", 1, "wholly shuffled", SEED)
    files.arrive(0)
    files.run(is_last=True)
    expected = contents(files.settings)

    chance, done, started = random.Random(SEED), Counter[str](), time.monotonic()
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(KILLS)]
    chance.shuffle(victims)
    with kafka_broker.running() as broker:
        read = MessageArrivals(
            Topics(broker.servers), PARTITIONS, [transcript], tmp_path / "killed", KILLS + 1,
            "wholly shuffled", SEED,
        )  # fmt: skip
        read.arrive(0)
        read.run(is_last=False)
        store = read.settings.store
        with live(tmp_path / "killed") as service:
            for number, victim in enumerate(victims, 1):
                read.arrive(number)
                assert service.lives(chance.uniform(0, LONGEST)), _log(tmp_path)
                if victim == "broker":
                    broker.stop()
                    assert service.lives(chance.uniform(0, 1)), _log(tmp_path)
                    broker.start()
                elif victim == "run":
                    service.kill()
                    service.start()
                else:
                    while not service.kill_hot_core():
                        assert service.lives(0.1), _log(tmp_path)
                done[victim] += 1
            seen, end = 0, time.monotonic() + PATIENCE
            while seen < len(expected["events"]) and time.monotonic() < end:
                assert service.lives(0.2), _log(tmp_path)
                with overlay.connect(store) as con:
                    ((seen,),) = con.execute("select count(*) from events").fetchall()
            assert seen == len(expected["events"])
        read.run(is_last=True)
        actual = contents(read.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()
    paths = archive_folder.files(store)
    assert {*(store / "archive").iterdir()} == {*paths}
    kept = Counter(
        place
        for path in paths
        for place in zip(
            *pq.read_table(path, columns=["topic_id", "partition", "offset"]).to_pydict().values(),
            strict=True,
        )
    )
    assert (len(kept), kept.total()) == (read.n_messages(), read.n_messages())
    with connect(store) as con:
        runs = con.execute("select status, count(*) from runs group by 1 order by 1").fetchall()
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n{KILLS} kills in {seconds:.0f} s: {dict(done)}; runs: {dict(runs)}; all equal")


def _log(folder: Path) -> str:
    return (folder / "killed" / "live.log").read_text(encoding="utf-8")[-4000:]
