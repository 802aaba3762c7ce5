"""What the company says of itself: touchpoints, the fields they ask, journey types."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rejse.transforms.rules import DAY, SECOND, JourneyType, Windows

Line = dict[str, str]
WINDOWS = Windows()
DEFAULT = JourneyType()
#: Columns of the tables with forms that this rival does not know: it stops where one is filled.
UNKNOWN_FORMS = {
    "touchpoints": ("valid_from", "valid_to"),
    "journey_types": ("start_activities", "end_activities"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A touchpoint; `expected_wait_s` in seconds, all None where it is not in the table."""

    owner: str | None = None
    team: str | None = None
    silo: str | None = None
    stage: str | None = None
    journey_type: str | None = None
    system: str | None = None
    expected_wait_s: float | None = None
    is_moment_of_truth: bool | None = None


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Declared:
    """A field that a touchpoint asks, knows or passes, from `since` to before `until`."""

    field: str
    op: str
    since: int | None
    until: int | None

    def holds(self, us: int) -> bool:
        """Whether the row is valid at a time."""
        begun = self.since is None or self.since <= us
        return begun and (self.until is None or us < self.until)


class Company:
    """Touchpoints, their fields and journey types."""

    def __init__(self, tables: Path) -> None:
        """Read the CSV files. Raises ValueError where a form comes that this rival lacks."""
        self.places = {line["touchpoint"]: _place(line) for line in _lines(tables, "touchpoints")}
        self.kinds = {k.name: k for k in map(_kind, _lines(tables, "journey_types"))}
        self.declared: dict[str, list[Declared]] = defaultdict(list)
        for line in _lines(tables, "touchpoint_fields"):
            self.declared[line["touchpoint"]].append(_declared(line))
        self.largest_gap = max(DEFAULT.gap, *(kind.gap for kind in self.kinds.values()))

    def kind(self, name: str) -> JourneyType:
        """The journey type, with the defaults where the table has none of that name."""
        if name not in self.kinds:
            self.kinds[name] = replace(DEFAULT, name=name)
        return self.kinds[name]


def _lines(tables: Path, table: str) -> Iterator[Line]:
    with (tables / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            filled = [name for name in UNKNOWN_FORMS.get(table, ()) if line[name]]
            if filled:
                raise ValueError(f"{table}: expected nothing in {filled}, came {line}")
            yield line


def _place(line: Line) -> Place:
    wait, moment = line["expected_wait_s"], line["is_moment_of_truth"]
    return Place(
        line["owner"] or None, line["team"] or None, line["silo"] or line["owner"] or None,
        line["stage"] or None, line["journey_type"] or None, line["system"] or None,
        float(wait) if wait else None, moment == "true" if moment else None,
    )  # fmt: skip


def _kind(line: Line) -> JourneyType:
    ends, expects = line["end_outcomes"], line["expects_outcome"]
    return JourneyType(
        name=line["journey_type"],
        owner=line["owner"] or None,
        gap=_days(line["gap"], DEFAULT.gap),
        reopen_window=_days(line["reopen_window"], DEFAULT.reopen_window),
        cap=_days(line["cap"], DEFAULT.cap),
        handoff_due=_days(line["handoff_due"], DEFAULT.handoff_due),
        end_outcomes=tuple(ends.split(";")) if ends else DEFAULT.end_outcomes,
        expects_outcome=expects == "true" if expects else None,
        is_problem=line["is_problem"] == "true",
    )


def _declared(line: Line) -> Declared:
    since, until = _instant(line["valid_from"]), _instant(line["valid_to"])
    return Declared(line["field"], line["op"], since, until)


def _days(said: str, default: int) -> int:
    return int(said.removesuffix("d")) * DAY if said else default


def _instant(said: str) -> int | None:
    if not said:
        return None
    found = datetime.fromisoformat(said)
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(aware.timestamp()) * SECOND
