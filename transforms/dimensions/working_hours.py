"""Working time: how much of the time between two instants an owner works, and the way back.

Definition of the hours (table `calendar`; docs/reference/ingest.md#working-hours): rows with an
owner are his, rows without one are everybody's who has no rows. A row says the hours of a weekday
(1 = Monday) or of a date, in the wall-clock time of its zone (IANA; none: UTC). For each local day
those rows count that are valid when the day begins; a date goes before a weekday, then the latest
valid_from; rows that are equal in this are shifts of one day, whose union counts. Without opens and
closes the day is a holiday. A shift that closes before it opens ends on the next day. Where the
clock changes, hours run from the first instant that shows `opens` to the last that shows `closes`;
a time that is skipped is the instant of the change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, arrow, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.schema.parameters import DAY, MINUTE

DEFAULT_OWNER = None
#: How far a deadline in working time is looked for: somebody who works so little never gets there.
HORIZON = 1826 * DAY
#: Hours are laid out for whole spans of so many days, which later calls share.
STRETCH = 512
NEW_YEAR = date(1970, 1, 1)


@dataclass(frozen=True)
class Hours:
    """Working hours of one owner: disjoint rising intervals, microseconds UTC."""

    opens: Ints
    closes: Ints

    @property
    def before(self) -> Ints:
        """Microseconds worked before each interval."""
        return np.concatenate(([0], np.cumsum(self.closes - self.opens)))

    def worked(self, time: Ints) -> Ints:
        """Microseconds worked until each instant, since the first interval."""
        if not len(self.opens):
            return np.zeros(len(time), np.int64)
        at = np.searchsorted(self.opens, time, side="right") - 1
        inside = np.minimum(time, self.closes[at]) - self.opens[at]
        return np.where(at >= 0, self.before[at] + inside, 0)

    def reached(self, worked: Ints) -> Ints:
        """First instant at which so much (> 0) has been worked; FAR where it never is."""
        if not len(self.opens):
            return np.full(len(worked), FAR)
        at = np.searchsorted(self.before[1:], worked, side="left")
        there = at < len(self.opens)
        at = np.where(there, at, 0)
        return np.where(there, self.opens[at] + worked - self.before[at], FAR)


@dataclass(frozen=True)
class _Row:
    """A row of the table, its times in microseconds; opens is None on a holiday."""

    weekday: int | None
    day: int | None
    opens: int | None
    closes: int | None
    tz: str
    valid_from: int
    valid_to: int


@dataclass(frozen=True)
class Calendar:
    """Working hours by owner; `None` holds those of everybody without rows of his own."""

    rows: Mapping[str | None, tuple[_Row, ...]]
    _laid: dict[tuple[str | None, int, int], Hours] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: pa.Table) -> Calendar:
        """Calendar of the table's rows. Raises ValueError, naming the row and what was expected."""
        found: dict[str | None, list[_Row]] = {}
        since, until = bound(table, "valid_from", -FAR), bound(table, "valid_to", FAR)
        for number, said in enumerate(table.to_pylist()):
            try:
                row = _row(said, int(since[number]), int(until[number]))
            except ValueError as fault:
                raise ValueError(f"row {number + 1}: {fault}") from None
            found.setdefault(said["owner"], []).append(row)
        return cls({owner: tuple(rows) for owner, rows in found.items()})

    def owners(self, owner: Categorical, others: str) -> Categorical:
        """Whose rows are each owner's: his own, else `others`, which stands for everybody."""
        names = owner.names.to_pylist()
        own = sorted(name for name in set(names) if name in self.rows)
        codes = [own.index(n) if n in self.rows else len(own) for n in names]
        return Categorical.named(owner.lookup(codes, len(own)), [*own, others])

    def between(self, owner: Categorical, begin: Ints, end: Ints) -> tuple[Ints, Bools]:
        """Microseconds that each row's owner works from `begin` to `end` (0 where it is not
        later), and where that is known: not for owners without hours where everybody has none.
        """
        out, known = np.zeros(len(begin), np.int64), np.zeros(len(begin), bool)
        for name, at in self._each(owner):
            hours = self._hours(name, begin[at], end[at])
            out[at] = np.maximum(hours.worked(end[at]) - hours.worked(begin[at]), 0)
            known[at] = True
        return out, known

    def after(self, owner: Categorical, begin: Ints, span: Ints) -> tuple[Ints, Bools]:
        """Instant at which each row's owner has worked `span` microseconds since `begin`, the
        first such one, `begin` itself for none; unknown without hours, and where it lies more
        than HORIZON after `begin`.
        """
        out, known = np.zeros(len(begin), np.int64), np.zeros(len(begin), bool)
        for name, at in self._each(owner):
            since, want = begin[at], span[at]
            hours = self._hours(name, since, since + HORIZON)
            found = np.where(want > 0, hours.reached(hours.worked(since) + want), since)
            known[at] = found - since <= HORIZON
            out[at] = np.where(known[at], found, 0)
        return out, known

    def _each(self, owner: Categorical) -> list[tuple[str | None, Ints]]:
        """Owners with hours (None: everybody's) and the rows of each."""
        names = owner.names.to_pylist()
        own = sorted(name for name in set(names) if name in self.rows)
        code = owner.lookup([own.index(n) if n in self.rows else NULL for n in names], NULL)
        wanted = [*enumerate(own), *([(NULL, DEFAULT_OWNER)] if DEFAULT_OWNER in self.rows else [])]
        found = [(name, np.flatnonzero(code == place)) for place, name in wanted]
        return [(name, at) for name, at in found if len(at)]

    def _hours(self, owner: str | None, begin: Ints, end: Ints) -> Hours:
        """Hours of an owner that cover the instants, laid out once for all calls of a stretch."""
        first = int(begin.min()) // (DAY * STRETCH)
        last = int(np.maximum(begin, end).max()) // (DAY * STRETCH) + 1
        key = (owner, first, last)
        if key not in self._laid:
            self._laid[key] = _lay(self.rows[owner], first * STRETCH - 2, last * STRETCH + 2)
        return self._laid[key]


