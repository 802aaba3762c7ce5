"""What the synthetic company's people felt: the truths planted in their answers are found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rejse.pipelines.demo import specs as demo_specs
from rejse.pipelines.demo import surveys
from rejse.pipelines.demo.journeys import END, journeys
from rejse.pipelines.demo.specs import MADE, NULL, Company
from tests.support.company import CompanyRun

#: Journeys that lost context between the web and claims, by what was logged.
LOST = (
    "select j.*, exists (from v_handoffs as h where h.journey_id = j.journey_id"
    " and from_owner = ? and to_owner = ? and n_fields_reasked > 0) as is_lost"
    " from v_journey_experience as j where journey_type = 'claim'"
)


def planted(company_run: CompanyRun, name: str) -> Any:
    return company_run.truths.planted[name]


@pytest.mark.parametrize("company", [MADE, NULL])
def test_every_question_is_put_after_events_that_are_there(company: Company) -> None:
    specs = {s.spec: s for some in demo_specs.journey_specs(company).values() for s in some}
    names = [question.name for question in surveys.questions(company)]
    assert len(names) == len(set(names)), "answers take their ids from the questions' names"
    for question in surveys.questions(company):
        assert {specs[spec]["journey_type"] for spec in question.specs} == {
            question.columns["journey_type"]
        }


@pytest.mark.parametrize("size", [1, 7])
def test_answers_are_the_same_in_chunks_of_any_size(size: int) -> None:
    drawn = journeys(3, 0, 140, 780, 600)
    whole = surveys.draw_answers(3, drawn)
    parts = [
        surveys.draw_answers(3, journeys(3, first, first + size, 780, 600))
        for first in range(0, 140, size)
    ]
    assert len(whole) > 50
    for name, column in vars(whole).items():
        pieces = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(np.sort(pieces), np.sort(column), name)


def test_nobody_is_asked_or_answers_after_the_year() -> None:
    answers = surveys.draw_answers(3, journeys(3, 0, 2_000, 2_000, 1_500))
    assert answers.asked_at.max() < END
    assert answers.answered_at.max() < END
    assert answers.acted_at.max() < END
    answered = answers.is_answered
    assert (answers.answered_at[answered] >= answers.asked_at[answered]).all()
    assert np.isnan(answers.points[~answered]).all()


def test_every_answer_finds_what_it_is_about(company_run: CompanyRun) -> None:
    methods = dict(
        company_run.rows(
            "select join_method, count(*) from v_experience where question_id is not null"
            " group by all"
        )
    )
    assert set(methods) == {"event", "correlation", "case", "touchpoint", "journey"}
    wrong = company_run.value(
        "select count(*) from v_experience as x left join v_steps as s using (step_id)"
        " where x.level = 'touchpoint' and s.touchpoint != x.touchpoint"
    )
    assert wrong == 0


def test_those_who_were_hurt_stay_silent_more_often(company_run: CompanyRun) -> None:
    plant = planted(company_run, "silence")
    rates = dict(
        company_run.rows(
            f"select is_lost or n_promises_late + n_promises_broken > 0 as is_hurt,"
            f" 1 - avg(cast(is_answered as integer)) from ({LOST}) as lost"
            " inner join v_journeys using (journey_id)"
            " inner join v_experience as x using (journey_id)"
            " where x.question_id = 'claim_whole' group by all",
            "web",
            "claims",
        )
    )
    assert rates[True] == pytest.approx(plant["rate"], abs=0.03)
    assert rates[False] == pytest.approx(plant["base_rate"], abs=0.03)
    assert rates[True] > rates[False] + 0.1


def test_the_silo_gap_is_found_where_it_was_planted_and_nowhere_else(
    company_run: CompanyRun,
) -> None:
    plant = planted(company_run, "silo_gap")
    gaps = dict(
        company_run.rows(
            f"select is_lost, avg(silo_gap) from ({LOST}) where silo_gap is not null group by all",
            *plant["where"].values(),
        )
    )
    assert gaps[True] == pytest.approx(plant["gap"], abs=0.04)
    assert gaps[False] == pytest.approx(plant["base_gap"], abs=0.04)
    widest = company_run.rows(
        "select journey_type, owner from v_silo_gaps where n_gaps > 3 order by silo_gap desc"
    )
    assert widest[0] == ("claim", "claims")


def test_relief_is_found_in_whom_it_was_planted(company_run: CompanyRun) -> None:
    plant = planted(company_run, "relief")
    (n, flagged) = company_run.rows(
        "select count(*), sum(cast(is_relief as integer)) from v_journey_experience"
        " inner join v_experience as x using (journey_id)"
        " where x.question_id = 'support_relief' and x.is_answered"
    )[0]
    assert n == plant["n"] > 10
    assert flagged >= 0.95 * n
    of_type = company_run.rows("select journey_type from v_relief")
    assert of_type.count(tuple(plant["where"].values())) > 0.75 * len(of_type)


def test_the_magic_moment_is_found(company_run: CompanyRun) -> None:
    plant = planted(company_run, "magic_moment")
    best = company_run.rows(
        "select touchpoint, avg(score01) from v_experience where level = 'touchpoint'"
        " and question_id not in ('support_solved', 'support_relief') and is_solicited"
        " and respondent_type = 'customer' group by all having count(score01) > 20"
        " order by 2 desc"
    )
    assert best[0] == ("technician_visit", pytest.approx(plant["mean"], abs=0.01))
    assert best[0][1] > best[1][1] + 0.1


def test_employees_feel_the_lost_context_too_and_make_no_score(company_run: CompanyRun) -> None:
    plant = planted(company_run, "inside")
    rates = dict(
        company_run.rows(
            f"select is_lost, avg(x.score01) from ({LOST}) as lost"
            " inner join v_experience as x using (journey_id)"
            " where x.question_id = 'claim_colleague' group by all",
            "web",
            "claims",
        )
    )
    assert rates[True] == pytest.approx(plant["mean"], abs=0.02)
    assert rates[False] == pytest.approx(plant["base_mean"], abs=0.02)
    assert company_run.value("select sum(n_inside) from v_journey_experience") >= plant["n"]


def test_complaints_that_nobody_acted_on_are_found(company_run: CompanyRun) -> None:
    plant = planted(company_run, "ignored")
    ((n, hits, unknown),) = company_run.rows(
        "select count(*), count(*) filter (is_ignored), count(*) filter (is_ignored is null)"
        " from v_experience where instrument = 'complaint' and question_id is not null"
    )
    assert n == plant["n"]
    assert plant["hits"] - unknown <= hits <= plant["hits"], "of the last days it is not known yet"
    assert unknown < 0.1 * n


def test_what_was_felt_follows_what_happened(company_run: CompanyRun) -> None:
    # Friction comes from events alone and experience from answers alone: so this tests the score.
    for journey_type in ("claim", "purchase"):
        query = (
            "select corr(friction_score, experience01) from v_journey_experience"
            " where journey_type = ?"
        )
        assert company_run.value(query, journey_type) < -0.2, journey_type
