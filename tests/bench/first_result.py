"""What is paid before the first row counts: `python -m tests.bench.first_result --events 1000000`.

Commands that look at a store, the first run on eight rows, and on a store of many events a run that
finds nothing new and runs that find ten new rows, and 10,000. Each is a process of its own, the
cheapest of the repeats. Printed: CPU seconds of the process and its children, and the same in units
of i, the CPU of `import duckdb, pyarrow.parquet, deltalake` in this environment; of new rows also
the files and bytes by which the store grows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from tests.bench.bench import MEGABYTE, ROOT, machine

UNIT = "import duckdb, pyarrow.parquet, deltalake"
REJSE = ("-m", "rejse.pipelines.cli.main")
#: A run as a command of the bench: without the audit.
UNAUDITED = ("-m", "tests.bench.run_rejse")
#: Numbers of new rows, of which the first are also published without the audit.
NEW_ROWS = (10, 10_000)
FIRST_ROWS = """id,source,time,identity,activity,channel
1,crm,2025-03-01 10:00:00,c1,question,web
2,crm,2025-03-01 10:45:00,c1,answer,phone
3,crm,2025-03-04 09:00:00,c2,question,email
4,crm,2025-03-05 09:00:00,c5,question,email
5,crm,2025-03-05 09:01:00,c3,question,email
6,crm,2025-03-05 09:00:00,c4,question,web
7,crm,2025-03-06 09:00:00,c4,question,web
8,crm,2025-03-07 09:00:00,c4,question,phone
"""


@dataclass(frozen=True)
class Size:
    """Files of a folder and their bytes; a file with two names counts once."""

    files: int
    bytes: int

    @classmethod
    def of(cls, folder: Path) -> Size:
        """Measure a folder with all below it."""
        stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
        sizes = {(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}
        return cls(len(stats), sum(sizes.values()))


def python(*arguments: str) -> float:
    """Run Python with these arguments; return its CPU seconds. Raises SystemExit if it fails."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=output, stderr=output
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            raise SystemExit(
                f"{' '.join(arguments)} failed:\n{output.read().decode(errors='replace')[-4000:]}"
            )
    return used.ru_utime + used.ru_stime


class FirstResult:
    """One measurement: its folder, how often each command is repeated, and the unit of CPU."""

    def __init__(self, folder: Path, repeat: int) -> None:
        self.folder, self.repeat = folder, repeat
        self.cache = folder / "cache"
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        self.unit = min(python("-c", UNIT) for _ in range(repeat + 2))

    def show(self, name: str, *command: str, before: Callable[[], object] = lambda: None) -> None:
        """Print what a command costs at least; `before` is called before each repeat."""
        costs = []
        for _ in range(self.repeat):
            before()
            costs.append(python(*command))
        print(f"{name:36}{min(costs):8.2f}{min(costs) / self.unit:8.1f}", flush=True)

    def eight_rows(self) -> None:
        """Measure the first run in an empty folder, with the audit and without."""
        place = self.folder / "eight"
        place.mkdir()
        (place / "crm.csv").write_text(FIRST_ROWS, encoding="utf-8")
        python(*REJSE, "init", str(place / "crm.csv"), "--folder", str(place))

        def unpublished() -> None:
            shutil.rmtree(place / "store", ignore_errors=True)

        def uncached() -> None:
            unpublished()
            shutil.rmtree(self.cache, ignore_errors=True)

        run = (*REJSE, "run", "--complete", "--config", str(place))
        self.show("first run on 8 rows", *run, before=unpublished)
        self.show("  the first of this user", *run, before=uncached)
        self.show("  without the audit", *UNAUDITED, str(place), before=unpublished)

    def store(self, events: int) -> None:
        """Measure looks at a store of so many events, and runs with nothing and little new."""
        log, config = (
            self.folder / f"log-{events}",
            ("--config", str(self.folder / f"log-{events}")),
        )
        if not (log / "log.json").exists():
            python("-m", "tests.bench.log.write", str(log), "--events", str(events))
        if not (log / "store").exists():
            python(*UNAUDITED, str(log))
        self.show('sql "select 1"', *REJSE, "sql", "select 1", *config)
        self.show("status", *REJSE, "status", *config)
        run = (*REJSE, "run", "--complete", *config)
        self.show("nothing new", *run)
        arrivals = Arrivals(log)
        for rows in NEW_ROWS:
            self.show(f"{rows:,} new rows", *run, before=partial(arrivals.add, rows))
            arrivals.show_growth()
        few = partial(arrivals.add, NEW_ROWS[0])
        self.show(f"{NEW_ROWS[0]} new rows, without the audit", *UNAUDITED, str(log), before=few)


class Arrivals:
    """Rows that arrive at a log of the benchmark, and the size of its store before them."""

    def __init__(self, log: Path) -> None:
        self.log, self.size = log, Size.of(log / "store")

    def add(self, rows: int) -> None:
        """Let the last rows come again, later and under new ids; measure the store before."""
        self.size = Size.of(self.log / "store")
        data = self.log / "data"
        name = f"arrival-{len(list(data.glob('arrival-*')))}.parquet"
        with duckdb.connect() as con:
            log = f"read_parquet('{data}/*.parquet')"
            con.sql(
                f"with latest as (from {log} order by time desc, id limit {rows}),"
                f" ends as (select max(id) as id, max(time) as time from {log})"
                " select latest.* replace (ends.id + row_number() over () as id,"
                " ends.time + interval 1 second * row_number() over () as time)"
                " from latest, ends"
            ).write_parquet(str(data / name))

    def show_growth(self) -> None:
        """Print by how much the store has grown since the rows came."""
        size = Size.of(self.log / "store")
        grown = (size.bytes - self.size.bytes) / MEGABYTE**2
        print(f"  the store has grown by {grown:.2f} MB, {size.files - self.size.files} files")


def main() -> None:
    """Print each figure as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="take the cheapest of so many")
    parser.add_argument("--keep", type=Path, help="folder for the log and its store; kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rejse-first-") as folder:
        place = given.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        measured = FirstResult(place, given.repeat)
        print(", ".join(f"{name} {value}" for name, value in machine().items()))
        print(f"i = {measured.unit:.2f} CPU s: {UNIT}")
        print(f"{'':36}{'CPU s':>8}{'i':>8}")
        measured.show("--help", *REJSE, "--help")
        shutil.rmtree(place / "eight", ignore_errors=True)
        measured.eight_rows()
        measured.store(given.events)


if __name__ == "__main__":
    main()
