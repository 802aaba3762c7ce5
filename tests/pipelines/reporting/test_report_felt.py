"""What the report says of answers: rates, gap, relief, health beside health_ops, the curve."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rejse.pipelines.reporting.html import cards, drawings, page, queries
from rejse.pipelines.reporting.html.emotion_curve import BOTTOM, TOP, emotion_curve
from rejse.pipelines.reporting.html.queries import Figures
from tests.support import chromium, felt_fixture, report_fixture
from tests.support.report_fixture import plain_text, render

#: Standard normal at .975.
Z = 1.959963984540054


def _figures(store: report_fixture.Store) -> Figures:
    with store.connect() as con:
        return queries.read(con)


def _claims() -> report_fixture.Store:
    """Three claims: 8 at the page and 7 for the whole; 6 and 9; one that stayed silent."""
    store = report_fixture.Store()
    for name in "abc":
        report_fixture.claim(store, name)
    felt_fixture.asked(store, "a", {1: 0.8}, 0.7)
    felt_fixture.asked(store, "b", {1: 0.6, 2: 0.9}, n_ignored=1)
    felt_fixture.asked(store, "c", {2: None})
    return store


def test_answers_are_shown_with_the_silent_and_with_the_journeys_nobody_spoke_of() -> None:
    store = _claims()
    report_fixture.claim(store, "d")
    figures = _figures(store)
    (row,) = figures.felt_types
    assert (row["n_answered"], row["n_invited"]) == (4, 5)
    assert (row["n_felt"], row["n_journeys"]) == (2, 4)
    assert (row["n_gaps"], row["silo_gap"], row["silo_gap_half"]) == (
        1,
        pytest.approx(0.1),
        None,
    )
    # X: .4 x .7 + .4 x .7 + .2 x .75 = .71; .4 x .6 + .4 x .9 + .2 x .75 = .75
    assert row["experience01"] == pytest.approx((0.71 + 0.75) / 2)
    # the claim of the stories: health 70.7 with answers, health_ops 70.5 without
    assert row["health"][1] == pytest.approx((70.7 + 71.6) / 2, abs=0.2)
    assert row["health_ops"] == pytest.approx(70.5, abs=0.05)
    assert (row["n_health"], row["n_health_ops"]) == (2, 4)
    text = plain_text(render(store))
    for phrase in ("80 % 4 of 5", "50 % 2 of 4", "+0.10 n 1", "What people felt", "n 2", "n 4",
                 "2 of 4 journeys (50 %) have answers that score",
                 "1 complaint or low answer that nobody acted on",
                 "50 % of the journeys have no answers that score"):  # fmt: skip
        assert phrase in text


def test_the_page_counts_answers_as_the_view_of_responses_does() -> None:
    store = _claims()
    answer = {**store.rows["experience"][0], "is_invited": False, "is_in_time": None}
    store.add("experience", **{**answer, "x_id": "s/unlogged"})
    store.add("experience", **{**answer, "x_id": "s/inside", "respondent_type": "employee",
                               "is_invited": True, "is_in_time": True})  # fmt: skip
    store.add("experience", **{**answer, "x_id": "s/company", "level": "relationship",
                               "journey_id": None, "step_id": None, "is_answered": False,
                               "is_invited": True, "is_in_time": False})  # fmt: skip
    with store.connect() as con:
        counts = con.execute(
            "select sum(n_answered), sum(n_invited), sum(n_uninvited) from v_responses"
            " where respondent_type = 'customer'"
        ).fetchone()
    totals = _figures(store).felt_totals
    assert counts == (4, 6, 1)
    assert (totals["n_answered"], totals["n_invited"]) == (4, 6)


def test_an_answer_to_no_logged_invitation_has_no_rate_on_the_page() -> None:
    store = report_fixture.Store()
    report_fixture.claim(store, "a")
    felt_fixture.asked(store, "a", {1: 0.8}, n_invited=0, n_answered=0, n_uninvited=1)
    store.rows["experience"][0] |= {"is_invited": False, "is_in_time": None}
    text = plain_text(render(store))
    assert "not measured answers: no invitation is logged whose window has passed" in text
    assert "no invitation" in text
    assert "1 answer whose invitation nobody logged: in no response rate" in text


def test_the_interval_of_a_gap_is_that_of_all_means() -> None:
    store = report_fixture.Store()
    for name, places, whole in (("a", 0.8, 0.7), ("b", 0.9, 0.4)):
        report_fixture.claim(store, name)
        felt_fixture.asked(store, name, {1: places}, whole)
    (row,) = _figures(store).felt_types
    # gaps of .1 and .5: deviation .283, over the root of two .2
    assert (row["n_gaps"], row["silo_gap"]) == (2, pytest.approx(0.3))
    assert row["silo_gap_half"] == pytest.approx(Z * 0.2, abs=1e-12)


def test_relief_is_counted_and_called_gratitude() -> None:
    store = report_fixture.Store()
    report_fixture.worked_example(store)
    felt_fixture.asked(store, "f00d0000bbbb0002", {5: 1.0})
    figures = _figures(store)
    shown = cards.head_figures(figures.totals, figures.felt_totals)
    assert ("1", "of 1 journey: top rating after a long failure, so no health") in [
        (card.value, card.label) for card in shown
    ]
    assert "Relief: 1 journey whose last answer is in the top box" in plain_text(render(store))


def test_nobody_asked_is_said_and_not_drawn() -> None:
    store = report_fixture.Store()
    report_fixture.claim(store)
    text = plain_text(render(store))
    assert "There is no emotion curve" in text and "What people felt" not in text
    assert "no surveys, ratings or complaints are joined" in text
    assert "not measured answers: no invitation is logged" in text


def test_the_curve_stands_under_the_map_and_invents_no_place() -> None:
    store = report_fixture.Store()
    steps = [
        {"touchpoint": name, "owner": "Web", "channel": "web", "stage": "during"}
        for name in ("one", "two", "three")
    ]
    for name in "ab":
        report_fixture.journey(store, name, [dict(step) for step in steps])
    felt_fixture.asked(store, "a", {1: 1.0, 3: 0.2})
    felt_fixture.asked(store, "b", {1: 0.5, 2: None})
    figures = _figures(store)
    plan = drawings.journey_map(figures.places, figures.moves)
    assert plan is not None
    curve = emotion_curve(figures.emotions, plan)
    assert curve is not None and curve.width == plan.width
    assert [point.x for point in curve.points] == [plan.places[0].x, plan.places[2].x]
    assert [point.value for point in curve.points] == ["0.75", "0.20"]
    assert [point.n for point in curve.points] == ["2", "1"]
    assert curve.points[0].y == pytest.approx(BOTTOM - 0.75 * (BOTTOM - TOP))
    # 1 and .5: deviation .354, over the root of two .25, times 1.96 as everywhere (mean_half)
    halves = [row["emotion_half"] for row in figures.emotions if row["place"] == "one"]
    assert halves == [pytest.approx(Z * 0.25, abs=1e-12)]
    assert curve.points[0].low == pytest.approx(BOTTOM - (0.75 - 0.49) * (BOTTOM - TOP), abs=0.1)
    assert curve.points[0].high == TOP, "no interval leaves the scale"
    assert [stretch.leaps for stretch in curve.stretches] == [True]
    assert "n 2" not in curve.left_out


def test_what_was_only_said_unasked_is_hollow_and_an_employee_draws_nothing() -> None:
    store = report_fixture.Store()
    report_fixture.journey(store, "a", [{"touchpoint": "desk", "after": timedelta(hours=1)}])
    felt_fixture.asked(store, "a", {1: 0.4})
    store.rows["experience"][0] |= {"scored_as": None, "instrument": "review"}
    store.add("experience", **{**store.rows["experience"][0], "x_id": "s/2", "score01": 1.0,
                               "respondent_type": "employee"})  # fmt: skip
    figures = _figures(store)
    curve = emotion_curve(figures.emotions, drawings.journey_map(figures.places, figures.moves))
    assert curve is not None
    assert [(point.value, point.is_asked) for point in curve.points] == [("0.40", False)]
    html = render(store)
    assert 'class="hollow" cx' in html and "only said unasked" in html


def test_the_worst_journeys_tell_what_was_felt() -> None:
    text = plain_text(render(_claims()))
    assert "silo gap +0.10: the places 0.80, the whole 0.70" in text


@pytest.mark.parametrize("width", [390, 1280])
def test_the_curve_is_drawn_in_a_browser(tmp_path: Path, width: int) -> None:
    with felt_fixture.answered(report_fixture.company()).connect() as con:
        page.write(con, tmp_path / "felt.html")
    with chromium.browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "felt.html", width)
        assert browser.errors() == []
        curve = "document.querySelector('svg[aria-labelledby^=curve]')"
        assert browser.ask(f"{curve}.querySelectorAll('circle').length") == 12
        assert browser.ask(f"{curve}.getBoundingClientRect().height") > 100
        stroke = f"getComputedStyle({curve}.querySelector('path.felt')).stroke"
        assert browser.ask(stroke) != "none"
        inside = """[...document.querySelectorAll('#h-felt ~ table td')].filter(td =>
            td.getBoundingClientRect().right > document.querySelector('#h-felt').closest('section')
            .getBoundingClientRect().right).length"""
        assert browser.ask(inside) == 0, "no cell leaves its card"
