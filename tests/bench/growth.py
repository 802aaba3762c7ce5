"""What an increment costs while the store grows: `python -m tests.bench.growth --events 2000000`.

A log, cut by time into as many parts as there are increments; a run, a process of its own, follows
each. With `--generations` the log comes as often, years later and of other people each time: most
of a store that has run for years is of people who are not seen any more. Small files are joined
every so many runs, as `rejse live` does. Printed for each, when it is done: rows and customers that
came, rows that lay in the store before, CPU, wall, peak, and how many files the publication names.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import duckdb

from rejse.pipelines.maintenance import compact, vacuum
from rejse.pipelines.store import delta_store as storage
from tests.bench.bench import ROOT, measure
from tests.bench.log.write import write

TIMES = {"": "time", "cases": "opened_at", "surveys": "time"}
PEOPLE = {"": "identity", "cases": "customer_no", "surveys": "customer_no"}
#: What a generation's names are told apart by, and all its times, which go on by so many years.
NAMES = {
    "": ("identity", "visit", "case_no", "promise_no"),
    "cases": ("case_no", "customer_no"),
    "surveys": ("answer_no", "customer_no", "case_no", "visit"),
}
LATER = {
    "": ("time", "promise_due"),
    "cases": ("opened_at",),
    "surveys": ("time", "invited_at", "responded_at", "acted_at"),
}
COLUMNS = (
    ("increment", 9), ("rows", 11), ("customers", 10), ("in the store", 13), ("CPU s", 8),
    ("wall s", 8), ("peak MB", 8), ("files", 6),
)  # fmt: skip


def cut(data: Path, aside: Path, parts: int) -> list[tuple[int, int]]:
    """Lay each source's rows aside in `parts` files by time; rows and customers of each part."""
    counts = []
    with duckdb.connect() as con:
        con.execute("set enable_progress_bar = false")
        for name in TIMES:
            files = f"read_parquet('{data / name}/*.parquet')"
            con.execute(f'create view "{name or "events"}" as from {files}')
        shares = [part / parts for part in range(1, parts)]
        quantiles = con.execute("select quantile_disc(time, ?) from events", [shares]).fetchall()
        edges = ["-infinity", *map(str, quantiles[0][0] if shares else ()), "infinity"]
        for part, (since, until) in enumerate(pairwise(edges), start=1):
            rows, people = 0, set()
            for name, time in TIMES.items():
                (aside / name).mkdir(parents=True, exist_ok=True)
                between = f"{time} >= timestamptz '{since}' and {time} < timestamptz '{until}'"
                these = con.sql(f'from "{name or "events"}" where {between}')
                these.write_parquet(str(aside / name / f"{part:03d}.parquet"))
                rows += len(these)
                people |= {row[0] for row in these.select(PEOPLE[name]).distinct().fetchall()}
            counts.append((rows, len(people)))
    return counts


def renamed(data: Path, out: Path, generation: int) -> None:
    """Write the log again for a generation, with its own names and the years that are its own."""
    with duckdb.connect() as con:
        con.execute("set enable_progress_bar = false")
        con.execute("set preserve_insertion_order = false")
        for name, columns in NAMES.items():
            own = [f"'g{generation}-' || {column} as {column}" for column in columns]
            own += [f"{column} + interval {generation} year as {column}" for column in LATER[name]]
            if not name:
                own.append(f"id + {generation} * 1000000000000 as id")
            if name == "surveys":  # some targets name an event or a visit
                own.append(_target(generation))
            (out / name).mkdir(parents=True)
            for path in sorted((data / name).glob("*.parquet")):
                relation = con.sql(f"select * replace ({', '.join(own)}) from '{path}'")
                relation.write_parquet(str(out / name / path.name))


def _target(generation: int) -> str:
    offset = f"{generation} * 1000000000000"
    return f"""case
        when target like 'events/%' then 'events/' || (target[8:]::bigint + {offset})
        when regexp_full_match(target, '[0-9]+') then (target::bigint + {offset})::varchar
        when target = visit or regexp_full_match(target, 'V[0-9]+-.*')
            then 'g{generation}-' || target
        else target
    end as target"""


def generations(
    place: Path, events: int, parts: int, count: int, apart: Executor
) -> Iterator[tuple[int, int]]:
    """Let a part of a log arrive, the generations one after the other; its rows and customers."""
    log, first, data = place / "log", place / "first", place / "data"
    apart.submit(write, log, events // count).result()
    (log / "data").rename(first)
    for name in TIMES:
        (log / "data" / name).mkdir(parents=True, exist_ok=True)
    for generation in range(count):
        apart.submit(renamed, first, data, generation).result()
        told_of = apart.submit(cut, data, place / "aside", parts // count).result()
        for part, counts in enumerate(told_of, start=1):
            for name in TIMES:
                mine = place / "aside" / name / f"{part:03d}.parquet"
                shutil.move(mine, log / "data" / name / f"{generation:03d}-{mine.name}")
            yield counts
        shutil.rmtree(data)


def grow(place: Path, arriving: Iterator[tuple[int, int]], care: int, apart: Executor) -> None:
    """Run after each part, and print what it cost."""
    stored, store = 0, place / "log" / "store"
    for number, (rows, people) in enumerate(arriving, start=1):
        cost = measure("rejse", rows, "tests.bench.run_rejse", str(place / "log"))
        now = storage.latest(store)
        assert now is not None
        files = sum(len(storage.files(store, name, at)) for name, at in now.versions.items())
        cells = (
            f"{number}", f"{rows:,}", f"{people:,}", f"{stored:,}", f"{cost.cpu:.1f}",
            f"{cost.wall:.1f}", f"{cost.peak_mb:.0f}", f"{files:,}",
        )  # fmt: skip
        print(
            *(cell.rjust(wide) for cell, (_, wide) in zip(cells, COLUMNS, strict=True)), flush=True
        )
        stored += rows
        if number % care == 0:
            apart.submit(cared_for, store).result()


def cared_for(store: Path) -> None:
    """Join small files; what only earlier publications need goes."""
    compact.compact(store)
    vacuum.vacuum(store, 0, storage.now(), dry_run=False)


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--increments", type=int, default=100)
    parser.add_argument("--generations", type=int, default=1, help="logs of other people")
    parser.add_argument("--care", type=int, default=20, help="runs between two compactions")
    arguments = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    print(*(name.rjust(wide) for name, wide in COLUMNS))
    # A child's peak begins with what its parent holds, so that this process must stay small.
    with (
        tempfile.TemporaryDirectory(dir=ROOT / "build") as place,
        ProcessPoolExecutor(1, get_context("spawn")) as apart,
    ):
        arriving = generations(
            Path(place), arguments.events, arguments.increments, arguments.generations, apart
        )
        grow(Path(place), arriving, arguments.care, apart)


if __name__ == "__main__":
    main()
