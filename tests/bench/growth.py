"""What an increment costs while the store grows: `python -m tests.bench.growth --events 2000000`.

One log, cut by time into as many parts as there are increments; a run, a process of its own,
follows each. Small files are joined every so many runs, as `rejse live` does. Printed for each:
rows and customers that came, rows that lay in the store before, CPU, wall, peak, and how many files
the publication names.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from rejse.pipelines import compaction, settings
from rejse.pipelines import store as storage
from tests.bench.bench import ROOT, Cost, measure
from tests.bench.log.write import write

TIMES = {"": "time", "cases": "opened_at", "surveys": "time"}
PEOPLE = {"": "identity", "cases": "customer_no", "surveys": "customer_no"}
COLUMNS = ("increment", "rows", "customers", "in the store", "CPU s", "wall s", "peak MB", "files")


def cut(folder: Path, parts: int) -> list[tuple[int, int]]:
    """Lay each source's rows aside in `parts` files by time; rows and customers of each part."""
    aside, told = folder / "aside", []
    with duckdb.connect() as con:
        for name, time in TIMES.items():
            con.execute(
                f'create view "{name or "events"}" as select *, ntile({parts}) over (order by'
                f" {time}) as part from read_parquet('{folder / 'data' / name}/*.parquet')"
            )
        edges = "(select part, max(time) as until from events group by 1)"
        for part in range(1, parts + 1):
            rows, people = 0, set()
            for name, time in TIMES.items():
                (aside / name).mkdir(parents=True, exist_ok=True)
                between = (
                    f"{time} > coalesce((select until from {edges} where part = {part - 1}),"
                    f" '-infinity') and ({part} = {parts} or"
                    f" {time} <= (select until from {edges} where part = {part}))"
                )
                found = con.sql(
                    f'select * exclude (part) from "{name or "events"}" where {between}'
                )
                found.write_parquet(str(aside / name / f"{part:03d}.parquet"))
                rows += len(found)
                people |= {row[0] for row in found.select(PEOPLE[name]).distinct().fetchall()}
            told.append((rows, len(people)))
    for name in TIMES:
        for path in (folder / "data" / name).glob("*.parquet"):
            path.unlink()
    return told


def grow(folder: Path, parts: int, care: int) -> list[tuple[Cost, int, int, int, int]]:
    """Run after each part: cost, rows, customers, events stored before, files."""
    told, stored, out = cut(folder, parts), 0, []
    store = settings.load(folder / "rejse.toml").store
    for part, (rows, people) in enumerate(told, start=1):
        for name in TIMES:
            shutil.move(folder / "aside" / name / f"{part:03d}.parquet", folder / "data" / name)
        cost = measure("rejse", rows, "tests.bench.run_rejse", str(folder))
        now = storage.latest(store)
        assert now is not None
        files = sum(len(storage.files(store, name, at)) for name, at in now.versions.items())
        out.append((cost, rows, people, stored, files))
        stored += rows
        if part % care == 0:
            compaction.compact(store)
    return out


def main() -> None:
    """Print the curve: some of the increments, and the means of the first and the last tenth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--increments", type=int, default=100)
    parser.add_argument("--care", type=int, default=20, help="runs between two compactions")
    said = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as place:
        write(Path(place) / "log", said.events)
        found = grow(Path(place) / "log", said.increments, said.care)
    table, every = Table(*COLUMNS, box=None), max(1, said.increments // 20)
    for number, (cost, rows, people, stored, files) in enumerate(found, start=1):
        if number % every == 0 or number == 1:
            table.add_row(
                str(number), f"{rows:,}", f"{people:,}", f"{stored:,}", f"{cost.cpu:.1f}",
                f"{cost.wall:.1f}", f"{cost.peak_mb:.0f}", f"{files:,}",
            )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
