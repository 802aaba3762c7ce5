"""Thresholds of the served views, as the publication says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.publication import catalogue
from tests.support import store_builder
from tests.support.sql_world import answer, survey_scores, table


@pytest.mark.parametrize(
    ("thresholds", "n", "n_high"),
    [
        ({}, 5, 2),
        ({"csat.satisfied_from": 3}, 5, 3),
        ({"csat.scale_min": 1, "csat.scale_max": 7, "csat.satisfied_from": 6}, 3, 1),
    ],
)
def test_who_is_satisfied_is_a_setting_of_the_publication(
    tmp_path: Path, thresholds: dict[str, float], n: int, n_high: int
) -> None:
    answers = [answer(n, x, 1, 5, instrument="csat") for n, x in enumerate([1, 2, 3, 4, 5])]
    answers += [answer(10 + n, x, 1, 7, instrument="csat") for n, x in enumerate([4, 5, 6])]
    store_builder.published(tmp_path, {"experience": answers}, thresholds=thresholds)
    with catalogue.connect(tmp_path) as session:
        rows = table(session, "from v_survey_scores where scope = 'all'")
    assert [(r["n"], r["n_off_scale"], r["n_high"]) for r in rows] == [(n, 8 - n, n_high)]


@pytest.mark.parametrize(
    ("points", "high", "low", "value"),
    [((6.5, 8.5), 0, 1, -50), ((8.999, 9, 6.999, 7), 1, 1, 0), ((9.5, 9.5), 2, 0, 100)],
)
def test_an_answer_between_two_marks_has_not_reached_the_upper_one(
    tmp_path: Path, points: tuple[float, ...], high: int, low: int, value: float
) -> None:
    answers = [answer(n, x, 0, 10, instrument="nps") for n, x in enumerate(points)]
    nps = survey_scores(tmp_path, answers)["nps"]
    assert (nps["n"], nps["n_high"], nps["n_low"]) == (len(points), high, low)
    assert nps["value"] == pytest.approx(value)


def test_answers_outside_their_scale_are_refused_and_counted(tmp_path: Path) -> None:
    answers = [answer(n, x, 0, 10, instrument="nps") for n, x in enumerate([9, 10, 11, -1])]
    answers = [row | ({} if 0 <= row["score01"] <= 1 else {"score01": None}) for row in answers]
    nps = survey_scores(tmp_path, answers)["nps"]
    assert (nps["n"], nps["n_off_scale"], nps["n_outside"], nps["value"]) == (2, 0, 2, 100)
