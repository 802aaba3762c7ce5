"""A small installation in a folder: its files, its settings, and runs over it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.config import raw_schema, settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication.catalogue import connect

KEY = "5ec4e7" * 8
TEXTS = ("id", "time", "identity", "activity", "channel")
RAW = pa.schema([(name, pa.string()) for name in TEXTS])
SELECT = "select id, cast(time as timestamptz) as time, identity, activity, channel from source"
#: Raw identities that no hash or word of ours can contain by chance.
PEOPLE = tuple(f"Zoë.Quixote-{n}@example.test" for n in range(4))
DAY = 86_400_000_000
#: 2026-01-01, microseconds.
NEW_YEAR = 1_767_225_600_000_000


def row(number: int, **given: Any) -> dict[str, Any]:
    """A raw row that is accepted, of one of four customers, but for what is given."""
    return {
        "id": f"e{number}", "time": f"2026-01-05T09:{number % 60:02d}:00Z",
        "identity": PEOPLE[number % 4], "activity": "question", "channel": "web", **given,
    }  # fmt: skip


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def installation(
    folder: Path, files: Mapping[str, str], sources: Mapping[str, str] | None = None, more: str = ""
) -> settings.Settings:
    """Files by name, a configuration of `sources` (name -> glob), the key."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    raw_schema.write(folder / "raw.json", RAW)
    (folder / "map.sql").write_text(SELECT)
    (folder / "rejse.key").write_text(KEY)
    config = [more]
    for name, pattern in (sources or {"crm": "*.jsonl"}).items():
        config.append(
            f'[sources.{name}]\nfiles = ["{pattern}"]\nmapping = "map.sql"\nschema = "raw.json"'
        )
    (folder / "rejse.toml").write_text("\n".join(config) + "\n")
    return settings.load(folder)


def map_identity_type(folder: Path) -> None:
    """Map the raw column `kind` as the type of each row's identity."""
    (folder / "raw.json").unlink()
    raw_schema.write(folder / "raw.json", RAW.append(pa.field("kind", pa.string())))
    (folder / "map.sql").write_text(SELECT.replace(" from", ", kind as identitytype from"))


def once(installed: settings.Settings, **given: Any) -> RunResult:
    return run(installed, RunRequest(complete=True, **{"audit": None, **given}))


def balanced(result: RunResult) -> bool:
    counts = dict(result.counts)
    return counts.pop("read") == sum(counts.values()) and counts["rejected"] == sum(
        result.reasons.values()
    )


def files_of(store: Path) -> set[str]:
    return {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}


def row_on(day: str, ident: str, **given: Any) -> dict[str, Any]:
    return row(0, id=ident, time=f"2026-{day}T12:00:00Z", **given)


def deliver(installed: settings.Settings, name: str, *rows: dict[str, Any]) -> RunResult:
    """A file arrives, and a run follows."""
    (installed.root / name).write_text(lines(rows), encoding="utf-8")
    result = once(installed)
    assert balanced(result)
    return result


def fetch(installed: settings.Settings, sql: str) -> list[tuple[Any, ...]]:
    with connect(installed.store) as con:
        return list(con.execute(sql).fetchall())


def typed_row(day: int, identity: str, kind: str, **given: Any) -> dict[str, Any]:
    return row(
        0,
        id=f"{identity}-{day}",
        time=f"2026-01-{day:02d}T12:00:00Z",
        identity=identity,
        kind=kind,
        **given,
    )


def customer_by_event(installed: settings.Settings) -> dict[str, str]:
    """Whose each event is, by its id."""
    with connect(installed.store) as con:
        return dict(con.execute("select id, customer_key from events").fetchall())
