"""Transcripts in parts: rows arrive in several files, and a run follows each."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication.catalogue import connect
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.published_tables import TABLES
from rejse.transforms.scoring.output_tables import STAMP
from tests.support import bounded, builders, transcript_links
from tests.support.transcript import Transcript, links_of

Order = Literal["in order", "locally shuffled", "wholly shuffled", "late"]
#: Days by which rows may come too late in each order of arrival, and as the sources are told to.
DISORDER: Mapping[Order, int] = {
    "in order": 0, "locally shuffled": 3, "wholly shuffled": 3000, "late": 0,
}  # fmt: skip
STAMPS = ", ".join(column.name for column in STAMP)


class Arrivals:
    """Transcripts that share settings, on disk: their rows arrive part by part."""

    def __init__(
        self,
        transcripts: Sequence[Transcript],
        folder: Path,
        parts: int,
        order: Order,
        seed: int = 1,
    ) -> None:
        self._transcripts, self._folder, self.parts = transcripts, folder, parts
        self._frontiers = transcripts[0].frontiers
        self._chance, self._order = random.Random(seed), order
        self._lines = self._written(parts)
        (folder / "arrived").mkdir()
        for source in self._lines:
            (folder / "arrived" / f"none.{source}.jsonl").touch()
        self.settings: Settings = load(folder / "rejse.toml")

    def _written(self, parts: int) -> dict[str, list[list[str]]]:
        """Lines of each source by part; the configuration beside them."""
        sources, folder = bounded.write(self._transcripts, self._folder), self._folder
        self._adapt(self._frontiers)
        times = sorted(self._time(line) for source in sources for line in lines_of(folder, source))
        self._links = [(self._known(link, times), link) for link in links_of(self._transcripts)]
        return {source: self._parted(source, times, parts) for source in sources}

    def _known(self, link: Mapping[str, Any], times: Sequence[int]) -> int:
        """The part from which on a link is known: as an event of the time when it begins."""
        begins = builders.micros(builders.moment(link["from"])) if "from" in link else 0
        return max(0, min(self.parts - 1, self._part(begins, times, self.parts)))

    def _adapt(self, sources: Mapping[str, int]) -> None:
        """Files are looked for where they arrive, and sources may be as late as they are here."""
        path = self._folder / "rejse.toml"
        text = path.read_text(encoding="utf-8").replace('files = ["', 'files = ["arrived/*.')
        for source in sources:
            section = f'[sources.{source}]\ndisorder = "{DISORDER[self._order]}d"'
            text = text.replace(f"[sources.{source}]", section)
        path.write_text(text, encoding="utf-8")

    @staticmethod
    def _time(line: str) -> int:
        """When a row happened, microseconds."""
        return builders.micros(builders.moment(json.loads(line)["time"]))

    def _parted(self, source: str, times: Sequence[int], parts: int) -> list[list[str]]:
        out: list[list[str]] = [[] for _ in range(parts)]
        for line in lines_of(self._folder, source):
            out[self._part(self._time(line), times, parts)].append(line)
        return out

    def _part(self, time: int, times: Sequence[int], parts: int) -> int:
        if self._order == "wholly shuffled":
            return self._chance.randrange(parts)
        slack = DISORDER[self._order] * 86_400_000_000
        if self._order == "late" and self._chance.random() < 0.3:
            return self._chance.randrange(parts)
        arrived_at = time + (self._chance.randrange(slack) if slack else 0)
        span = max(1, times[-1] + slack - times[0] + 1)
        return (arrived_at - times[0]) * parts // span

    def arrive(self, *parts: int) -> None:
        """Files of these parts lie where they are looked for."""
        for source, lines in self._lines.items():
            for part in parts:
                name = f"{part:03d}.{source}.jsonl"
                (self._folder / "arrived" / name).write_text("".join(lines[part]), encoding="utf-8")

    @property
    def lines(self) -> dict[str, list[list[str]]]:
        """Rows as their sources wrote them, by source and part."""
        return self._lines

    @property
    def has_links(self) -> bool:
        """Whether the transcripts tell of links."""
        return bool(self._links)

    def tell(self, part: int) -> None:
        """The table has the links that are known by a part; where rows are shuffled, what is not
        known yet is told of somebody else.
        """
        rows_of_links = transcript_links.file_rows([link for _, link in self._links])
        rows = [
            row if known <= part else {**row, "identitytype": "customer", "identity": "nobody"}
            for (known, _), row in zip(self._links, rows_of_links, strict=True)
            if known <= part or self._order == "wholly shuffled"
        ]
        with (self._folder / "identity_links.csv").open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows_of_links[0]))
            writer.writeheader()
            writer.writerows(rows)

    def run(self, is_last: bool, **given: Any) -> RunResult:
        """A run over what is there; the last one knows how far the sources are complete."""
        complete_until = self._frontiers if is_last else {}
        request = RunRequest(complete_until=complete_until, audit=None, **given)
        return run(self.settings, request)


class Increments(bounded.Run):
    """A run after each of some parts of transcripts that share settings."""

    def __init__(
        self,
        transcripts: Sequence[Transcript],
        folder: Path,
        parts: int,
        order: Order = "in order",
    ) -> None:
        self.numbers = {transcript.name: number for number, transcript in enumerate(transcripts)}
        self.counts: Counter[str] = Counter()
        arrivals = Arrivals(transcripts, folder, parts, order)
        for part in range(parts):
            arrivals.arrive(part)
            self._tell(arrivals, part)
            self.result = arrivals.run(is_last=part == parts - 1)
            self.counts.update(self.result.counts)
        self._afterwards(arrivals)
        self.con = connect(arrivals.settings.store)

    def _tell(self, arrivals: Arrivals, part: int) -> None:
        if arrivals.has_links:
            arrivals.tell(part)

    def _afterwards(self, arrivals: Arrivals) -> None:
        """What comes after all runs."""


class LinkedAfterwards(Increments):
    """No link is known before all is final; then all are."""

    def _tell(self, arrivals: Arrivals, part: int) -> None:
        arrivals.tell(-1)

    def _afterwards(self, arrivals: Arrivals) -> None:
        arrivals.tell(arrivals.parts)
        self.result = run(arrivals.settings, RunRequest("reconcile", audit=None))


def with_copies(transcript: Transcript, seed: int) -> Transcript:
    """The transcript with copies of some rows, recorded at other times and saying other things;
    half of them are about somebody else, and some happened at another time.
    """
    chance = random.Random(seed)
    people = sorted({row.get("customer", "ann") for row in transcript.events})

    def copies(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[Mapping[str, Any], ...]:
        dated = [{**row, "recordedtime": chance.choice((None, 1, 2))} for row in rows]
        again = [
            {
                **row,
                "recordedtime": chance.choice((None, 1, 2, 3)),
                name: chance.choice("abc"),
                "customer": chance.choice((row.get("customer", "ann"), chance.choice(people))),
                "time": max(0, row["time"] + chance.choice((0, 0, 0, -20, 20)) * 86_400),
            }
            for row in dated
            if chance.random() < 0.2
        ]
        return (*dated, *again)

    return replace(
        transcript,
        events=copies(transcript.events, "intent"),
        experience=copies(transcript.experience, "survey_id"),
        records={
            kind: copies(rows, "segment" if kind == "customers" else "status")
            for kind, rows in transcript.records.items()
        },
    )


def lines_of(folder: Path, source: str) -> list[str]:
    """The rows of a source as it wrote them."""
    text = (folder / f"{source}.jsonl").read_text(encoding="utf-8")
    return [line + "\n" for line in text.splitlines() if line]


def contents(settings: Settings) -> dict[str, list[str]]:
    """Rows of all derived tables, final and live ones apart, and of the inputs, in one order."""
    with connect(settings.store) as con:
        return contents_of(con)


def contents_of(con: Any) -> dict[str, list[str]]:
    """The same, of a session."""
    out = {}
    for name in x_tables.all_tables():
        for table in TABLES[name].stored:
            rows = con.execute(f"select * exclude ({STAMPS}) from {table}").fetchall()
            out[table] = sorted(map(str, rows))
    for table in ("events", "answers", "cases", "customers", "pending"):
        out[table] = sorted(map(str, con.execute(f"select * from {table}").fetchall()))
    return out
