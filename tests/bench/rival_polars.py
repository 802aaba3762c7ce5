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
    about,
    company,
    contacts,
    ends,
    events,
    evidence,
    felt,
    fields,
    journeys,
    levels,
    links,
    opinions,
    promises,
    scores,
    steps,
    write,
    write_felt,
)
from tests.bench.polars.later import Findings  # noqa: E402
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
    pl.Config.set_engine_affinity("in-memory")  # all of it: a third less CPU than streaming
    toml = tomllib.loads((folder / "rejse.toml").read_text(encoding="utf-8"))
    text = (folder / toml["key_file"]).read_text(encoding="ascii")
    key, names = events.Key.of(bytes.fromhex(text.strip())), events.Names()
    data = str(folder / "data" / "*.parquet")
    log = spent.of("events", lambda: events.read(data, key, names))
    cases = company.read_cases(folder, names.cases)
    answers = spent.of("answers", lambda: opinions.read(folder, names))
    customers = spent.of("customers", lambda: names.customers(key))
    kinds, frontier = log["journey_type"].unique(), events.frontier(data)
    known = spent.of("company", lambda: company.read(folder / "tables", kinds, frontier, cases))
    findings = _findings(spent, log, known)
    pieces = spent.of("evidence", lambda: evidence.evidence(findings))
    hazards = spent.of("hazards", lambda: scores.hazards(findings, pieces))
    scored = spent.of("scores", lambda: scores.journeys(findings, customers, pieces))
    scored = write.keyed_by_code(scored)
    named = spent.of("steps' names", lambda: write.named_steps(findings, scored))
    sessions = spent.of("sessions' names", lambda: write.named_sessions(findings, scored))
    heard = spent.of("joins of answers", lambda: _heard(answers, log, findings))
    journeys_felt = spent.of("what was felt", lambda: felt.felt(heard, scored))
    whole = Whole(
        log, customers, findings, pieces, hazards, scored, named, sessions, heard, journeys_felt
    )
    for table, frame in (write.TABLES | write_felt.TABLES).items():
        spent.of(
            f"write {table}",
            partial(_write, whole, frame, out / f"{table}.parquet"),
        )
    return spent.seconds


def _findings(spent: Spent, log: pl.DataFrame, known: company.Company) -> Findings:
    """Journeys with their steps and contacts, and what was given, promised and agreed on them."""
    threads = spent.of("threads", lambda: journeys.in_threads(log, known))
    cut = spent.of("journeys", lambda: journeys.cut(threads, known))
    sessionised = spent.of("sessions", lambda: steps.sessionised(cut))
    of_steps = spent.of("steps", lambda: steps.steps(sessionised))
    met = spent.of("contacts", lambda: contacts.contacts(sessionised))
    pairs = spent.of("pairs", lambda: contacts.pairs(met, sessionised))
    given = spent.of("fields", lambda: fields.fields(log, sessionised, of_steps, known))
    handed = spent.of("hand-offs", lambda: links.handoffs(sessionised, of_steps, given, known))
    kept = spent.of("promises", lambda: promises.promises(log, sessionised, known))
    over = spent.of("ends", lambda: ends.ends(sessionised, known))
    agreed = spent.of("levels", lambda: levels.levels(sessionised, over, known))
    return Findings(sessionised, of_steps, met, pairs, given, handed, kept, over, agreed, known)


def _heard(answers: pl.DataFrame, log: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Answers with the events they are about."""
    of_events = about.about(answers, about.Scored(log, findings.sessionised))
    heard = felt.joined(answers, of_events, findings.sessionised)
    return heard.with_columns(
        is_known=write_felt.is_known(pl.col("method"), findings.company.passed)
    )


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
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(work(arguments.folder, arguments.out)))


if __name__ == "__main__":
    main()