def _row(said: Mapping[str, object], since: int, until: int) -> _Row:
    opens, closes = _clock(said["opens"], "opens"), _clock(said["closes"], "closes")
    if (opens is None) != (closes is None) or (opens is not None and opens == closes):
        raise ValueError(
            "expected opens and closes, two times (00:00 to 24:00 is a whole day), or neither on"
            f" a holiday; came {said['opens']!r} and {said['closes']!r}"
        )
    weekday, day = said["weekday"], said["date"]
    if day is None and not (isinstance(weekday, int) and 1 <= weekday <= 7):
        raise ValueError(f"expected a weekday 1 (Monday) to 7 or a date, came {weekday!r}")
    try:
        number = None if day is None else (date.fromisoformat(str(day)) - NEW_YEAR).days
    except ValueError:
        raise ValueError(f"expected a date such as 2026-12-24, came {day!r}") from None
    zone = str(said["tz"] or "UTC")
    if not is_zone(zone):
        raise ValueError(f"expected a time zone such as Europe/Copenhagen, came {zone!r}")
    if opens is not None and closes is not None and closes < opens:
        closes += DAY
    return _Row(
        int(str(weekday)) if number is None else None, number, opens, closes, zone, since, until
    )


def _clock(text: object, name: str) -> int | None:
    """Microseconds since midnight of a wall-clock time such as 08:30."""
    if text is None:
        return None
    hour, colon, minute = str(text).partition(":")
    if colon and hour.isdigit() and minute.isdigit() and len(minute) == 2:
        minutes = int(hour) * 60 + int(minute)
        if int(minute) < 60 and minutes <= 24 * 60:
            return minutes * MINUTE
    raise ValueError(f"expected {name} as a time such as 08:30, came {text!r}")


def is_zone(name: str) -> bool:
    """Is `name` a time zone of the IANA data base?"""
    try:
        _instants(np.zeros(1, np.int64), name, "earliest")
    except (pa.ArrowInvalid, UnicodeError):
        return False
    return bool(name)


