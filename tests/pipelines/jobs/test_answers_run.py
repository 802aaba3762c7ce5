"""From a log and a file of answers to rates: init on both, check, run, and the views by hand."""

from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.onboarding.scaffold import init
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.reporting.html import page
from tests.support.sql_world import table

#: Each customer calls on 10 January; c2 again two days later, c4 is handed on within the call.
CALLS = """id,time,customer_id,activity,channel,direction,intent,outcome,to_owner,fcr_flag,talk_s
0,2025-01-01 09:00:00,c0,call,phone,inbound,,informed,,,60
1,2025-01-10 09:00:00,c1,call,phone,inbound,bill,resolved,,true,100
2,2025-01-10 09:00:00,c2,call,phone,inbound,bill,resolved,,true,100
3,2025-01-12 09:00:00,c2,call,phone,inbound,bill,resolved,,,100
4,2025-01-10 09:00:00,c3,call,phone,inbound,bill,unresolved,,false,100
5,2025-01-10 09:00:00,c4,call,phone,inbound,bill,,back_office,,
6,2025-01-10 09:05:00,c4,answer,phone,inbound,bill,resolved,,,100
7,2025-03-01 09:00:00,c0,call,phone,inbound,,informed,,,60
"""
ANSWERS = """id,customer_id,place,asked_at,answered_at,instrument,question,points,lowest,highest
a1,c1,call,2025-01-10 10:00:00,2025-01-10 11:00:00,other,resolved,1,0,1
a2,c2,call,2025-01-10 10:00:00,2025-01-10 11:00:00,other,resolved,0,0,1
a3,c3,call,2025-01-10 10:00:00,,other,resolved,,0,1
a4,c1,call,2025-01-10 10:00:00,2025-01-10 11:00:00,nps,recommend,9,0,10
a5,c2,call,2025-01-10 10:00:00,2025-01-10 11:00:00,nps,recommend,2,0,10
a6,c0,call,2025-03-01 10:00:00,2025-03-01 11:00:00,nps,recommend,8,0,10
"""


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The rows of some views after init and run, with a store and a report beside."""
    folder = tmp_path_factory.mktemp("answers")
    (folder / "calls.csv").write_text(CALLS)
    (folder / "surveys.csv").write_text(ANSWERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        init([folder / "calls.csv", folder / "surveys.csv"], folder)
        counts = settings.load(folder)
        checked = check(counts)
        assert [(source.problem, source.reasons) for source in checked.sources] == [(None, {})] * 2
        assert run(counts, RunRequest(complete=True, audit=None)).status == "published"
    with connect(counts.store) as con:
        page.write(con, folder / "report.html")
        shown = {"page": [{"text": (folder / "report.html").read_text()}]}
        for name in ("v_rates", "v_responses", "v_survey_scores", "v_closed_loop",
                     "v_journey_experience", "v_silo_gaps"):  # fmt: skip
            shown[name] = table(con, f"from {name}")
    return shown


def test_rates_of_a_run_are_those_counted_by_hand(views: dict[str, list[dict[str, Any]]]) -> None:
    counts = {
        row["rate"]: (row["numerator"], row["denominator"])
        for row in views["v_rates"]
        if row["scope"] == "all"
    }
    assert counts["fcr"] == (2, 4)
    assert counts["fcr_proxy"] == (3, 4)
    assert counts["fcr_flagged"] == (2, 3)
    assert counts["fcr_confirmed"] == (1, 2)
    assert counts["repeat_contact"] == (1, 5)
    assert counts["transferred"] == (1, 7)
    assert counts["handle_s"] == (620, 7)


def test_answers_of_a_run_keep_the_silent(views: dict[str, list[dict[str, Any]]]) -> None:
    invited = {
        (row["instrument"], str(row["invited_month"])): (row["n_answered"], row["n_invited"])
        for row in views["v_responses"]
    }
    assert invited["other", "2025-01-01"] == (2, 3)
    assert invited["nps", "2025-01-01"] == (2, 2)
    assert invited["nps", "2025-03-01"] == (0, 0), "who was asked yesterday may still answer"
    nps = next(row for row in views["v_survey_scores"] if row["scope"] == "all")
    assert (nps["measure"], nps["n"], nps["value"]) == ("nps", 3, 0)
    low = {row["instrument"]: row["n_records"] for row in views["v_closed_loop"]}
    assert low == {"nps": 1, "other": 1}, "a no is a low answer too"
    assert {row["n_judged"] for row in views["v_closed_loop"]} == {0}, "no action is logged"


def test_responses_are_the_same_by_survey_and_by_journey(
    views: dict[str, list[dict[str, Any]]],
) -> None:
    counted = {
        view: [sum(row[name] for row in views[view]) for name in ("n_answered", "n_invited")]
        for view in ("v_responses", "v_journey_experience", "v_silo_gaps")
    }
    assert all(counts == [4, 5] for counts in counted.values()), counted
    pending = [
        sum(row["n_pending"] for row in views[view])
        for view in ("v_responses", "v_journey_experience")
    ]
    assert pending == [1, 1]
    (html,) = (row["text"] for row in views["page"])
    assert "4 of 5" in html


def test_the_page_of_a_run_draws_what_was_felt(views: dict[str, list[dict[str, Any]]]) -> None:
    (html,) = (row["text"] for row in views["page"])
    assert "Emotion curve" in html and "What people felt" in html
