"""Each rule of alerts over a small company where it fires, and a near miss where it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from rejse.pipelines.alerts.evaluate import Evaluator
from rejse.pipelines.config.field_types import SettingsError
from rejse.transforms.alerts.ledger import SEVERITIES, Match
from tests.support import store_builder
from tests.support.alerting import RULES, live, stepped
from tests.support.store_builder import START, Rows, journey, key_of

HOUR = timedelta(hours=1)
OURS = {"journey_id": "j0001", "customer_key": key_of(1)}
#: Evidence that brings friction to 49.9 and to 50 of 100.
BELOW, ENOUGH = 0.374, 0.375


def rows(table: str = "journeys", **own: Any) -> Rows:
    """An open journey of two steps, and a row of a table."""
    steps = [stepped(1, n, owner="Care") for n in (1, 2)]
    both = live(journey(1, steps, owner="Care"))
    return both if table == "journeys" else {**both, table: [{**OURS, **own}]}


def at_risk(second: float, **own: Any) -> Rows:
    """Two pieces of evidence, in two steps."""
    pieces = [
        {"kind": "transfer", "severity": 0.2, "at": 0, "event_ids": ["crm/1"]},
        {"kind": "dead_end", "severity": second, "at": 1, "event_ids": ["crm/2", "crm/3"],
         "occurred_at": START + 48 * HOUR},
        {"kind": "rework", "severity": 0.001, "at": 1, "event_ids": ["crm/4"],
         "occurred_at": START + 49 * HOUR},
    ]  # fmt: skip
    whole = live(journey(1, [stepped(1, 1), stepped(1, 2)], pieces, owner="Care"))
    return {**whole, "journeys": [{**row, **own} for row in whole["journeys"]]}


def promise(**own: Any) -> Rows:
    return rows(
        "promises", promise_id="p1", step_id="j0001-1", kind="callback", owner="Care",
        **{"status": "open", "due_at": START + 9 * HOUR, **own},
    )  # fmt: skip


def evidence(kind: str, closed: bool = False) -> Rows:
    whole = rows("friction_evidence", kind=kind, event_ids=["crm/1", "crm/2"], owner="Sales",
                 owner_to="Technicians", evidence_id="e")  # fmt: skip
    state = {"state": "closed", "close_reason": "silence"} if closed else {}
    return {**whole, "journeys": [{**row, **state} for row in whole["journeys"]]}


def asked(*steps: int, **own: Any) -> Rows:
    """The field `plate` asked in these steps; all but the first ask are of what is known."""
    facts = {**OURS, "field": "plate", "owner": "Care", "basis": "observed"}
    requests = [
        {**facts, "step_id": f"j0001-{step}", "occurred_at": START + n * HOUR,
         "is_reask": n > 0, **own}
        for n, step in enumerate(steps)
    ]  # fmt: skip
    steps_ = live(journey(1, [stepped(1, n) for n in (1, 2, 3)]))
    return {**steps_, "info_requests": requests}


def answer(**own: Any) -> Rows:
    facts = {"respondent_type": "customer", "is_ignored": True, "score01": 0.2}
    return rows(
        "experience", x_id="survey/7", instrument="nps", owner="Care", occurred_at=START,
        **(facts | own),
    )  # fmt: skip


def relief(**own: Any) -> Rows:
    whole = answer(is_ignored=None, score01=1.0, is_top_box=True, scored_as="whole")
    felt = {**OURS, "owner": "Care", "is_relief": True, "friction_score": 64.2, **own}
    return {**whole, "journey_experience": [felt]}


#: Rule: what fires it, the opening event, and near misses.
CASES: Mapping[str, tuple[Rows, str, tuple[Rows, ...]]] = {
    "journey_at_risk": (
        at_risk(ENOUGH), "crm/3",
        (at_risk(BELOW), at_risk(ENOUGH, state="closed", close_reason="cap"),
         at_risk(ENOUGH, friction_score=None)),
    ),
    "promise_due": (
        promise(), "crm/j0001-1", (promise(status="kept"), promise(due_at=None)),
    ),
    "promise_broken": (
        promise(status="broken"), "crm/j0001-1",
        (promise(), promise(status="late", delivered_at=START), promise(status="cancelled")),
    ),
    "handoff_dropped": (
        evidence("handoff_dropped"), "crm/2", (evidence("handoff_without_context"),),
    ),
    "asked_a_third_time": (
        asked(1, 2, 3), "crm/j0001-3",
        (asked(1, 2), asked(1, 2, 3, basis="inferred"), asked(1, 2, 3, is_reask=False)),
    ),
    "upsell_in_problem": (
        evidence("upsell_in_problem"), "crm/2",
        (evidence("over_pressure"), evidence("upsell_in_problem", closed=True)),
    ),
    "angry_and_unheard": (
        answer(), "survey/7",
        (answer(score01=0.3), answer(is_ignored=None), answer(is_ignored=False),
         answer(acted_at=START + HOUR), answer(respondent_type="employee"), answer(score01=None)),
    ),
    "relief": (relief(), "survey/7", (relief(is_relief=None), relief(is_relief=False))),
}  # fmt: skip


@pytest.fixture(scope="module")
def matches() -> Callable[[Rows, str], list[Match]]:
    evaluator = Evaluator(RULES)

    def asked_for(given: Rows, rule: str) -> list[Match]:
        tables = {f"{name}_live": store_builder.table(name, part) for name, part in given.items()}
        matches, rules = evaluator.matches(tables)
        assert rules == RULES.keys()  # none failed
        return [match for match in matches if match.rule == rule]

    return asked_for


def test_every_rule_has_its_cases() -> None:
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_fires_and_nearly_fires(
    matches: Callable[[Rows, str], list[Match]], rule: str
) -> None:
    fires, opening, misses = CASES[rule]
    (match,) = matches(fires, rule)
    assert (match.journey_id, match.customer_key) == ("j0001", key_of(1))
    assert match.opening_event == opening
    assert match.owner in ("Care", "Sales", "Technicians")
    assert match.severity == RULES[rule].script.header["severity"]
    assert match.severity in SEVERITIES
    assert key_of(1) not in match.reason
    for number, miss in enumerate(misses):
        assert matches(miss, rule) == [], number


def test_what_goes_by_time_says_from_when(matches: Callable[[Rows, str], list[Match]]) -> None:
    (match,) = matches(promise(), "promise_due")
    assert match.holds_from == round((START + 5 * HOUR).timestamp()) * 1_000_000


@pytest.mark.parametrize("rule", CASES)
def test_a_missing_owner_silences_no_rule(
    matches: Callable[[Rows, str], list[Match]], rule: str
) -> None:
    """Nothing that only tells who is told silences a rule."""
    fires, _, _ = CASES[rule]
    no_owner = {
        name: [{**row, "owner": None, "owner_to": None} for row in part]
        for name, part in fires.items()
    }
    (match,) = matches(no_owner, rule)
    assert match.owner is None
    assert match.reason.strip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("select 1 as journey_id", "the columns journey_id"),
        ("copy (select 1) to 'x'", "cannot be read"),
        ("select * from read_csv('/etc/hosts')", "cannot be read"),
        ("select now() as journey_id", "now, which gives another value"),
        ("select * from nowhere", "one that fails"),
    ],
)
def test_a_rule_only_reads_the_rows_it_is_given(text: str, problem: str) -> None:
    from rejse.pipelines.alerts.evaluate import Rule
    from rejse.sql import Script

    with pytest.raises(SettingsError, match=problem):
        Evaluator({"own": Rule(Script("own", text, {}))})
