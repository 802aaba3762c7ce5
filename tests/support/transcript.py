"""Transcripts: a story's events, its frontier and what must come out, read from YAML.

A transcript is run by several drivers (pure core, bounded pipeline, oracle) and each driver
gives tables as lists of dicts; `differences` compares them with what the story expects.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from rejse.pipelines.config.settings import TypeSettings, WindowSettings
from rejse.transforms.dimensions.tables import TABLES, Operational
from rejse.transforms.schema.parameters import JourneyType, Rules, Windows
from tests.support import builders, transcript_links
from tests.support.law import SOAK
from tests.support.paths import TESTS

FOLDER = TESTS / "transcripts"
Rows = list[dict[str, Any]]

#: What puts the rows of a table into the order in which a transcript tells them.
ORDER: Mapping[str, tuple[str, ...]] = {
    "journeys": ("started_at", "ended_at", "journey_type"),
    "sessions": ("started_at", "seq"),
    "steps": ("started_at", "seq"),
    "friction_evidence": ("occurred_at", "kind", "severity", "kind_rank"),
    "handoffs": ("occurred_at", "due_at", "from_step"),
    "info_requests": ("occurred_at", "field"),
    "promises": ("made_at", "promise_id"),
    "sla_results": ("started_at", "sla", "kind"),
    "experience": ("occurred_at", "x_id"),
    "journey_experience": ("started_at", "ended_at", "journey_type"),
}


@dataclass(frozen=True)
class Transcript:
    """One story: `events` as `builders.table` reads them, `expect` as partial rows by table."""

    name: str
    events: tuple[Mapping[str, Any], ...]
    expect: Mapping[str, Sequence[Mapping[str, Any]]]
    frontier: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)
    drivers: tuple[str, ...] = ("oracle", "core", "bounded")
    counts: Mapping[str, int] = field(default_factory=dict)
    wrong: bool = False
    experience: tuple[Mapping[str, Any], ...] = ()
    #: Records of customers, by kind.
    records: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    #: Links of identities (`transcript_links`).
    links: tuple[Mapping[str, Any], ...] = ()
    #: Name of its file, which is that of the rules that it tells of.
    file: str = ""

    @property
    def rules(self) -> Rules:
        """Settings of the core that the story's `windows`, `types` and `sources` say.

        A source of X-records maps the columns that one of them fills.
        """
        rules = rules_of(self.config)
        return replace(rules, sources={**self.x_sources, **rules.sources})

    @property
    def x_sources(self) -> dict[str, frozenset[str]]:
        """Columns that the records of each source of X-records fill."""
        columns: dict[str, frozenset[str]] = {}
        for record in map(builders.full_record, self.experience):
            filled = {name for name, value in record.items() if value is not None}
            columns[record["source"]] = columns.get(record["source"], frozenset()) | filled
        return columns

    @property
    def frontiers(self) -> dict[str, int]:
        """Frontier of each source that the story has, in microseconds."""
        sources = {event.get("source", "crm") for event in self.events} | set(self.frontier)
        sources.discard("all")
        stated = {s: self.frontier.get(s, self.frontier.get("all")) for s in sources}
        return {s: builders.micros(builders.moment(w)) for s, w in stated.items() if w is not None}

    @property
    def x_frontiers(self) -> dict[str, int]:
        """Latest time of each source of X-records: they are complete as far as they go."""
        latest: dict[str, int] = {}
        for number, record in enumerate(self.experience, start=1):
            row = builders.full_record(record, number)
            latest[row["source"]] = max(latest.get(row["source"], 0), builders.micros(row["time"]))
        return latest

    @property
    def validated(self) -> tuple[str, ...]:
        """Languages whose model of sentiment is validated."""
        return tuple(self.config.get("texts", {}).get("validated", ()))

    @property
    def operational(self) -> dict[str, tuple[dict[str, Any], ...]]:
        """Rows of the operational tables that the story has, validity read as a time."""
        return {
            table: tuple({k: _validity(k, v) for k, v in row.items()} for row in rows)
            for table, rows in self.config.items()
            if table in TABLES
        }


def _validity(name: str, value: Any) -> Any:
    return builders.moment(value) if name in ("valid_from", "valid_to") and value else value


def rules_of(config: Mapping[str, Any]) -> Rules:
    """Rules from the parts `windows`, `types` and `sources` of a configuration."""
    windows = WindowSettings(**config.get("windows", {}))
    default = windows.default_type()
    types = {}
    for name, given in config.get("types", {}).items():
        changed = TypeSettings(**given).model_dump(exclude_none=True)
        types[name] = JourneyType(**{**_asdict(default), "name": name, **changed})
    return Rules(
        windows=Windows(**{k: v for k, v in windows if k in Windows.__dataclass_fields__}),
        types=types,
        default_type=types.get("other", default),
        sources={s: frozenset(f) for s, f in config.get("sources", {}).items()},
    )


def _asdict(kind: JourneyType) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in kind.__dataclass_fields__}


def read(path: Path, base: Mapping[str, Any]) -> list[Transcript]:
    """Transcripts of a file; each one's own `config` goes before the base's, part by part.

    Raises KeyError where a transcript has no name, events or expectation.
    """
    transcripts = []
    for case in yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader):
        frontier = case.get("frontier", "900d")
        transcripts.append(
            Transcript(
                name=case["name"],
                events=tuple(case["events"]),
                expect=case["expect"],
                frontier=frontier if isinstance(frontier, dict) else {"all": frontier},
                config={**base, **case.get("config", {})},
                drivers=tuple(case.get("drivers", ("oracle", "core", "bounded"))),
                counts=case.get("counts", {}),
                wrong=case.get("wrong", False),
                experience=tuple(case.get("experience", ())),
                records={k: tuple(rows) for k, rows in case.get("records", {}).items()},
                links=tuple(case.get("links", ())),
                file=path.stem,
            )
        )
    return transcripts


@cache
def all_transcripts() -> tuple[Transcript, ...]:
    """Every transcript of the folder, by file and place in it."""
    base = yaml.safe_load((FOLDER / "base.yaml").read_text(encoding="utf-8"))
    paths = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "base.yaml")
    return tuple(transcript for path in paths for transcript in read(path, base))


def in_order(table: str, rows: Rows) -> Rows:
    """Rows in the order of their story; null comes first."""
    keys = ORDER[table]
    return sorted(rows, key=lambda row: [_sortable(row.get(key)) for key in keys])


def _sortable(value: Any) -> tuple[bool, Any]:
    value = instant(value) if isinstance(value, datetime) else value
    return (value is not None, value if value is not None else 0)


def instant(value: datetime) -> datetime:
    """The moment in one zone, so that moments read by different engines compare."""
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def differences(transcript: Transcript, tables: Mapping[str, Rows]) -> list[str]:
    """What the tables have other than the transcript expects; empty where all is as expected."""
    lines: list[str] = []
    for name, wanted in transcript.expect.items():
        rows = in_order(name, tables[name])
        if len(rows) != len(wanted):
            lines.append(f"{name}: expected {len(wanted)} rows, came {len(rows)}: {_brief(rows)}")
            continue
        for number, (want, row) in enumerate(zip(wanted, rows, strict=True), start=1):
            lines += [
                f"{name} {number}: {key}: expected {value!r}, came {row.get(key, '(no column)')!r}"
                for key, value in want.items()
                if key not in row or not same(value, row[key])
            ]
    return lines


def _brief(rows: Rows) -> list[dict[str, Any]]:
    shown = ("kind", "seq", "event_ids", "n_events", "field", "close_reason", "context", "status")
    return [{k: row[k] for k in shown if k in row} for row in rows]


def same(wanted: Any, actual: Any) -> bool:
    """Equal; numbers to 1e-9, or to the digits written where text such as `~43.9` is expected."""
    if isinstance(actual, datetime) and wanted is not None:
        return builders.moment(wanted) == instant(actual)
    if isinstance(wanted, str) and wanted.startswith("~"):
        digits = len(wanted.partition(".")[2])
        return actual is not None and f"{actual:.{digits}f}" == wanted[1:]
    if isinstance(wanted, float) and isinstance(actual, int | float):
        return math.isclose(wanted, actual, rel_tol=1e-9, abs_tol=1e-9)
    return bool(wanted == actual)


# Transcripts that share settings and frontiers share a run; their customers and ids are told
# apart by the transcript's number, which is taken off again before anything is compared.


def group_of(transcript: Transcript) -> str:
    """What transcripts must share to share a run; those that count rows stand alone."""
    alone = transcript.name if transcript.counts else ""
    shared = [
        alone,
        bool(transcript.links),
        transcript.config,
        sorted(transcript.frontiers.items()),
    ]
    return json.dumps(shared, sort_keys=True, default=str)


@cache
def sampled_groups(driver: str, one_in: int = 4) -> frozenset[str]:
    """Groups that a driver runs: all in the soak, else a sample that has a group of every file.

    A run costs about the same for one transcript as for hundreds. So the largest groups are taken
    until every file has one, then those that no quicker driver proves, then one in some others.
    """
    of_group: dict[str, list[Transcript]] = {}
    for transcript in all_transcripts():
        if driver in transcript.drivers:
            of_group.setdefault(group_of(transcript), []).append(transcript)
    chance, files, sample = random.Random(driver), set[str](), set[str]()
    for group, members in sorted(of_group.items(), key=lambda item: (-len(item[1]), item[0])):
        new = {transcript.file for transcript in members} - files
        is_only_here = any(t.counts or "core" not in t.drivers for t in members)
        if chance.randrange(one_in) == 0 or new or is_only_here or SOAK:
            sample.add(group)
            files |= new
    return frozenset(sample)


def alias(number: int, customer: str) -> str:
    """Name of a transcript's customer in a shared run."""
    return f"{number}-{customer}"


