"""Times as they are really written: each is recognised, and DuckDB reads it as meant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.onboarding import time_formats
from rejse.sql import SESSION
from tests.support.law import examples

#: 20 March 2025: its day tells that it is no month.
LATER = datetime(2025, 3, 20, 9, 5, tzinfo=UTC)


def moments(texts: Sequence[str], name: str = "time") -> list[datetime] | None:
    """The times that the recognised SQL reads; None where none is recognised."""
    time = time_formats.read(texts, "x", name, is_text=True)
    if time is None:
        return None
    with duckdb.connect() as con:
        con.execute(SESSION)
        con.execute("create table source (n integer, x varchar)")
        con.executemany("insert into source values (?, ?)", list(enumerate(texts)))
        micros = f"select epoch_us(cast({time.sql} as timestamptz)) from source order by n"
        return [datetime.fromtimestamp(us / 1e6, UTC) for (us,) in con.execute(micros).fetchall()]


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-20 09:05", "2025-03-20T09:05:00Z", "2025-03-20 09:05:00.000",
        "2025-03-20 10:05:00 CET", "2025-03-20 10:05:00 Europe/Copenhagen",
        "2025-03-20T10:05:00+01:00", "20/03/2025 09:05", "20.03.2025 09:05:00", "20-3-2025 9:05",
        "3/20/2025 9:05", "3/20/25 9:05", "3/20/2025 9:05:00 AM", "3/20/2025 9:05AM",
        "20/3/2025, 09:05", "2025/03/20 09:05", "20 Mar 2025 09:05", "20-Mar-25 09:05",
        "20 March 2025 09:05", "Mar 20, 2025 9:05 AM", "March 20, 2025 9:05 AM",
        "Thu, 20 Mar 2025 09:05:00", "Thu, 20 Mar 2025 10:05:00 +0100", "20/03/2025T09:05",
        "1742461500", "1742461500.0", "1742461500000", "1742461500000000", "1742461500000000000",
        "1.7424615E+12", "45736.378472222",
    ],
)  # fmt: skip
def test_a_time_is_read_as_meant(text: str) -> None:
    assert moments([text] * 3) == [LATER] * 3


def test_formats_may_take_turns() -> None:
    assert moments(["3/20/2025 9:05:00", "3/20/2025 9:05", "3/20/2025 9:05:00"]) == [LATER] * 3


@pytest.mark.parametrize(
    ("texts", "is_sure", "first"),
    [
        (["01/03/2025 09:00", "02/03/2025 09:00"], False, datetime(2025, 3, 1, 9, tzinfo=UTC)),
        (["01/03/2025 09:00", "13/03/2025 09:00"], True, datetime(2025, 3, 1, 9, tzinfo=UTC)),
        (["01/03/2025 09:00", "01/13/2025 09:00"], True, datetime(2025, 1, 3, 9, tzinfo=UTC)),
        (["1 Mar 2025 09:00", "2 Mar 2025 09:00"], True, datetime(2025, 3, 1, 9, tzinfo=UTC)),
    ],
)
def test_day_or_month_first(texts: list[str], is_sure: bool, first: datetime) -> None:
    time = time_formats.read(texts, "x", "time", is_text=True)
    assert time is not None and time.is_sure == is_sure
    assert ("DAY OR MONTH FIRST?" in time.why) != is_sure
    read = moments(texts)
    assert read is not None and read[0] == first


@pytest.mark.parametrize(
    "text",
    [
        "4512340001", "4512340001000", "ann", "", "12", "20250320", "45736", "00:03:25", "1.2.3",
        "20 Marts 2025 09:05", "Zzz, 20 Mar 2025 09:05:00", "99/99/2025",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    """Phone numbers, ids, durations, words; a number of days needs a name that says time."""
    name = "n" if text == "45736" else "time"
    read = time_formats.read([text] * 3, "x", name, is_text=True)
    assert read is None or text == "99/99/2025"


def test_days_and_months_that_contradict_each_other_are_no_format() -> None:
    assert moments(["13/01/2025 09:00", "01/13/2025 09:00"]) is None


@settings(max_examples=examples(50))
@given(
    st.lists(st.datetimes(datetime(2002, 1, 1), datetime(2032, 1, 1)), min_size=2, max_size=5),
    st.sampled_from(("%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d %b %Y %H:%M:%S",
                     "%Y-%m-%d %H:%M:%S", "%a, %d %b %Y %H:%M:%S", "%B %d, %Y %H:%M:%S")),
)  # fmt: skip
def test_what_is_written_is_read(times: list[datetime], form: str) -> None:
    whole = [time.replace(microsecond=0, tzinfo=UTC) for time in times]
    telling = [*whole, datetime(2025, 3, 20, 9, 5, tzinfo=UTC)]
    assert moments([time.strftime(form) for time in telling]) == telling


@pytest.mark.parametrize(
    ("text", "expected"), [("00:03:25", 205), ("1:00:00", 3_600), ("100:03:25", 360_205)]
)
def test_a_duration_becomes_seconds(text: str, expected: int) -> None:
    sql = time_formats.seconds([text, text], f"'{text}'")
    assert sql is not None
    assert duckdb.sql(f"select {sql}").fetchall() == [(expected,)]


def test_what_is_no_duration() -> None:
    assert time_formats.seconds(["205", "12"], "x") is None
    assert time_formats.seconds([], "x") is None
