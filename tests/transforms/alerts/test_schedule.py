"""Who is told when: quiet hours, a full hour, summaries; by a clock of the test's own."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from rejse.transforms.alerts.ledger import Alert, Match, fired, fold
from rejse.transforms.alerts.schedule import HOUR, Pace, parcels

ZONE = ZoneInfo("Europe/Copenhagen")
NIGHT = Pace((time(22), time(7)), ZONE, frozenset({"critical"}))


def at(clock: str, day: int = 2) -> int:
    """A time on the wall in March 2026, as microseconds."""
    local = datetime.fromisoformat(f"2026-03-{day:02d}T{clock}").replace(tzinfo=ZONE)
    return int(local.timestamp()) * 1_000_000


def alert(name: str, when: int, severity: str = "warning", owner: str | None = "Care") -> Alert:
    match = Match("rule", severity, "j1", "c", name, owner, "because")
    return fold([fired(match, when, 1)])[match.key]


def after(given: Alert, *entries: tuple[str, int]) -> Alert:
    """The alert after entries of these kinds; what is delivered is its last state."""
    for kind, when in entries:
        more = {
            "delivered": {"channel": "file", "n": given.n_announced},
            "withdrawn": {"because": "it was late"},
            "restored": {"base": 1},
            "closed": {"by": "desk", "is_true": None},
        }[kind]
        given = fold([{"kind": kind, "key": given.key, "at": when, **more}], {given.key: given})[
            given.key
        ]
    return given


def sent(alerts: list[Alert], now: int, pace: Pace) -> list[tuple[list[str], bool]]:
    """Opening events of each parcel, and whether it is a summary."""
    names = (([a.opening_event for a in p.alerts], p.is_summary)
             for p in parcels(alerts, "file", now, pace))  # fmt: skip
    return list(names)


def test_quiet_hours_hold_back_and_end_with_a_summary() -> None:
    alerts = [alert("a", at("21:59")), alert("b", at("22:00")), alert("c", at("03:00", 3)),
              alert("d", at("23:00"), "critical"), alert("e", at("07:00", 3))]  # fmt: skip
    assert sent(alerts[:1], at("21:59"), NIGHT) == [(["a"], False)]
    assert sent(alerts, at("06:59", 3), NIGHT) == [(["d"], False)]
    assert sent(alerts, at("07:00", 3), NIGHT) == [
        (["a"], False), (["d"], False), (["e"], False), (["b", "c"], True),
    ]  # fmt: skip
    assert sent(alerts[1:2], at("07:00", 3), NIGHT) == [(["b"], False)]


def test_quiet_hours_follow_the_wall_when_clocks_change() -> None:
    """On 29 March 2026 it is summer time from 3 o'clock: 7:00 is an hour sooner."""
    assert [NIGHT.is_quiet(at(clock, 29), "info") for clock in ("06:59", "07:00")] == [True, False]
    assert at("07:00", 29) - at("07:00", 28) == 23 * HOUR


@pytest.mark.parametrize("end", [time(7), time(12)])
def test_hours_of_one_day_and_no_hours(end: time) -> None:
    day = Pace((time(7), end), ZONE)
    assert day.is_quiet(at("07:00"), "info") == (end > time(7))
    assert not day.is_quiet(at("12:00"), "info")


def test_an_owner_gets_so_many_an_hour_the_last_a_summary() -> None:
    pace = Pace(per_owner_per_hour=3)
    start = at("12:00")
    alerts = [alert(name, start + n) for n, name in enumerate("abcde")]
    others = [alert("z", start, owner="Sales"), alert("y", start, owner=None)]
    assert sent([*alerts, *others], start + 9, pace) == [
        (["y"], False), (["a"], False), (["b"], False), (["c", "d", "e"], True), (["z"], False),
    ]  # fmt: skip
    heard = [after(a, ("delivered", start + 10 + (n > 0) + (n > 1)))
             for n, a in enumerate(alerts)]  # fmt: skip
    late = [alert(name, start + 20) for name in "fg"]
    assert sent([*heard, *late], start + 30, pace) == []  # three messages, five alerts
    assert sent([*heard, *late], start + 10 + HOUR, pace) == [(["f", "g"], True)]
    assert sent([*heard, *late], start + 11 + HOUR, pace) == [(["f"], False), (["g"], False)]
    assert sent([*heard, *late], start + 30, Pace()) == [(["f"], False), (["g"], False)]


def test_only_what_somebody_heard_of_is_taken_back() -> None:
    now = at("12:00")
    fresh = alert("a", now)
    heard = after(fresh, ("delivered", now))
    withdrawn = after(heard, ("withdrawn", now))
    assert sent([after(fresh, ("withdrawn", now))], now, Pace()) == []
    assert sent([heard], now, Pace()) == []
    assert sent([withdrawn], now, Pace(per_owner_per_hour=1)) == [(["a"], False)]
    assert sent([after(withdrawn, ("restored", now))], now, Pace()) == []  # nobody heard of either
    known = after(withdrawn, ("delivered", now))
    assert sent([known], now, Pace()) == []
    assert sent([after(known, ("restored", now))], now, Pace()) == [(["a"], False)]
    assert sent([after(fresh, ("closed", now))], now, Pace()) == []
    assert list(parcels([heard], "webhook", now, Pace())) != []  # each receiver for itself
