"""Working time against a walk quarter by quarter over the wall clock, and its laws."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import TABLES, Operational
from rejse.transforms.dimensions.working_hours import HORIZON, Calendar
from tests.support.law import examples

LAWS = settings(max_examples=examples(60))
QUARTER = timedelta(minutes=15)
HOUR = 3_600_000_000
#: Fridays before the clock of Copenhagen changes, and a Monday in winter.
STARTS = (
    datetime(2026, 3, 27, tzinfo=UTC),
    datetime(2026, 10, 23, tzinfo=UTC),
    datetime(2026, 1, 5, tzinfo=UTC),
)
#: Times of day that no change of a clock skips or repeats.
CLOCKS = ("00:00", "06:45", "08:00", "09:15", "12:00", "13:30", "17:00", "22:00", "24:00")
ZONES = ("Europe/Copenhagen", "UTC", "Asia/Kolkata")
PLAIN = [
    {"owner": "desk", "weekday": day, "opens": "09:00", "closes": "17:00",
     "tz": "Europe/Copenhagen"}
    for day in range(1, 6)
]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    schema = TABLES["calendar"].schema
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(full, schema=schema)


def calendar(rows: list[dict[str, Any]]) -> Calendar:
    return Operational({"calendar": table(rows)}).calendar


def micros(moments: list[datetime]) -> Any:
    since = datetime(1970, 1, 1, tzinfo=UTC)
    return np.array([(m - since) // timedelta(microseconds=1) for m in moments], np.int64)


def between(rows: list[dict[str, Any]], name: str | None, begin: datetime, end: datetime) -> Any:
    owner = Categorical.named(np.array([0 if name else -1]), ["" if name is None else name])
    spans, known = calendar(rows).between(owner, micros([begin]), micros([end]))
    return int(spans[0]) / HOUR if known[0] else None


def after(rows: list[dict[str, Any]], begin: datetime, span: int) -> Any:
    owner = Categorical.named(np.array([0]), ["desk"])
    instants, known = calendar(rows).after(owner, micros([begin]), np.array([span]))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(instants[0])) if known[0] \
        else None  # fmt: skip


@st.composite
def calendars(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to six rows of two owners and of everybody: shifts, nights, dates, holidays, validity."""
    zone = draw(st.sampled_from(ZONES))
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        opens = draw(st.sampled_from((None, *CLOCKS[:-1])))
        some = [c for c in CLOCKS[1:] if c != opens]
        by_date = draw(st.sampled_from((False, False, True)))
        day = draw(st.sampled_from(STARTS)).date() + timedelta(draw(st.integers(0, 3)))
        moment = st.sampled_from((None, None, *STARTS))
        rows.append(
            {
                "owner": draw(st.sampled_from(("desk", "desk", "shop", None))),
                "weekday": None if by_date else draw(st.integers(1, 7)),
                "date": day.isoformat() if by_date else None,
                "opens": opens,
                "closes": draw(st.sampled_from(some)) if opens else None,
                "tz": zone,
                "valid_from": draw(moment),
                "valid_to": draw(moment),
            }
        )
    return rows


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    return draw(st.sampled_from(STARTS)) + draw(st.integers(0, 5 * 96)) * QUARTER


def shifts_of(rows: list[dict[str, Any]], owner: str, day: date) -> list[dict[str, Any]]:
    """The rows that say the hours of a local day, read as the definition says it."""
    mine = [r for r in rows if r["owner"] == owner] or [r for r in rows if r["owner"] is None]
    first = datetime(1, 1, 1, tzinfo=UTC)
    dated = []
    for row in mine:
        begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(row["tz"]))
        valid = (row["valid_from"] or first) <= begins
        valid = valid and (row["valid_to"] is None or begins < row["valid_to"])
        if valid and (row["date"] == day.isoformat() or row["weekday"] == day.isoweekday()):
            dated.append((row["date"] is not None, row["valid_from"] or first, row))
    best = max((rank[:2] for rank in dated), default=None)
    return [row for *rank, row in dated if tuple(rank) == best]


def works(rows: list[dict[str, Any]], owner: str, moment: datetime) -> bool:
    """Does somebody work in the quarter that begins at the moment, by the clock on the wall?"""

    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    zones = {row["tz"] for row in rows}
    assert len(zones) == 1
    local = moment.astimezone(ZoneInfo(zones.pop()))
    now, today = local.hour * 60 + local.minute, local.date()
    for day, shown in ((today, now), (today - timedelta(1), now + 24 * 60)):
        for row in shifts_of(rows, owner, day):
            if row["opens"] is not None:
                opens, closes = minutes(row["opens"]), minutes(row["closes"])
                closes += 24 * 60 if closes < opens else 0
                if opens <= shown < closes:
                    return True
    return False


@LAWS
@given(calendars(), moments(), moments(), st.sampled_from(("desk", "shop", "nobody")))
def test_between_is_what_the_wall_clock_shows(
    rows: list[dict[str, Any]], begin: datetime, end: datetime, owner: str
) -> None:
    has = any(row["owner"] in (owner, None) for row in rows)
    end = min(end, begin + timedelta(days=5))
    quarters = 0
    moment = begin
    while moment < end:
        quarters += works(rows, owner, moment)
        moment += QUARTER
    assert between(rows, owner, begin, end) == (quarters / 4 if has else None)


