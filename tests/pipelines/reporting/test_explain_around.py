"""What lies around a journey, in words: its cost, and service levels that were broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rejse.pipelines.reporting.explain.context import Breach, Cost, JourneyContext, lines

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
BARE = JourneyContext(START, START + timedelta(hours=1), None, None, None, None, None, None, None)


def test_minutes_and_money() -> None:
    cost = Cost(46.0, 58.0, 0.25, 1498.0, "DKK")
    assert list(lines(replace(BARE, cost=cost))) == [
        "its friction cost the customer 46 min and the company 58 min (25 % of it measured),"
        " 1,498 DKK in all"
    ]
    part = replace(cost, known_share=0.9)
    assert next(lines(replace(BARE, cost=part))).endswith(", at least 1,498 DKK in all")


def test_what_is_not_priced_has_no_money() -> None:
    cost = Cost(None, 15.0, 1.0, None, None)
    assert list(lines(replace(BARE, cost=cost))) == [
        "its friction cost the company 15 min (100 % of it measured)"
    ]


def test_nothing_known_nothing_said() -> None:
    assert list(lines(BARE)) == []
    assert list(lines(replace(BARE, cost=Cost(0.0, None, None, 0.0, "DKK")))) == []


def test_a_broken_service_level() -> None:
    due = START + timedelta(hours=4)
    broken = (
        Breach("first answer", "response", due, due + timedelta(hours=26)),
        Breach("solved\x1b[31m", "resolution", due, None),
    )
    assert list(lines(replace(BARE, breaches=broken))) == [
        "service level broken: first answer (response), due 2 Mar 2026 13:00, met 1 d 2 h later",
        "service level broken: solved [31m (resolution), due 2 Mar 2026 13:00, never met",
    ]
