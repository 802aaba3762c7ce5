"""Views and laws of X over a small published world, counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from tests.support import store_builder
from tests.support.audits import audit_of
from tests.support.sql_world import table
from tests.support.store_builder import START, Rows, journey, key_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


#: Customer of each journey.
CUSTOMERS = {1: 1, 2: 2, 3: 1}


def answer(
    number: int, of_journey: int, step: int | None, u: float | None, **own: Any
) -> dict[str, Any]:
    """An answer of the customer; with a step it is the step's score, else the whole's."""
    name = f"j{of_journey:04d}"
    return {
        "x_id": f"survey/{number}", "customer_key": key_of(CUSTOMERS[of_journey]),
        "journey_id": name,
        "step_id": None if step is None else f"{name}-{step}", "instrument": "nps",
        "respondent_type": "customer", "level": "journey" if step is None else "touchpoint",
        "occurred_at": START + number * HOUR, "score01": u, "is_solicited": True,
        "is_answered": True, "scored_as": "whole" if step is None else "step",
        "join_method": "case", "is_final": True, **own,
    }  # fmt: skip


def felt(number: int, **own: Any) -> dict[str, Any]:
    """A row of `journey_experience` beside a journey that closed."""
    return {
        "journey_id": f"j{number:04d}", "customer_key": key_of(number), "journey_type": "claim",
        "owner": "Online", "started_at": START, "ended_at": START + HOUR, "state": "closed",
        "n_records": 2, "is_final": True, "silo_gap": None, "emotion_slope": None, **own,
    }  # fmt: skip


def world() -> Rows:
    places = [
        {"touchpoint": "web_form", "owner": "Online"},
        {"touchpoint": "hotline", "owner": "Care"},
    ]
    rows = store_builder.joined(
        journey(1, places, owner="Online"),
        journey(2, places, owner="Online"),
        journey(3, places, owner="Online", customer_key=key_of(1), health_ops=40.0),
    )
    rows["experience"] = [
        answer(1, 1, 1, 0.8),
        answer(2, 1, 1, 0.6),
        answer(3, 1, 2, 0.9, is_solicited=False, scored_as=None, instrument="review"),
        answer(4, 1, None, 0.5),
        answer(5, 2, 2, 0.2),
        answer(6, 2, 1, 0.1, respondent_type="employee", scored_as=None),
        answer(7, 1, 1, None, sentiment01=0.0, scored_as=None, instrument="review"),
        answer(8, 3, 1, None, sentiment01=0.2, scored_as=None, instrument="review"),
        answer(9, 3, 1, None, sentiment01=0.4, scored_as=None, instrument="review"),
        answer(10, 3, 2, None, sentiment01=0.9),
        answer(11, 3, 2, 0.1, scored_as=None, instrument="review", is_solicited=False),
    ]
    rows["journey_experience"] = [
        felt(1, silo_gap=0.2, touchpoint_score_mean=0.7, journey_score=0.5, n_invited=4,
             n_answered=3, is_relief=True, friction_score=60.0, experience01=0.9),
        felt(2, silo_gap=0.0, touchpoint_score_mean=0.2, journey_score=0.2, n_invited=4,
             n_answered=1, is_relief=False),
        felt(3),
    ]  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("felt") / "store"
    store_builder.published(root, world())
    with catalogue.connect(root) as opened:
        yield opened


def test_the_curve_has_the_steps_that_somebody_spoke_of(session: Session) -> None:
    rows = table(session, "from v_emotion_curve order by journey_id, seq")
    assert [(r["journey_id"], r["place"], r["touchpoint"], r["is_asked"]) for r in rows] == [
        ("j0001", 1, "web_form", True),
        ("j0001", 2, "hotline", False),
        ("j0002", 1, "hotline", True),
        ("j0003", 1, "web_form", False),
        ("j0003", 2, "hotline", True),
    ]
    assert [r["emotion01"] for r in rows] == pytest.approx([0.7, 0.9, 0.2, 0.3, 0.9])
    assert [r["is_text"] for r in rows] == [False, False, False, True, True]
    changes = [None, pytest.approx(0.2), None, None, pytest.approx(0.6)]
    assert [r["emotion_change"] for r in rows] == changes
    assert [r["n_answers"] for r in rows] == [3, 1, 1, 2, 2], "an employee draws no curve"


def test_the_silo_gap_comes_with_its_number_and_its_interval(session: Session) -> None:
    (row,) = table(session, "from v_silo_gaps")
    assert (row["owner"], row["n_journeys"], row["n_gaps"]) == ("Online", 3, 2)
    assert row["silo_gap"] == pytest.approx(0.1)
    # mean .1, standard deviation of .2 and 0 is .1414, over the root of 2
    assert row["silo_gap_hi"] == pytest.approx(0.1 + 1.96 * 0.1, abs=1e-5)
    assert row["silo_gap_lo"] == pytest.approx(0.1 - 1.96 * 0.1, abs=1e-5)
    assert row["response_share"] == pytest.approx(0.5)
    # Wilson at 4 of 8: centre .5, half .285
    assert row["response_share_lo"] == pytest.approx(0.215, abs=1e-3)
    assert row["response_share_hi"] == pytest.approx(0.785, abs=1e-3)


def test_relief_says_what_the_customer_did_next(session: Session) -> None:
    (row,) = table(session, "from v_relief")
    assert (row["journey_id"], row["next_journey_id"]) == ("j0001", "j0003")
    assert row["next_health_ops"] == 40
    assert row["next_after_s"] == (2 * DAY - HOUR).total_seconds()


def test_a_lawful_world_passes_and_its_rules_are_tried(tmp_path: Path) -> None:
    bare = {n: rows for n, rows in world().items() if "experience" not in n}
    without, whole = audit_of(tmp_path / "bare", bare), audit_of(tmp_path / "felt", world())
    assert without.passed and whole.passed
    assert whole.n_rules > without.n_rules + 50, "tables of X are audited where there are any"


def test_broken_rows_of_x_are_named(tmp_path: Path) -> None:
    rows = world()
    rows["experience"][0] |= {"step_id": "j0002-1"}
    rows["experience"][1] |= {"score01": 1.5}
    rows["journey_experience"][0] |= {"delivery01": 0.5, "health": 20.0}
    rows["journey_experience"][2] |= {"journey_id": "j0002"}
    report = audit_of(tmp_path, rows)
    assert not report.passed
    broken = {(f.table, f.rule): f.rows for f in report.findings}
    assert broken == {
        ("experience", "answers_have_their_steps"): 1,
        ("experience", "score01.range"): 1,
        ("journey_experience", "health_lies_between"): 1,
        ("journey_experience", "key.unique"): 2,
    }