@LAWS
@given(calendars(), st.lists(st.tuples(moments(), st.integers(0, 10**9)), min_size=3, max_size=3))
def test_additive_monotone_and_never_more_than_elapsed(
    rows: list[dict[str, Any]], some: list[tuple[datetime, int]]
) -> None:
    a, b, c = sorted(m + timedelta(microseconds=odd) for m, odd in some)
    known = calendar(rows)
    owner = Categorical.named(np.zeros(3), ["desk"])
    spans, sure = known.between(owner, micros([a, b, a]), micros([b, c, c]))
    assert spans[0] + spans[1] == spans[2]
    assert (spans >= 0).all()
    assert (spans <= micros([b, c, c]) - micros([a, b, a])).all()
    assert sure.all() == any(row["owner"] in ("desk", None) for row in rows)


@LAWS
@given(calendars(), moments(), st.integers(0, 60 * HOUR))
def test_after_is_the_first_instant_with_so_much_work(
    rows: list[dict[str, Any]], begin: datetime, span: int
) -> None:
    known = calendar(rows)
    owner, since = Categorical.named(np.zeros(1), ["desk"]), micros([begin])
    instants, there = known.after(owner, since, np.array([span]))
    if not there[0]:
        whole, sure = known.between(owner, since, since + HORIZON)
        assert not sure[0] or whole[0] < span
        return
    assert known.between(owner, since, instants)[0][0] == span
    if span:
        assert known.between(owner, since, instants - 1)[0][0] == span - 1


@LAWS
@given(calendars(), st.lists(moments(), min_size=1, max_size=6), moments())
def test_company_of_other_rows_changes_nothing(
    rows: list[dict[str, Any]], begins: list[datetime], end: datetime
) -> None:
    many = Categorical.named(np.zeros(len(begins)), ["desk"])
    ends = micros([end] * len(begins))
    together = calendar(rows).between(many, micros(begins), ends)[0]
    alone = [
        calendar(rows[::-1]).between(many.rows(np.array([0])), micros([b]), ends[:1])[0][0]
        for b in begins
    ]
    assert together.tolist() == alone


def test_a_weekend_is_no_working_time() -> None:
    friday, monday = datetime(2026, 1, 9, 15, tzinfo=UTC), datetime(2026, 1, 12, 9, tzinfo=UTC)
    assert between(PLAIN, "desk", friday, monday) == 2
    assert after(PLAIN, friday, 2 * HOUR) == datetime(2026, 1, 12, 9, tzinfo=UTC)
    assert after(PLAIN, friday, HOUR) == datetime(2026, 1, 9, 16, tzinfo=UTC)


def test_a_night_at_work_has_an_hour_less_or_more_when_the_clock_changes() -> None:
    night = [
        {"weekday": day, "opens": "22:00", "closes": "06:00", "tz": "Europe/Copenhagen"}
        for day in range(1, 8)
    ]
    spring, autumn = datetime(2026, 3, 28, 18, tzinfo=UTC), datetime(2026, 10, 24, 18, tzinfo=UTC)
    half_a_day = timedelta(hours=12)
    assert between(night, None, spring, spring + half_a_day) == 7
    assert between(night, "anybody", autumn, autumn + half_a_day) == 9


def test_hours_that_a_clock_skips_or_repeats() -> None:
    early = [{"weekday": 7, "opens": "02:30", "closes": "04:00", "tz": "Europe/Copenhagen"}]
    spring, autumn = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
    day = timedelta(days=1)
    assert between(early, "desk", spring, spring + day) == 1  # 03:00, the change, to 04:00
    assert between(early, "desk", autumn, autumn + day) == 2.5  # the first 02:30 to 04:00


def test_a_date_goes_before_its_weekday() -> None:
    rows = [*PLAIN, {"owner": "desk", "date": "2026-01-06", "tz": "Europe/Copenhagen"},
            {"owner": "desk", "date": "2026-01-10", "opens": "10:00", "closes": "12:00",
             "tz": "Europe/Copenhagen"}]  # fmt: skip
    tuesday, saturday = datetime(2026, 1, 6, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC)
    day = timedelta(days=1)
    assert between(rows, "desk", tuesday, tuesday + day) == 0
    assert between(rows, "desk", saturday, saturday + day) == 2


def test_nobody_ever_works() -> None:
    rows = [{"owner": "desk", "weekday": 1, "tz": "UTC"}]
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    assert between(rows, "desk", begin, begin + timedelta(days=9)) == 0
    assert after(rows, begin, HOUR) is None
    assert after(rows, begin, 0) == begin


def test_beyond_the_horizon_nothing_is_promised() -> None:
    once = [
        {"owner": "desk", "date": "2036-01-08", "opens": "09:00", "closes": "17:00", "tz": "UTC"}
    ]
    assert after(once, datetime(2026, 1, 5, tzinfo=UTC), HOUR) is None
    assert after(once, datetime(2035, 1, 5, tzinfo=UTC), HOUR) == datetime(
        2036, 1, 8, 10, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weekday": 8}, "expected a weekday 1"),
        ({"weekday": None}, "expected a weekday 1"),
        ({"date": "24.12.2026"}, "expected a date such as"),
        ({"tz": "Europe/Nowhere"}, "expected a time zone such as"),
        ({"opens": "9"}, "expected opens as a time"),
        ({"closes": "25:00"}, "expected closes as a time"),
        ({"closes": None}, "or neither on a holiday"),
        ({"closes": "09:00"}, "or neither on a holiday"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"row 2: .*{message}"):
        calendar([PLAIN[0], {**PLAIN[1], **change}])
