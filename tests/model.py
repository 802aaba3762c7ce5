"""A store in a few dictionaries: what random actions should leave behind, without Beam or Arrow.

It knows the rules of keys and lateness only (9-rules, Keys; 2-journeys): of rows with one id the
first recorded stays; an event from more than a day before what its source said was complete waits
until a repair; erased people's rows never come back.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVITIES = ("question", "complaint", "resolved", "call", "page_view")


@dataclass(frozen=True)
class Row:
    """A raw row; `recorded` differs between all rows, so that of two one stands first."""

    id: str
    time: datetime
    identity: str
    activity: str
    recorded: datetime

    def line(self) -> str:
        """The row as its source writes it."""
        texts = {**vars(self), "channel": "web"}
        return json.dumps({name: str(value) for name, value in texts.items()}) + "\n"


@dataclass
class Model:
    """Rows that should lie in `events` and in `late`, by id, and how far the source is complete."""

    events: dict[str, Row] = field(default_factory=dict)
    late: dict[str, Row] = field(default_factory=dict)
    complete: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)
    corrected: int = 0

    def run(self, rows: list[Row]) -> None:
        """What a run does with a file of these rows."""
        before, waiting = self.complete, set(self.late)
        for row in rows:
            self.counts["read"] += 1
            if before is not None and row.time < before - DAY:
                self._wait(row, waiting)
            else:
                self._keep(row)
            self.complete = max(row.time, self.complete or row.time)

    def _keep(self, row: Row) -> None:
        known = self.events.get(row.id)
        self.counts["duplicate" if known else "kept"] += 1
        if known is None or row.recorded < known.recorded:
            self.events[row.id] = row
            self.corrected += known is not None

    def _wait(self, row: Row, waiting: set[str]) -> None:
        """A late row; what is kept, or waited before, is not weighed against it."""
        known = self.events.get(row.id) or self.late.get(row.id)
        self.counts["duplicate" if known else "late"] += 1
        is_better = known is None or row.recorded < known.recorded
        if row.id not in self.events and row.id not in waiting and is_better:
            self.late[row.id] = row

    def repair(self, since: datetime, until: datetime) -> None:
        """Late rows of [since, until) come in."""
        for row in [row for row in self.late.values() if since <= row.time < until]:
            del self.late[row.id]
            self.counts.update({"late": -1, "kept": 1})
            self.events[row.id] = row


class Source:
    """A source that appends, is late, repeats and corrects itself, as chance will have it."""

    def __init__(self, seed: int) -> None:
        self.chance, self._now, self._number = random.Random(seed), START, 0
        self._told: list[Row] = []

    def rows(self, count: int) -> list[Row]:
        """The next rows."""
        return [self._row() for _ in range(count)]

    def _row(self) -> Row:
        self._number += 1
        what = self.chance.random()
        recorded = START + timedelta(days=400, seconds=self._number)
        if self._told and what < 0.1:  # a copy
            return self.chance.choice(self._told)
        if self._told and what < 0.35:  # the same row again, recorded earlier or later
            old = self.chance.choice(self._told)
            other = recorded - self.chance.choice((0, 1)) * timedelta(days=30)
            return Row(old.id, old.time, old.identity, self.chance.choice(ACTIVITIES), other)
        self._now += timedelta(hours=self.chance.randrange(12))
        back = timedelta(days=self.chance.choice((0, 0, 0, 0.5, 3, 40)))
        who = f"person-{self.chance.randrange(9)}"
        row = Row(
            f"e{self._number}", self._now - back, who, self.chance.choice(ACTIVITIES), recorded
        )  # fmt: skip
        self._told.append(row)
        return row
