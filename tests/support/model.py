"""A store in a few dictionaries: what random actions should leave behind, without Beam or Arrow.

It knows the rules of keys, lateness and identity only (docs/reference/ingest.md#duplicates and
docs/reference/identity.md#links): of rows with one id the first recorded stays, however late it
comes; an event from more than a day before what its source said was complete waits until a repair;
rows are the person's to whom the links of the last run lead; erased people's rows never come back;
rows past their retention go, and are unknown from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.naive_links import Link, Who, person, walled

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVITIES = ("question", "complaint", "resolved", "call", "page_view")
#: The person of the last row of all, whom nobody erases.
LAST: Who = ("customer", "the last one")


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return int(at.timestamp()) * 1_000_000


def pseudonym(owner: Who, key: str) -> str:
    """An identity's, under a key of hex digits."""
    text = ":".join(owner).encode()
    return hmac.new(bytes.fromhex(key), text, hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True)
class Row:
    """A raw row; `recorded` differs between all rows, so that of two one stands first."""

    id: str
    time: datetime
    owner: Who
    activity: str
    recorded: datetime

    def line(self) -> str:
        """The row as its source writes it."""
        kind, identity = self.owner
        fields = {**vars(self), "kind": kind, "identity": identity, "channel": "web"}
        del fields["owner"]
        return json.dumps({name: str(value) for name, value in fields.items()}) + "\n"