def known_zones(said: Categorical) -> Categorical:
    """The column with null where the text names no time zone."""
    names = said.names.to_pylist()
    real = [code if is_zone(name) else NULL for code, name in enumerate(names)]
    return said.recode(said.lookup(real, NULL))


def end_of_day(days: Ints, zone: Categorical) -> Ints:
    """Last microsecond of days (since 1970) in their zones, UTC where there is none."""
    out = (days + 1) * DAY
    for code, name in enumerate(zone.names.to_pylist()):
        mine = zone.codes == code
        if mine.any() and is_zone(name):
            out[mine] = _instants(out[mine], name, "earliest")
    return out - 1


def local_to_utc(local: datetime, zone: str | None) -> datetime:
    """Moment of a wall-clock time in a zone: UTC where it is none, or no time zone."""
    if zone is None or not is_zone(zone):
        return local.replace(tzinfo=UTC)
    since = (local - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    (found,) = _instants(np.array([since]), zone, "earliest").tolist()
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found)
    except OverflowError:  # the first and the last day that there are stand for always
        return local.replace(tzinfo=UTC)


def _lay(rows: tuple[_Row, ...], first: int, last: int) -> Hours:
    """Hours of an owner on the local days from `first` to before `last` (days since 1970)."""
    days = np.arange(first, last)
    weekday = (days + 3) % 7 + 1  # 1970-01-01 was a Thursday
    parts = []
    for at, row in enumerate(rows):
        mine = days[weekday == row.weekday] if row.day is None else days[days == row.day]
        midnight = _instants(mine * DAY, row.tz, "earliest")
        mine = mine[(row.valid_from <= midnight) & (midnight < row.valid_to)]
        parts.append((mine, np.full(len(mine), at)))
    day, number = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    kept = _foremost(day, number, rows)
    opens, closes = [], []
    for at, row in enumerate(rows):
        if row.opens is not None and row.closes is not None:
            mine = day[kept & (number == at)] * DAY
            opens.append(_instants(mine + row.opens, row.tz, "earliest"))
            closes.append(_instants(mine + row.closes, row.tz, "latest"))
    return _united(opens, closes)


def _foremost(day: Ints, number: Ints, rows: tuple[_Row, ...]) -> Bools:
    """Of the rows of each day those for its date, then those with the latest valid_from."""
    by_date = np.array([row.day is not None for row in rows])[number]
    since = np.array([row.valid_from for row in rows])[number]
    order = np.lexsort((since, by_date, day))
    kept = np.zeros(len(day), dtype=bool)
    if len(day):
        ends = np.flatnonzero(np.append(np.diff(day[order]) != 0, True))
        best = order[ends][np.searchsorted(day[order][ends], day)]
        kept = (by_date == by_date[best]) & (since == since[best])
    return kept


def _united(opens: list[Ints], closes: list[Ints]) -> Hours:
    """Union of intervals as disjoint rising ones, none empty."""
    begin = np.concatenate([*opens, np.zeros(0, np.int64)])
    end = np.concatenate([*closes, np.zeros(0, np.int64)])
    real = np.flatnonzero(end > begin)
    real = real[np.argsort(begin[real], kind="stable")]
    begin, end = begin[real], end[real]
    if not len(begin):
        return Hours(begin, end)
    reach = np.maximum.accumulate(end)
    starts = np.flatnonzero(np.append(True, begin[1:] > reach[:-1]))
    return Hours(begin[starts], reach[np.append(starts[1:], len(begin)) - 1])


def _instants(local: Ints, zone: str, ambiguous: str) -> Ints:
    """Instants (UTC) of wall-clock times in a zone; a skipped one is that of the change."""
    clock = arrow(local.astype(np.int64), pa.timestamp("us"))
    found = pc.assume_timezone(clock, zone, ambiguous=ambiguous, nonexistent="latest")
    return values(found).astype(np.int64)
