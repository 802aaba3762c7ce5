"""The benchmark: the same work by rejse, by tuned DuckDB SQL and Polars.

`python -m tests.bench.bench --events 1000000 10000000`. Every program is a process of its own over
the same Parquet files; `WORK.md` says what is compared. CPU is user + system seconds of the
process and its children, peak the largest single process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
PROGRAMS = ("rejse", "duckdb", "polars")
RIVALS = ("duckdb", "polars")
MEASURED = ("apache-beam", "duckdb", "numpy", "polars", "pyarrow")
MEGABYTE = 1024.0  # ru_maxrss counts kilobytes


@dataclass(frozen=True)
class Cost:
    """What one program cost; `peak_mb` is that of its largest process."""

    program: str
    events: int
    cpu: float
    wall: float
    peak_mb: float

    @property
    def events_a_cpu_second(self) -> float:
        """Events for each second of CPU."""
        return self.events / self.cpu


class Bench:
    """One benchmark: where its files lie, what it found, and how it tells its progress."""

    def __init__(self, folder: Path, seed: int, repeat: int) -> None:
        self.folder, self.seed, self.repeat = folder, seed, repeat
        self.costs: list[Cost] = []
        self.answers: dict[str, list[str]] = {}
        self.headlines: dict[int, dict[str, float]] = {}
        self.console = Console()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what is going on, on a terminal only."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(what):
            yield

    def log(self, events: int) -> Path:
        """Folder with a log of so many events, with all that belongs to them, written once."""
        folder = self.folder / f"log-{events}"
        return self._written(folder, events, "tests.bench.log.write", done="log.json")

    def _written(self, folder: Path, events: int, module: str, done: str) -> Path:
        if not (folder / done).exists():
            with self.doing(f"writing a log of {events:,} events"):
                cost = measure("data", events, module, str(folder), "--events", str(events),
                               "--seed", str(self.seed))  # fmt: skip
            self.console.print(f"{folder.name} written in {cost.wall:.1f} s")
        return folder

    def cost(self, program: str, events: int, *command: str, fresh: Path) -> None:
        """Measure a program, the cheapest of the repeats; `fresh` is removed before each."""
        measured = []
        for _ in range(self.repeat):
            shutil.rmtree(fresh, ignore_errors=True)
            with self.doing(f"{program}: {events:,} events"):
                measured.append(measure(program, events, *command))
        self.costs.append(min(measured, key=lambda cost: cost.cpu))

    def rejse(self, events: int) -> None:
        """`rejse run` without the audit, then the audit alone."""
        folder = self.log(events)
        module = "tests.bench.run_rejse"
        self.cost("rejse", events, module, str(folder), fresh=folder / "store")
        self.cost(
            "rejse audit", events, module, str(folder), "--audit", fresh=folder / "store" / "audits"
        )

    def duckdb(self, events: int) -> None:
        """The same work as DuckDB SQL."""
        folder, out = self.log(events), self.folder / f"duckdb-{events}"
        self.cost("duckdb", events, "tests.bench.rival_duckdb", str(folder), str(out), fresh=out)

    def polars(self, events: int) -> None:
        """The same work as Polars expressions."""
        folder, out = self.log(events), self.folder / f"polars-{events}"
        self.cost("polars", events, "tests.bench.rival_polars", str(folder), str(out), fresh=out)

    def check(self, events: int, programs: list[str]) -> None:
        """Compare what these programs found: each rival with rejse, and the rivals' columns."""
        from tests.bench import check

        with self.doing(f"comparing answers at {events:,} events"):
            rivals = [
                check.of_rival(name, self.folder / f"{name}-{events}")
                for name in programs
                if name in RIVALS
            ]
            if "rejse" in programs:
                mine = check.of_rejse(self.folder / f"log-{events}" / "store")
                for theirs in rivals:
                    comparison = f"rejse and {theirs.name} at {events:,} events"
                    self.answers[comparison] = check.differences(mine, theirs)
            if len(rivals) == len(RIVALS):
                self.answers[f"the rivals' columns at {events:,} events"] = check.lacking(*rivals)
            if rivals:
                self.headlines[events] = check.headlines(rivals[0])

    def of(self, program: str, events: int) -> Cost | None:
        """Cost of a program at a size, if it was measured."""
        return next((c for c in self.costs if (c.program, c.events) == (program, events)), None)

    def marginal(self, program: str) -> float | None:
        """CPU seconds of one more event, between the smallest and the largest size."""
        sizes = sorted((c for c in self.costs if c.program == program), key=lambda c: c.events)
        if len(sizes) < 2:
            return None
        return (sizes[-1].cpu - sizes[0].cpu) / (sizes[-1].events - sizes[0].events)


