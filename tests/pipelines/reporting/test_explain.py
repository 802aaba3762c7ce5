"""`rejse explain`: the stories told again, the sums to the digits of the design, near matches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import lookup, what_if
from rejse.pipelines.reporting.explain import text as explain_text
from rejse.pipelines.reporting.explain.journey import Explanation, explain
from rejse.pipelines.reporting.explain.lookup import UnknownJourneyError
from rejse.pipelines.reporting.html import page, queries
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.schema.parameters import Rules
from tests.support import builders, report_fixture
from tests.support.core import score_events

CLAIM, WORKED = "c1a10000aaaa0001", "f00d0000bbbb0002"
OPEN, SILENT = "0be20000cccc0003", "51130000dddd0004"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with report_fixture.stories().connect() as session:
        yield session


def _without(explanation: Explanation, condition: str) -> tuple[float, float | None]:
    [alternative] = [w for w in explanation.what_ifs if (w.step_id or w.condition) == condition]
    health = alternative.score.health_ops
    return round(alternative.score.friction_score, 1), None if health is None else round(health, 1)


def test_the_claim_is_told_as_its_story(con: duckdb.DuckDBPyConnection) -> None:
    text = explain(con, CLAIM).text()
    assert "the customer, contact, at Claim form (web, Web, before)" in text
    assert "1 d 4 h later: an employee 5e1f00d…, contact, at Assessor's call" in text
    again = "asked again for damage, date, phone, place and plate: Web had these 5 since step 1"
    assert again in text
    assert "0 of 5 known fields went along" in text
    assert "waited 40 min to be served" in text
    assert "Asked again between Web and Claims: severity 0.321 = 0.45 × 0.713 for 5 fields;" in text
    assert "hazard 0.357/2 = 0.178; 31 % of all" in text
    assert "F = 100 × (1 − e^−H) = 43.9" in text
    assert "/ (0.35/1.00 + 0.4/0.561) = 70.5" in text


def test_worked_example_of_the_design_to_its_digits(con: duckdb.DuckDBPyConnection) -> None:
    explanation = explain(con, WORKED)
    assert round(explanation.score.hazard, 4) == 1.7394
    assert round(explanation.score.friction_score, 1) == 82.4
    assert round(explanation.score.delivery01, 4) == 0.1756
    assert (
        explanation.score.health_ops is not None and round(explanation.score.health_ops, 1) == 28.5
    )
    assert explanation.adds_up
    assert _without(explanation, f"{WORKED}-5")[0] == 68.1
    assert _without(explanation, "with the context passed")[0] == 77.6
    assert explanation.what_ifs[0].step_id == f"{WORKED}-5"


def test_every_incident_has_its_what_if_and_none_makes_it_worse(
    con: duckdb.DuckDBPyConnection,
) -> None:
    explanation = explain(con, WORKED)
    incidents = {step.step_id for step in explanation.steps if step.evidence}
    assert {w.step_id for w in explanation.what_ifs if w.step_id} == incidents
    assert all(w.friction_less > 0 and (w.health_more or 0) > 0 for w in explanation.what_ifs)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from(["reasked_info", "handoff_without_context", "customer_wait"]),
            st.floats(0.001, 0.95),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_what_if_is_the_score_of_the_evidence_that_is_left(
    pieces: list[tuple[int, str, float]],
) -> None:
    evidence = tuple(
        report_fixture.piece(f"e{number}", f"j-{step}", kind, severity)
        for number, (step, kind, severity) in enumerate(pieces)
    )
    for alternative in what_if.what_ifs(evidence, 1.0):
        left = [
            e
            for e in evidence
            if (
                e.step_id != alternative.step_id
                if alternative.step_id
                else e.kind == "customer_wait"
            )
        ]
        anew = what_if.score(left, 1.0)
        assert alternative.score.friction_score == pytest.approx(anew.friction_score, abs=1e-9)
        assert alternative.score.health_ops == pytest.approx(anew.health_ops, abs=1e-9)


def test_dropped_handoff_of_an_open_journey_has_friction_and_no_health(
    con: duckdb.DuckDBPyConnection,
) -> None:
    explanation = explain(con, OPEN)
    text = explanation.text()
    assert "handed from Sales to Technicians, who did nothing by 6 May 2025 09:12" in text
    assert explanation.score.health_ops is None
    assert "friction 50.0 (29.3 to 64.6); health not measured" in text
    assert "the journey is still open" in text
    assert "context of 2 hand-offs" in text


def test_null_is_said_and_never_told_as_zero(con: duckdb.DuckDBPyConnection) -> None:
    explanation = explain(con, SILENT)
    text = explanation.text()
    assert "friction not measured; health not measured" in text
    assert "nothing to add up" in text
    assert "nothing logged is not nothing wrong" in text
    assert "friction 0" not in text and "F 0" not in text
    assert explanation.what_ifs == ()


def test_evidence_that_does_not_add_up_is_admitted() -> None:
    store = report_fixture.Store()
    report_fixture.claim(store, friction_hazard=0.9)
    explanation = explain(store.connect(), "worst")
    assert not explanation.adds_up
    assert "The published H is 0.900000: the evidence does not add up to it." in explanation.text()


def test_json_carries_steps_sums_and_utc_times(con: duckdb.DuckDBPyConnection) -> None:
    report = json.loads(explain(con, CLAIM).json())
    assert report["journey"]["started_at"] == "2025-05-03T09:12:00+00:00"
    assert [len(step["evidence"]) for step in report["steps"]] == [0, 3]
    assert report["adds_up"] is True
    assert report["steps"][1]["asked"][0]["known_step_seq"] == 1


@pytest.mark.parametrize("wanted", [CLAIM, "c1a1", "C-17", " c1a1 "])
def test_journey_is_found_by_id_its_beginning_or_its_case(
    con: duckdb.DuckDBPyConnection, wanted: str
) -> None:
    assert lookup.find(con, wanted) == CLAIM


def test_worst_is_the_closed_journey_with_least_health(con: duckdb.DuckDBPyConnection) -> None:
    assert lookup.find(con, "worst") == WORKED
    assert [journey.journey_id for journey in lookup.worst(con)] == [WORKED, CLAIM, OPEN]
    assert WORKED in lookup.guide(con)


def _worst_of(*journeys: tuple[float, float | None], **own: Any) -> report_fixture.Store:
    """Journeys of one step, each with a severity and an outcome."""
    store = report_fixture.Store()
    for number, (severity, outcome01) in enumerate(journeys):
        evidence = [{"kind": "customer_wait", "severity": severity}] if severity else []
        step = {"touchpoint": "desk", "channel": "web", "owner": "A", "evidence": evidence}
        outcome = {1.0: "resolved", 0.0: "unresolved"}.get(outcome01 or 0.0)
        report_fixture.journey(
            store,
            f"{number:02}aa",
            [step],
            outcome01=outcome01,
            outcome=None if outcome01 is None else outcome,
            **own,
        )
    return store


@pytest.mark.parametrize(
    ("journeys", "worst", "note"),
    [([(0.95, 0.0), (0.9, 0.0), (0.94, 0.0), (0.5, 1.0)], "00aa",
      "3 journeys share the lowest health_ops, 10.0, its floor; this is the first by most"
      " friction"),
     ([(0.5, 1.0), (0.95, 0.0), (0.95, 0.0), (0.94, 0.0)], "01aa",
      "3 journeys share the lowest health_ops, 10.0, its floor, 2 of them the most friction too;"
      " this is the first by id"),
     ([(0.5, 1.0), (0.2, 1.0), (0.5, 1.0)], "00aa",
      "2 journeys share the lowest health_ops, 65.2, and the same friction; this is the first by"
      " id"),
     ([(0.5, None), (0.5, None)], "00aa",
      "2 journeys share the most friction, 50.0, without a health that ranks; this is the first"
      " by id"),
     ([(0.5, 1.0), (0.0, 1.0)], "00aa", ""), ([(0.0, 0.0), (0.0, 1.0), (0.2, 1.0)], "00aa", "")],
)  # fmt: skip
def test_the_worst_says_with_whom_it_shares_its_place(
    journeys: list[tuple[float, float | None]], worst: str, note: str
) -> None:
    explanation = explain(_worst_of(*journeys).connect(), "Worst ")
    assert (explanation.journey.journey_id, explanation.note) == (worst, note)
    assert explanation.text().startswith(f"{note}.\n" if note else "Journey ")
    assert json.loads(explanation.json())["note"] == note


def test_ties_beyond_the_list_are_said_in_it_and_on_the_page() -> None:
    con = _worst_of(*[(0.95, 0.0)] * 12, (0.5, 1.0)).connect()
    note = (
        "12 journeys share the lowest health_ops, 10.0, its floor, and the same friction; these"
        " are the first 10 by id"
    )
    assert f"The worst journeys ({note}):\n  00aa" in lookup.guide(con)
    assert note in page.render(queries.read(con), "Ties")
    few = _worst_of(*[(0.95, 0.0)] * 3, (0.5, 1.0)).connect()
    assert "the first 3 share the lowest health_ops, 10.0, its floor, and stand by id" in (
        lookup.guide(few)
    )


@pytest.mark.parametrize(
    ("journeys", "message"),
    [
        ([(0.0, 1.0), (0.0, 1.0)], "no friction was found in 2 journeys: no journey is the worst"),
        (
            [(0.0, 1.0), (0.0, 0.0)],
            "no friction was found in 2 journeys: no journey is the worst; 1 journey ended other"
            " than well: `rejse sql",
        ),
    ],
)
def test_without_friction_no_journey_is_the_worst(
    journeys: list[tuple[float, float | None]], message: str
) -> None:
    con = _worst_of(*journeys).connect()
    explanation = explain(con, "worst")
    assert explanation.note.startswith(message)
    assert explanation.note.endswith("; this is the first by health and id")
    assert explanation.text().startswith(f"{explanation.note}.")
    assert "No friction was found in 2 journeys: no journey is the worst." in (lookup.guide(con))
    html = page.render(queries.read(con), "Calm")
    assert "o friction was found in 2 journeys: no journey is the worst" in html
    assert "<details>" not in html


def test_where_too_little_was_logged_no_journey_is_the_worst() -> None:
    con = _worst_of((0.0, None), friction_score=None, health_ops=None).connect()
    note = explain(con, "worst").note
    assert note.startswith("too little was logged to see friction: no journey is the worst")


def test_an_end_that_does_not_rank_ranks_nothing(con: duckdb.DuckDBPyConnection) -> None:
    """All lists of the worst read one view, so what it leaves out is ranked by its friction."""
    cursor = report_fixture.stories().connect()
    cursor.execute(
        "create or replace view v_ranked_journeys as select *, true as is_mature from v_journeys"
        f" where journey_id != '{WORKED}' and state = 'closed'"
    )
    ranked = lookup.worst(cursor)
    assert [journey.journey_id for journey in ranked] == [CLAIM, WORKED, OPEN]
    assert [journey.health_ops is None for journey in ranked] == [False, True, True]
    assert queries.read(cursor).stability["n_worst"] == 1
    assert queries.read(con).stability["n_worst"] == 2


def test_unknown_journey_names_the_nearest(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(
        UnknownJourneyError, match="found none that is 'c1a10000aaaa000x'"
    ) as caught:
        explain(con, "c1a10000aaaa000x")
    assert caught.value.near[0] == CLAIM


def test_ambiguous_beginning_names_all_that_answer() -> None:
    store = report_fixture.Store()
    for end in "12":
        report_fixture.claim(store, f"c1a10000aaaa000{end}")
    with pytest.raises(UnknownJourneyError, match="several answer") as caught:
        explain(store.connect(), "c1a1")
    assert caught.value.near == ("c1a10000aaaa0001", "c1a10000aaaa0002")


@pytest.mark.parametrize("wanted", ["", "%", "' or 1=1 --", "\x1b[31m"])
def test_hostile_arguments_find_nothing(con: duckdb.DuckDBPyConnection, wanted: str) -> None:
    with pytest.raises(UnknownJourneyError) as caught:
        lookup.find(con, wanted)
    assert "\x1b" not in str(caught.value)


def test_empty_store_says_what_to_do() -> None:
    con = report_fixture.Store().connect()
    assert "run `rejse run`" in lookup.guide(con)
    with pytest.raises(UnknownJourneyError, match="holds no journeys"):
        explain(con, "worst")


def test_console_shows_names_as_they_are_and_no_escape_sequences() -> None:
    store = report_fixture.Store()
    step = {"touchpoint": "[red]desk[/red]\x1b[2J\u202e", "channel": "web", "owner": "A"}
    report_fixture.journey(store, "aa", [step])
    words = explain_text.text(explain(store.connect(), "aa"))
    assert "[red]desk[/red] [2J" in words
    assert "\x1b" not in words and "\u202e" not in words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
     (5400, "1 h 30 min"), (104_400, "1 d 5 h"), (None, "–"), (-60, "−1 min")],
)  # fmt: skip
def test_durations_are_worded_in_their_two_largest_units(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.0001, "<0.1 %"), (0.013, "1.3 %"), (0.5, "50 %"), (None, "–"), (1, "100 %"),
     (0.994, "99 %"), (0.996, "99.6 %"), (0.9994, "99.9 %"), (0.99999, ">99.9 %")],
)  # fmt: skip
def test_no_share_above_zero_is_worded_as_zero_and_none_below_one_as_all(
    share: float | None, words: str
) -> None:
    assert wording.share(share) == words


def _scored(events: list[dict[str, Any]]) -> dict[str, pa.Table]:
    """Events through the real core; the published stamp columns that explain reads are added."""
    scored = score_events(builders.table(events), Operational(), Rules(), {"crm": 2**60})
    stamp = pa.array(["0" * 16] * scored["journeys"].num_rows)
    return {**scored, "journeys": scored["journeys"].append_column("config_version", stamp)}


def test_a_story_scored_by_the_core_is_told_with_sums_that_agree() -> None:
    questions = ["date", "place", "damage", "plate", "phone"]
    web = {
        "time": 0, "journey_type": "claim", "touchpoint": "Claim form", "channel": "web",
        "owner": "Web", "system": "Web", "info": {"given": questions}, "outcome": "informed",
    }  # fmt: skip
    call = {
        "time": "1d", "case_id": "C-17", "journey_type": "claim", "touchpoint": "Assessor's call",
        "channel": "phone", "owner": "Claims", "system": "Claims", "actor_type": "human",
        "info": {"asked": questions}, "outcome": "resolved", "wait_s": 240,
    }  # fmt: skip
    with report_fixture.session(_scored([web, call])) as con:
        explanation = explain(con, "worst")
        page_text = page.render(queries.read(con), "Claims")
    assert explanation.adds_up
    journey, score = explanation.journey, explanation.score
    assert score.friction_score == pytest.approx(journey.friction_score, abs=1e-9)
    assert score.health_ops == pytest.approx(journey.health_ops, abs=1e-9)
    kinds = {piece.kind for step in explanation.steps for piece in step.evidence}
    assert kinds == {"reasked_info", "handoff_without_context"}
    assert round(score.friction_score, 1) == 43.2
    assert (
        "asked again for damage, date, phone, place and plate: Web had these 5"
        in explanation.text()
    )
    assert "100 % of all friction lies between Web and Claims" in page_text
