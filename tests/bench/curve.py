"""What a run costs by its size and by its workers: `python -m tests.bench.curve --events 500000`.

Every run is a process of its own over the same log, complete, from nothing: with one worker, with
one for each core, then the audit alone. CPU is that of all processes, peak the largest sum of
what they hold together (proportional set size, looked at five times a second).

How many workers pay follows by Amdahl's law from two measured parts of the run with a pool: the CPU
of the process that waits for the workers is what they cannot share, theirs is what they share. The
audit is one process with threads: what it takes on all cores and its CPU give its own two parts.
What the law leaves out: the last task of a step, for which all wait, and cores that share a memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.jobs.worker_pool import n_cores
from tests.bench.bench import ROOT, Bench, machine
from tests.bench.first_result import Size

MEASURED = "tests.bench.run_rejse"
SIZES = (500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
WORKERS = (1, 2, 4, 16)
KILOBYTES = "Pss:"


@dataclass(frozen=True)
class Measured:
    """One process and its children.

    Attributes:
        wall: Seconds.
        here: CPU seconds of the process itself.
        workers: CPU seconds of its children.
        peak_mb: The most that all of them held together, megabytes.
    """

    wall: float
    here: float
    workers: float
    peak_mb: float

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return self.here + self.workers


@dataclass(frozen=True)
class Parts:
    """Seconds that workers cannot share, and CPU seconds that they share."""

    serial: float
    shared: float

    def wall(self, workers: int) -> float:
        """Seconds that so many workers take, by Amdahl's law."""
        return self.serial + self.shared / workers

    def __add__(self, other: Parts) -> Parts:
        return Parts(self.serial + other.serial, self.shared + other.shared)


def measure(*arguments: str) -> Measured:
    """Run `run_rejse` as a process. Raises SystemExit where it fails."""
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", MEASURED, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak = Peak(child.pid)
    output, errors = child.communicate()
    wall = time.monotonic() - began
    if child.returncode:
        raise SystemExit(f"{MEASURED} {' '.join(arguments)} failed:\n{errors[-4000:]}")
    cpu: dict[str, float] = json.loads(output)["cpu"]
    return Measured(wall, cpu["here"], cpu["workers"], peak.stop() / 1024)


class Peak:
    """The most memory that a process and all below it hold together, in kilobytes."""

    def __init__(self, pid: int) -> None:
        self._pid, self._most, self._ended = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """Look no more; return the most that was seen, 0 where the system does not tell."""
        self._ended.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self._most = max(self._most, sum(map(held, tree(self._pid))))


def tree(pid: int) -> list[int]:
    """Return a process and all below it that run now."""
    below = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        below += [int(child) for child in _text(children).split()]
    return [pid, *(process for child in below for process in tree(child))]


def held(pid: int) -> int:
    """Return the kilobytes that a process holds, its part of what it shares included."""
    lines = _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(KILOBYTES)), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # it has ended


def audit_parts(audit: Measured, cores: int) -> Parts:
    """Return the parts of an audit that ran on all cores.

    wall = serial + (cpu - serial) / cores.
    """
    serial = max(0.0, (cores * audit.wall - audit.cpu) / (cores - 1)) if cores > 1 else audit.wall
    return Parts(serial, audit.cpu - min(serial, audit.cpu))


class Curve:
    """One measurement: its logs, and what was found at each size."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.cores = bench, n_cores()
        self.rows: list[dict[str, Any]] = []

    def measure(self, events: int, alone: bool) -> None:
        """Measure the runs of a size and print them; `alone` leaves out the run of one worker."""
        log = self.bench.log(events)
        counts = {self.cores} if alone else {1, self.cores}
        runs = {n: self._run(log, n) for n in sorted(counts)}
        audit = measure(str(log), "--audit")
        store = vars(Size.of(log / "store"))
        pool = runs[self.cores]
        for n, run in runs.items():
            self._show(f"{n} workers" if n > 1 else "1 worker", events, run)
        self._show("audit", events, audit)
        both = Parts(pool.here, pool.workers) + audit_parts(audit, self.cores)
        walls = {n: both.wall(n) for n in WORKERS}
        self.rows.append({"events": events, "parts": vars(both), "walls": walls, "store": store})
        print(
            f"  Amdahl, audit included, {both.serial:.1f} s alone, {both.shared:.1f} s shared;"
            + ",".join(f" {n} workers {w:.1f} s ({walls[1] / w:.1f} x)" for n, w in walls.items()),
            flush=True,
        )

    def _run(self, log: Path, workers: int) -> Measured:
        shutil.rmtree(log / "store", ignore_errors=True)
        return measure(str(log), "--workers", str(workers))

    def _show(self, name: str, events: int, cost: Measured) -> None:
        self.rows.append({"name": name, "events": events, **vars(cost)})
        print(
            f"{events:>12,} {name:12}{cost.cpu:>10.1f}{cost.wall:>10.1f}"
            f"{cost.cpu / events * 1e6:>12.2f}{cost.peak_mb:>10,.0f}",
            flush=True,
        )


def main() -> None:
    """Print the curve, each line when it is measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.curve", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--pool-only", action="store_true", help="no run of one worker")
    parser.add_argument("--keep", type=Path, help="folder for logs and stores; kept")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    given = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{'events':>12} {'':12}{'CPU s':>10}{'wall s':>10}{'CPU us/event':>12}{'peak MB':>10}")
    with tempfile.TemporaryDirectory(prefix="rejse-curve-") as folder:
        bench = Bench(given.keep or Path(folder), given.seed, repeat=1)
        bench.folder.mkdir(parents=True, exist_ok=True)
        curve = Curve(bench)
        for events in sorted(set(given.events)):
            curve.measure(events, given.pool_only)
            if not given.keep:
                shutil.rmtree(bench.log(events))
    if given.json:
        report = {"machine": machine(), "rows": curve.rows}
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
