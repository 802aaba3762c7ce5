"""Read journey types from the `journey_types` table, completed by the configuration file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rejse.transforms.schema.durations import parse
from rejse.transforms.schema.parameters import JourneyType, Rules

DURATIONS = ("gap", "case_gap", "reopen_window", "cap", "handoff_due", "horizon")
LISTS = ("start_activities", "end_activities", "end_outcomes", "weak_end_outcomes")
FLAGS = ("is_problem", "expects_outcome")
_TRUE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def rows(path: Path) -> list[dict[str, str]]:
    """Read a journey_types table (CSV or Parquet) as text; empty cells are left out.

    Raises:
        ValueError: the table has no column `journey_type`.
    """
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        records: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    else:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            records = list(csv.DictReader(lines))
    if records and "journey_type" not in records[0]:
        raise ValueError(f"{path.name}: expected a column journey_type, came {sorted(records[0])}")
    return [
        {k: str(v) for k, v in row.items() if k is not None and v not in (None, "")}
        for row in records
    ]


def _value(column: str, text: str) -> Any:
    if column in DURATIONS:
        return parse(text)
    if column in LISTS:
        return tuple(part.strip() for part in text.split(";") if part.strip())
    if column in FLAGS:
        if text.lower() not in _TRUE:
            raise ValueError(f"expected true or false, came {text!r}")
        return _TRUE[text.lower()]
    return text


def journey_type(row: Mapping[str, str], default: JourneyType) -> JourneyType:
    """Make a journey type from a table row; empty cells take the value of `default`.

    Raises:
        ValueError: a cell cannot be read; the message names type and column.
    """
    name, given = row["journey_type"], {}
    for column in (*DURATIONS, *LISTS, *FLAGS, "owner"):
        if column in row:
            try:
                given[column] = _value(column, row[column])
            except ValueError as fault:
                raise ValueError(f"journey type {name}, column {column}: {fault}") from None
    return replace(default, name=name, **given)


def from_table(path: Path, default: JourneyType) -> dict[str, JourneyType]:
    """Return the journey types of a table, by name.

    Gap, windows and rules are configuration without validity: of several rows of a type the one
    with the latest `valid_from` decides.
    """
    latest: dict[str, dict[str, str]] = {}
    for row in sorted(rows(path), key=lambda r: r.get("valid_from", "")):
        if "journey_type" in row:
            latest[row["journey_type"]] = row
    return {name: journey_type(row, default) for name, row in latest.items()}


def of_core(types: Mapping[str, JourneyType]) -> dict[str, dict[str, Any]]:
    """Return the settings that stored rows depend on, by type: all but the horizon, for views."""
    return {
        name: {column: value for column, value in asdict(kind).items() if column != "horizon"}
        for name, kind in types.items()
    }


def horizons(types: Mapping[str, JourneyType]) -> dict[str, int | None]:
    """Return the horizon of each type, in microseconds; None where the user sets none."""
    return {name: kind.horizon for name, kind in types.items()}


def served_windows(rules: Rules) -> dict[str, int]:
    """Return the durations that views read, as `cap.claim`, in microseconds.

    `other` holds for types without settings. `settling` is how long after its last event, or its
    end, a journey may stay open.
    """
    windows = {}
    for kind in _all_types(rules):
        windows[f"settling.{kind.name}"] = max(kind.gap, kind.reopen_window)
        windows[f"cap.{kind.name}"] = kind.cap
        if kind.horizon is not None:
            windows[f"horizon.{kind.name}"] = kind.horizon
    return windows


def served_thresholds(rules: Rules) -> dict[str, float]:
    """Return whether a journey of each type is a problem of the customer (1) or not (0)."""
    return {f"is_problem.{kind.name}": float(kind.is_problem) for kind in _all_types(rules)}


def _all_types(rules: Rules) -> list[JourneyType]:
    rest = {"other": replace(rules.default_type, name="other")}
    return [replace(kind, name=name) for name, kind in {**rest, **rules.types}.items()]