def mark(number: int) -> str:
    """What stands before a transcript's ids in a shared run."""
    return f"t{number}-"


def without_mark(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A row whose references to events are the transcript's own again."""
    if row.get("x_id"):
        return {**row, "x_id": row["x_id"].replace(f"/{mark(number)}", "/")}
    if not row.get("event_ids"):
        return row
    refs = [ref.replace(f"/{mark(number)}", "/") for ref in row["event_ids"]]
    return {**row, "event_ids": refs}


def together(transcripts: Sequence[Transcript]) -> Transcript:
    """One transcript of all events of some that share a group."""
    events = [
        {
            **event,
            "id": mark(number) + str(event.get("id", f"e{at:03d}")),
            "customer": alias(number, event.get("customer", "ann")),
        }
        for number, transcript in enumerate(transcripts)
        for at, event in enumerate(transcript.events, start=1)
    ]
    answers = [
        marked(record, transcript, number, at)
        for number, transcript in enumerate(transcripts)
        for at, record in enumerate(transcript.experience, start=1)
    ]
    whole = replace(transcripts[0], name="together", events=tuple(events), expect={})
    return replace(
        whole,
        experience=tuple(answers),
        records=records_of(transcripts),
        links=links_of(transcripts),
    )


def links_of(transcripts: Sequence[Transcript]) -> tuple[Mapping[str, Any], ...]:
    """Links of all transcripts, their identities told apart."""
    return tuple(
        link
        for number, transcript in enumerate(transcripts)
        for link in transcript_links.marked(transcript.links, partial(alias, number))
    )


def records_of(
    transcripts: Sequence[Transcript],
) -> dict[str, tuple[dict[str, Any], ...]]:
    """Records of all transcripts by kind, their ids and customers told apart, and cases that
    events bear as their identity.
    """
    records: dict[str, tuple[dict[str, Any], ...]] = {}
    for number, transcript in enumerate(transcripts):
        borne = {e["customer"] for e in transcript.events if e.get("identitytype") == "case"}
        for kind, rows in transcript.records.items():
            records[kind] = records.get(kind, ()) + tuple(
                {
                    **row,
                    **{n: alias(number, row[n]) for n in ("case_id",) if row.get(n) in borne},
                    "id": mark(number) + str(row.get("id", f"r{at:03d}")),
                    "customer": alias(number, row.get("customer", "ann")),
                }
                for at, row in enumerate(rows, start=1)
            )
    return records


def marked(
    record: Mapping[str, Any], transcript: Transcript, number: int, at: int
) -> dict[str, Any]:
    """An X-record whose id, customer and target event are told apart in a shared run."""
    out = {
        **record,
        "id": mark(number) + str(record.get("id", f"x{at:03d}")),
        "customer": alias(number, record.get("customer", "ann")),
    }
    head, slash, name = str(record.get("target", "")).rpartition("/")
    ids = {str(e.get("id", f"e{n:03d}")) for n, e in enumerate(transcript.events, start=1)}
    return out | ({"target": head + slash + mark(number) + name} if name in ids else {})


def of_customers(rows: Rows, transcript: Transcript, number: int) -> Rows:
    """A transcript's own rows of a table of a shared run, by the keys of its customers."""
    events = (*transcript.events, *transcript.experience)
    linked = transcript_links.of_links(transcript.links)
    names = {name for _, name in transcript_links.of_rows(events) | linked}
    keys = {builders.key_of(alias(number, name)) for name in names}
    return [without_mark(row, number) for row in rows if row["customer_key"] in keys]


def operational_of(transcript: Transcript) -> Operational:
    """The transcript's operational tables as the core reads them."""
    tables = {n: _table_of(rows) for n, rows in transcript.operational.items() if rows}
    return Operational(tables, builders.known(transcript.records))


def _table_of(rows: tuple[dict[str, Any], ...]) -> pa.Table:
    """Rows as a table of all columns that some row has."""
    names = {name: None for row in rows for name in row}
    return pa.Table.from_pylist([{**names, **row} for row in rows])
