"""The same work as `rejse run`, in Polars: `python -m tests.bench.rival_polars FOLDER OUT`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

THREADS = "2"
os.environ.setdefault("POLARS_MAX_THREADS", THREADS)  # polars reads it when it is imported

import polars as pl  # noqa: E402

from tests.bench.polars import (  # noqa: E402
    company,
    contacts,
    events,
    evidence,
    fields,
    journeys,
    links,
    promises,
    scores,
    steps,
    write,
)
from tests.bench.polars.later import Found  # noqa: E402
from tests.bench.polars.write import Whole  # noqa: E402

T = TypeVar("T")
#: As rejse writes its files.
LEVEL = 1


class Spent:
    """CPU seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._before = _cpu()

    def of(self, part: str, work: Callable[[], T]) -> T:
        """Do it and note what it cost."""
        done = work()
        self.seconds[part] = round(_cpu() - self._before, 3)
        self._before = _cpu()
        return done


def work(folder: Path, out: Path) -> dict[str, float]:
    """Compute and write all tables; CPU seconds of each part."""
    spent = Spent()
    toml = tomllib.loads((folder / "rejse.toml").read_text(encoding="utf-8"))
    text = (folder / toml["key_file"]).read_text(encoding="ascii")
    data, key = str(folder / "data" / "*.parquet"), events.Key.of(bytes.fromhex(text.strip()))
    pl.Config.set_engine_affinity("in-memory")  # all of it: a third less CPU than streaming
    log, customers = spent.of("events", lambda: events.read(data, key))
    kinds, frontier = log["journey_type"].unique(), events.frontier(data)
    known = spent.of("company", lambda: company.read(folder / "tables", kinds, frontier))
    threads = spent.of("threads", lambda: journeys.in_threads(log, known))
    cut = spent.of("journeys", lambda: journeys.cut(threads, known))
    told = spent.of("sessions", lambda: steps.told(cut))
    of_steps = spent.of("steps", lambda: steps.steps(told))
    met = spent.of("contacts", lambda: contacts.contacts(told))
    pairs = spent.of("pairs", lambda: contacts.pairs(met, told))
    said = spent.of("fields", lambda: fields.fields(log, told, of_steps, known))
    handed = spent.of("hand-offs", lambda: links.handoffs(told, of_steps, said, known))
    kept = spent.of("promises", lambda: promises.promises(log, told, known))
    found = Found(told, of_steps, met, pairs, said, handed, kept, known)
    pieces = spent.of("evidence", lambda: evidence.evidence(found))
    hazards = spent.of("hazards", lambda: scores.hazards(found, pieces))
    scored = spent.of("scores", lambda: scores.journeys(found, customers, pieces))
    scored = write.keyed_by_code(scored)
    named = spent.of("steps' names", lambda: write.named_steps(found, scored))
    sessions = spent.of("sessions' names", lambda: write.named_sessions(found, scored))
    whole = Whole(log, customers, found, pieces, hazards, scored, named, sessions)
    for table, frame in write.TABLES.items():
        spent.of(
            f"write {table}",
            partial(_write, whole, frame, out / f"{table}.parquet"),
        )
    return spent.seconds


def _write(whole: Whole, table: Callable[[Whole], pl.LazyFrame], file: Path) -> None:
    # Streaming into the file takes more than twice the CPU of collecting in memory.
    table(whole).collect().write_parquet(file, compression="zstd", compression_level=LEVEL)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Compute and write; prints the CPU seconds of each part as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(work(said.folder, said.out)))


if __name__ == "__main__":
    main()