def measure(program: str, events: int, module: str, *arguments: str) -> Cost:
    """Run a module as a process and wait for it. Raises SystemExit where it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=output, stderr=output
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            raise SystemExit(f"{program} failed:\n{output.read().decode(errors='replace')[-4000:]}")
    wall = time.monotonic() - began
    return Cost(program, events, used.ru_utime + used.ru_stime, wall, used.ru_maxrss / MEGABYTE)


def machine() -> dict[str, Any]:
    """Size of this machine and versions of what is measured."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages * size / 2**30, 1),
        "processor": platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in MEASURED},
    }


def ratios(bench: Bench) -> dict[str, float]:
    """What the goals are stated in: parts of a rival's CPU, multiples at the margin."""
    quotients = {}
    for events in sorted({c.events for c in bench.costs}):
        for rival in RIVALS:
            mine, theirs = bench.of("rejse", events), bench.of(rival, events)
            if mine and theirs:
                quotients[f"rejse / {rival}, CPU at {events:,} events"] = mine.cpu / theirs.cpu
                quotients[f"rejse / {rival}, peak memory at {events:,} events"] = (
                    mine.peak_mb / theirs.peak_mb
                )
    return quotients


def show(bench: Bench) -> None:
    """Print what was found, as tables."""
    console, size = bench.console, machine()
    console.print(", ".join(f"{name} {value}" for name, value in size.items()))
    table = Table("program", "events", "CPU s", "wall s", "peak MB", "events / CPU s")
    for column in table.columns[1:]:
        column.justify = "right"
    for cost in bench.costs:
        table.add_row(
            cost.program, f"{cost.events:,}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}",
            f"{cost.peak_mb:,.0f}", f"{cost.events_a_cpu_second:,.0f}",
        )  # fmt: skip
    console.print(table)
    for program in PROGRAMS:
        margin = bench.marginal(program)
        if margin:
            console.print(f"{program}: {margin * 1e6:,.2f} CPU seconds for a million more events")
    for name, value in ratios(bench).items():
        console.print(f"{name}: {value:,.2f}")
    for comparison, differences in bench.answers.items():
        console.print(f"{comparison}: {'same answers' if not differences else ''}")
        for line in differences:
            console.print(f"  [red]differs[/red] {line}")


def as_json(bench: Bench) -> dict[str, Any]:
    """All that was found, for a file."""
    return {
        "machine": machine(),
        "costs": [asdict(c) for c in bench.costs],
        "ratios": ratios(bench),
        "headlines": bench.headlines,
        "differences": [line for differences in bench.answers.values() for line in differences],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000], metavar="N")
    parser.add_argument("--only", default=",".join(PROGRAMS), help="of " + ",".join(PROGRAMS))
    parser.add_argument("--keep", type=Path, help="folder for logs and results; kept")
    parser.add_argument("--repeat", type=int, default=1, help="take the cheapest of so many")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    arguments = parser.parse_args()
    arguments.only = [name for name in arguments.only.split(",") if name]
    strange = set(arguments.only) - set(PROGRAMS)
    if strange or min(arguments.events) < 1 or arguments.repeat < 1:
        parser.error(f"expected programs of {PROGRAMS} and counts of 1 or more, came {sys.argv}")
    return arguments


def run(bench: Bench, sizes: list[int], only: list[str]) -> None:
    """Measure the chosen programs at every size, then compare their answers."""
    for events in sorted(set(sizes)):
        programs = [name for name in PROGRAMS if name in only]
        for name in programs:
            getattr(bench, name)(events)
        bench.check(events, programs)


def main() -> None:
    """Run the benchmark; exits 1 where the answers differ."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="rejse-bench-") as folder:
        bench = Bench(arguments.keep or Path(folder), arguments.seed, arguments.repeat)
        bench.folder.mkdir(parents=True, exist_ok=True)
        run(bench, arguments.events, arguments.only)
    show(bench)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(bench), indent=1) + "\n", encoding="utf-8")
    if any(bench.answers.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