@dataclass
class Model:
    """Rows that should lie in `events` and in `late`, by id; the links that they follow; who is
    erased; how far the source is complete; what runs counted; what happened to rows (`seen`).
    """

    key: str
    events: dict[str, Row] = field(default_factory=dict)
    late: dict[str, Row] = field(default_factory=dict)
    links: Sequence[Link] = ()
    erased: set[Who] = field(default_factory=set)
    complete: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def person(self, row: Row, links: Sequence[Link] | None = None) -> Who:
        """Whose a row is, by the links that rows follow, or by others."""
        links = self.links if links is None else links
        return person(row.owner, micros(row.time), links, DAY // SECOND * 1_000_000)

    def rows(self) -> list[Row]:
        """All rows that are stored."""
        return [*self.events.values(), *self.late.values()]

    def moved(self, links: Sequence[Link], other: Sequence[Link]) -> tuple[int, int]:
        """How many rows that wait, and that are kept, are another's by other links."""
        links, other = self._living(links), self._living(other)
        late, kept = (
            sum(self.person(row, links) != self.person(row, other) for row in table.values())
            for table in (self.late, self.events)
        )
        return late, kept

    def follow(self, links: Sequence[Link]) -> None:
        """Stored rows follow these links, but for those of erased identities."""
        late, kept = self.moved(self.links, links)
        self.seen.update({"moved late": late, "moved": kept})
        self.links = self._living(links)

    def _living(self, links: Sequence[Link]) -> list[Link]:
        return walled(links, self.erased)

    def run(self, rows: Sequence[Row]) -> None:
        """What a run does with a file of these rows."""
        before = self.complete
        for row in rows:
            self.counts["read"] += 1
            if row.owner in self.erased:
                self.counts["erased"] += 1
            elif before is not None and row.time < before - DAY:
                self._wait(row)
            else:
                self._keep(row)
            self.complete = max(row.time, self.complete or row.time)

    def _keep(self, row: Row) -> None:
        known = self.events.get(row.id)
        self.counts["duplicate" if known else "kept"] += 1
        if known is None or row.recorded < known.recorded:
            self.events[row.id] = row
            self.seen["correction"] += known is not None

    def _wait(self, row: Row) -> None:
        """A late row waits that is the first of its id, or recorded before its copies."""
        kept, waiting = self.events.get(row.id), self.late.get(row.id)
        known = [stored.recorded for stored in (kept, waiting) if stored is not None]
        is_better = all(row.recorded < recorded for recorded in known)
        self.counts["late" if is_better and waiting is None else "duplicate"] += 1
        if is_better:
            self.late[row.id] = row
            self.seen["late correction"] += kept is not None

    def repair(self, since: datetime, until: datetime) -> None:
        """Late rows of [since, until) come in."""
        for row in [row for row in self.late.values() if since <= row.time < until]:
            del self.late[row.id]
            self.counts["late"] -= 1
            self.seen["repair"] += 1
            self.seen["repaired correction"] += row.id in self.events
            self._keep(row)

    def is_another(self, owner: Who) -> bool:
        """Whether rows of others, this identity's own or such as links lead through it, would be
        somebody else's without it: then it cannot be erased alone.
        """
        without = walled(self.links, {owner})
        others = [row for row in self.rows() if self.person(row) != owner]
        return any(self.person(row) != self.person(row, without) for row in others)

    def forget(self, owner: Who) -> None:
        """All rows that are this person's go, and links from it; those to it lead nowhere."""
        for what, table in (("erase", self.events), ("erase late", self.late)):
            for row in [row for row in table.values() if self.person(row) == owner]:
                del table[row.id]
                self.seen[what] += 1
        self.erased.add(owner)
        self.links = self._living(self.links)

    def age(self, events_from: int, late_from: int, began: Mapping[str, datetime]) -> None:
        """Rows of before these times (microseconds) go, but for events since the first journey of
        their customer (`began`, by pseudonym); whoever brings one again is heard anew.
        """
        for row in [row for row in self.late.values() if micros(row.time) < late_from]:
            del self.late[row.id]
            self.seen["retention late"] += 1
        for row in [row for row in self.events.values() if micros(row.time) < events_from]:
            first = began.get(pseudonym(self.person(row), self.key))
            if first is None or row.time < first:
                del self.events[row.id]
                self.seen["retention"] += 1
            else:
                self.seen["reached"] += 1


class Source:
    """A source that appends, is late, repeats and corrects itself, and links that come and go, as
    chance will have it.
    """

    def __init__(self, seed: int) -> None:
        self.chance, self.now, self._number = random.Random(seed), START, 0
        self._rows: list[Row] = []

    def rows(self, count: int) -> list[Row]:
        """The next rows."""
        return [self._row() for _ in range(count)]

    def last(self) -> Row:
        """A row after all others, so that what is complete depends on no row that went."""
        self._number += 1
        return self._new(self.now + timedelta(hours=1), LAST)

    def _row(self) -> Row:
        self._number += 1
        what = self.chance.random()
        if self._rows and what < 0.1:  # a copy
            return self.chance.choice(self._rows)
        if self._rows and what < 0.35:  # the same row again, recorded earlier or later
            old = self.chance.choice(self._rows)
            other = self._recorded() - self.chance.choice((0, 1)) * timedelta(days=30)
            return Row(old.id, old.time, old.owner, self.chance.choice(ACTIVITIES), other)
        self.now += timedelta(hours=self.chance.randrange(12))
        back = timedelta(days=self.chance.choice((0, 0, 0, 0.5, 3, 20, 40)))
        row = self._new(self.now - back, self._owner())
        self._rows.append(row)
        return row

    def _new(self, time: datetime, owner: Who) -> Row:
        ident, activity = f"e{self._number}", self.chance.choice(ACTIVITIES)
        return Row(ident, time, owner, activity, self._recorded())

    def _recorded(self) -> datetime:
        return START + timedelta(days=400, seconds=self._number)

    def _owner(self) -> Who:
        kind = self.chance.choices(("customer", "email", "device"), (5, 2, 3))[0]
        return kind, f"{kind}-{self.chance.randrange(6)}"

    def link(self) -> Link:
        """A link of what is known only by a device or an e-mail, or a merge; none go round."""
        previous = other = self.chance.choice(self._rows)
        while previous.owner <= other.owner:  # customers are the least, then devices
            previous, other = self.chance.choices(self._rows, k=2)
        begin = previous.time - timedelta(hours=self.chance.choice((-12, 0, 24, 400)))
        end = begin + timedelta(hours=self.chance.choice((12, 100, 900)))
        has_end = self.chance.random() < 0.3
        return Link(previous.owner, other.owner, micros(begin), micros(end) if has_end else None)
