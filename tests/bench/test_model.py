"""The model of more events than were run: lines through measured parts, and a day by them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.model import Line, Load, Prices, checked, day, points


def curve(events: int) -> list[dict[str, Any]]:
    """What a curve has measured at a size: all is a line of it."""
    return [
        {"name": "1 worker", "events": events, "here": 9.0, "workers": 0.0, "peak_mb": 1.0},
        {
            "name": "2 workers", "events": events, "here": 4 + events * 1e-6,
            "workers": events * 20e-6, "peak_mb": 500.0,
        },
        {"name": "audit", "events": events, "here": 1 + events * 4e-6, "workers": 0.0},
        {"events": events, "parts": {}, "store": {"bytes": events * 150, "files": 60}},
    ]  # fmt: skip


def test_sizes_that_were_not_fitted_are_predicted() -> None:
    rows = [row for events in (1_000_000, 2_000_000, 10_000_000) for row in curve(events)]
    lines, check = checked(points(rows), [1_000_000, 2_000_000])
    assert (lines["alone"].fixed, lines["alone"].slope) == pytest.approx((4, 1e-6))
    assert {(name, events) for name, events, *_ in check} == {
        (name, 10_000_000) for name in ("alone", "shared", "audit", "memory", "bytes", "files")
    }
    assert [value for *_, value, _ in check] == pytest.approx([p for *_, p in check])


def test_neither_part_of_a_line_is_negative() -> None:
    assert Line.through({1: 1.0, 10: 20.0}).fixed == 0
    assert Line.through({1: 20.0, 10: 10.0}) == Line(15.0, 0.0)


def test_a_run_scores_the_history_of_the_customers_of_its_rows() -> None:
    of_few = Load(24e6, 24, 1_000, 100, 1, 1, 1)
    assert of_few.rescored == 1e6, "the rows themselves, at least"
    of_many = Load(24_000, 24, 1e9, 100, 1, 1, 1)
    assert of_many.rescored == pytest.approx(100_000, rel=1e-3), "each is of another customer"


def test_what_breaks_first_stands_first() -> None:
    rows = [row for events in (1_000_000, 2_000_000) for row in curve(events)]
    lines, _ = checked(points(rows), [1_000_000, 2_000_000])
    load = Load(24e6, 24, 1_000, 100, 365, 10, 0.5)
    takes, shares = day(lines, load, Line(3, 30e-6), Prices(1.0, 0.01))
    assert takes["CPU s a run"] == 33
    assert takes["wall s a run"] == pytest.approx(5 + (33 - 5 + 5) / 10)
    assert takes["cores busy all day"] == pytest.approx(24 * 38 / 86_400)
    assert takes["GB of store"] == pytest.approx(1_314)
    assert takes["money a month"] == pytest.approx(24 * 38 / 3_600 * 30.4 + 13.14)
    assert next(iter(shares)) == "memory of one machine"
    assert shares["memory of one machine"] == pytest.approx(1.0)
