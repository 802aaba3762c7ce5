"""Each setting decides one thing, and the versions of what it decides change with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from rejse.pipelines.config.field_types import Decides, Frozen
from rejse.pipelines.config.settings import Operational, Settings

TABLES = tuple(Operational.model_fields)
TYPES = "journey_type,gap\nclaim,{}\n"
DOCUMENT: Mapping[str, Any] = {
    "operational": {table: f"{table}.csv" for table in TABLES},
    "sources": {
        "web": {
            "kind": "experience", "files": "*.csv", "mapping": "map.sql", "schema": "raw.json",
        },
    },
    "types": {"claim": {}},
}  # fmt: skip
#: Another value of each setting than it has by default, or in the document.
OTHER: Mapping[str, Any] = {
    "store": "elsewhere",
    "store_mode": "group",
    "key_file": "other.key",
    "token_file": "other.token",
    "keep_quarantine": "77d",
    "non_persons": ["nobody"],
    "weights": {"transfer": 0.7},
    **{
        f"sources.web.csv.{name}": value
        for name, value in {
            "encoding": "cp1252",
            "delimiter": ";",
            "quote": "'",
            "decimal": ",",
            "skip": 2,
            "skip_after": 2,
            "comment": "#",
            "nulls": ["NULL"],
            "columns": ["a", "b"],
        }.items()
    },
    "sources.web.array": "tickets",
    "sources.web.sheet": "May",
    "promise_checks": {"claim": "check.sql"},
    "sources.web.files": "*.jsonl",
    "sources.web.kind": "customers",
    "sources.web.mapping": "other.sql",
    "sources.web.schema": "other.json",
    "sources.web.topic": "events",
    "sources.web.servers": "broker:9092",
    "sources.web.format": "avro",
    "sources.web.options": {"linger.ms": "7"},
    "sources.web.archive": True,
    "sources.web.idle": "77d",
    "sources.web.disorder": "77d",
    "sources.web.retired": True,
    "sources.web.declares": ["id"],
    **{f"operational.{table}": f"other_{table}.csv" for table in TABLES},
    "windows.gap": "77d",
    "windows.case_gap": "77d",
    "windows.reopen_window": "77d",
    "windows.cap": "77d",
    "windows.handoff_due": "77d",
    "windows.horizon": "77d",
    "windows.session_gap": "77d",
    "windows.lateness": "77d",
    "windows.future": "77d",
    "windows.identity_wait": "77d",
    "windows.repeat": "77d",
    "windows.promise_give_up": "77d",
    "windows.max_events": 77,
    "windows.coverage_floor": 0.77,
    "windows.short_abandon": "77d",
    "windows.pressure_window": "77d",
    "windows.pressure_cap": 77,
    "windows.quick_intents": ["pay"],
    "windows.volatile_fields": ["date"],
    "windows.question_activities": ["ask"],
    "windows.x_touchpoint": "77d",
    "windows.survey": "77d",
    "windows.ignored": "77d",
    "windows.follow_up": "77d",
    "windows.relief_friction": 77,
    "types.claim.owner": "desk",
    "types.claim.gap": "77d",
    "types.claim.case_gap": "77d",
    "types.claim.reopen_window": "77d",
    "types.claim.cap": "77d",
    "types.claim.handoff_due": "77d",
    "types.claim.horizon": "77d",
    "types.claim.start_activities": ["begin"],
    "types.claim.end_activities": ["end"],
    "types.claim.end_outcomes": ["end"],
    "types.claim.weak_end_outcomes": ["end"],
    "types.claim.outcome_map": {"sold": 0.7},
    "types.claim.expects_outcome": True,
    "types.claim.is_problem": True,
    "texts.keep": "redacted",
    "texts.keep_for": "77d",
    "texts.validated": ["da"],
    "texts.scorers": {"en": "none"},
    "retention.archive": "77d",
    "retention.publications": "77d",
    "retention.tables": {"journeys": "77d"},
    "surveys.csat.scale": [1, 7],
    "surveys.csat.satisfied_from": 3,
    "alerts.rules": "check.sql",
    "alerts.without": ["relief"],
    "alerts.quiet": "22:00-07:00",
    "alerts.time_zone": "Europe/Warsaw",
    "alerts.wakes": ["info"],
    "alerts.per_owner_per_hour": 7,
    "alerts.keep": "77d",
    "alerts.file": "alerts.jsonl",
    "alerts.webhook": "https://alerts.example.test/in",
    "alerts.webhook_header": "X-Token",
    "alerts.webhook_secret": "${ALERTS_TOKEN}",
    "alerts.topic": "alerts",
    "alerts.servers": "broker:9092",
    "alerts.options": {"linger.ms": "7"},
}
#: Settings of a source that reads a topic instead of files.
OF_TOPICS = ("topic", "servers", "format", "options", "archive", "idle")
#: What is no value in a file: its folder, and the name of a table in it.
NAMES = frozenset({"root", "sources.web.name"})
#: Each run compares these links row by row.
COMPARED = "operational.identity_links"
#: Names of the entries of tables of tables, in the document above.
ENTRIES = {"sources": "sources.web", "types": "types.claim"}


def decided(model: type[Frozen] = Settings, within: str = "") -> dict[str, list[Decides]]:
    """What each setting decides, by its name in the configuration."""
    out: dict[str, list[Decides]] = {}
    for name, field in model.model_fields.items():
        path = f"{within}{field.alias or name}"
        kinds = (field.annotation, *get_args(field.annotation))
        parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Frozen)]
        if parts:
            out |= decided(parts[0], f"{ENTRIES.get(path, path)}.")
        else:
            out[path] = [m for m in field.metadata if isinstance(m, Decides)]
    return out


def settings_of(folder: Path, changes: Mapping[str, Any], is_topic: bool) -> Settings:
    document = json.loads(json.dumps(DOCUMENT))
    if is_topic:
        document["sources"]["web"] |= {"topic": "orders", "servers": "localhost:9092"}
        del document["sources"]["web"]["files"]
    for name, value in changes.items():
        *path, last = name.split(".")
        table = document
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return Settings.model_validate({"root": folder, **document}, context={"root": folder})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the document names, and others of another content."""
    for name, text in {
        "map.sql": "select id, t as time from source",
        "other.sql": "select id, t + 1 as time from source",
        "raw.json": '{"columns": {"id": "string", "t": "int64"}}',
        "other.json": '{"columns": {"id": "string", "t": "int32"}}',
        "check.sql": "select 1",
        **{f"{table}.csv": "key\nheld\n" for table in TABLES},
        **{f"other_{table}.csv": "key\nanother\n" for table in TABLES},
        "journey_types.csv": TYPES.format("40d"),
        "other_journey_types.csv": TYPES.format("41d"),
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_setting_decides_one_thing() -> None:
    """A new setting that does not say what, or has no other value above, is missed here."""
    settings = decided()
    assert {name: parts for name, parts in settings.items() if len(parts) != 1} == {}
    assert settings.keys() == OTHER.keys() | NAMES


@pytest.mark.parametrize("name", OTHER)
def test_the_versions_of_what_a_setting_decides_change_with_it(folder: Path, name: str) -> None:
    (decides,) = decided()[name]
    is_topic = name.removeprefix("sources.web.") in OF_TOPICS
    before = settings_of(folder, {}, is_topic)
    after = settings_of(folder, {name: OTHER[name]}, is_topic)
    assert before != after
    others = {
        version.partition(".")[0]
        for version, value in before.versions.items()
        if after.versions[version] != value
    }
    stored = {Decides.INGEST: {"ingest"}, Decides.SCORE: {"score"}}
    assert others == stored.get(decides, set())
    is_other = before.version != after.version
    assert is_other == (decides is not Decides.PLACE and name != COMPARED)
