"""Null is not zero: no metric says 0 of what a journey does not carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from rejse.transforms.core import build_context, score_journeys
from rejse.transforms.dimensions.tables import TABLES, Operational
from rejse.transforms.feedback.attach import attach
from rejse.transforms.feedback.schema import BODY, EXPERIENCE
from rejse.transforms.feedback.schema import LOGGED_WHEN_PRESENT as LOGGED_OF_ANSWERS
from rejse.transforms.schema.contract import BY_NAME, LOGGED_WHEN_PRESENT, REQUIRED
from rejse.transforms.schema.parameters import OUTCOME_MAP, JourneyType, Rules
from rejse.transforms.schema.registry import Metric, metrics, needs_of
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.contacts import SATISFIED
from rejse.transforms.scoring.friction.kinds import PROVIDED_BY
from tests.support import builders

DAY = 86_400
OPERATIONAL: Mapping[str, list[dict[str, Any]]] = {
    "touchpoints": [
        {"touchpoint": "form", "owner": "web", "stage": "before"},
        {"touchpoint": "desk", "owner": "claims", "stage": "during", "expected_wait_s": 1.0,
         "expected_latency_s": 1.0},
        {"touchpoint": "later", "owner": "service", "stage": "after"},
    ],
    "touchpoint_fields": [
        {"touchpoint": "later", "field": "name", "op": "asks"},
        {"touchpoint": "form", "field": "name", "op": "asks"},
    ],
    "teams": [
        {"team": "first", "owner": "claims", "tier": 1},
        {"team": "second", "owner": "claims", "tier": 2},
    ],
    "calendar": [
        {"owner": None, "weekday": day, "opens": "00:00", "closes": "23:59", "tz": "UTC"}
        for day in range(1, 8)
    ],
    "weather": [{"site_id": "here", "weather": "rain", "temperature_c": 4.0,
                 "valid_from": builders.START, "valid_to": builders.moment("1d")}],
}  # fmt: skip
#: One journey each, in which every count finds something.
STORIES: Mapping[str, list[dict[str, Any]]] = {
    "talks": [
        {"time": 0, "touchpoint": "form", "owner": "web", "stage": "before", "intent": "bill",
         "outcome": "no_result", "info": {"given": ["name=a", "plate"]}, "site_id": "here",
         "promise": {"id": "kept", "due_time": "9d"}},
        {"time": 1 * DAY, "touchpoint": "desk", "owner": "claims", "stage": "during",
         "channel": "phone", "actor_type": "human", "intent": "bill", "outcome": "transferred",
         "team": "first", "wait_s": 60, "info": {"passed": ["name"], "asked": ["plate"],
                                                 "given": ["name=b"]},
         "to_owner": "nobody", "promise": {"id": "late", "due_time": "3d"},
         "cost_amount": "1.5", "currency": "DKK"},
        {"time": 2 * DAY, "touchpoint": "later", "owner": "service", "stage": "after",
         "channel": "phone", "actor_type": "human", "team": "second", "outcome": "escalated",
         "activity": "question", "promise": {"id": "broken", "due_time": "3d"}},
        {"time": 4 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone",
         "outcome": "unresolved", "info": {"passed": ["name", "plate"]},
         "promise": {"id": "late", "op": "delivered"}},
        {"time": 5 * DAY, "touchpoint": "later", "owner": "service", "channel": "internal",
         "activity": "question", "lifecycle": "assign",
         "promise": {"id": "kept", "op": "delivered"}},
        {"time": 6 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "internal",
         "waiting_for": "third_party", "promise": {"id": "open", "kind": "price"}},
        {"time": 7 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone",
         "outcome": "abandoned", "error_code": "cut", "results_n": 0},
        {"time": 8 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone",
         "outcome": "resolved"},
        {"time": 9 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone",
         "outcome": "unresolved"},
    ],
    "unknown context": [
        {"time": 0, "touchpoint": "form", "owner": "web"},
        {"time": DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone",
         "outcome": "transferred", "waiting_for": "customer"},
        {"time": 2 * DAY, "touchpoint": "desk", "owner": "claims", "channel": "phone"},
    ],
    "no context": [
        {"time": 0, "owner": "web", "info": {"given": ["name"]}},
        {"time": DAY, "owner": "claims", "channel": "phone", "info": {"asked": ["name"]}},
    ],
}  # fmt: skip
ROWS = [
    {"customer": name, "id": f"{name} {n}", **row}
    for name, story in STORIES.items()
    for n, row in enumerate(story)
]
#: What was felt of "talks": something asked for, said unasked, of the whole, by an employee.
ANSWERS: list[dict[str, Any]] = [
    {"raw_score": 2, "target": "crm/talks 1", "invited_time": 1 * DAY, "responded_time": 1 * DAY,
     "confidence": 1.0, "model_id": "m", "survey_id": "s", "question_id": "q", "topics": ["wait"],
     "scale_min": 0.0, "scale_max": 10.0, "higher_is_better": True},
    {"target": "crm/talks 2", "instrument": "complaint", "solicited": False,
     "text": "not good", "language": "en", "journey_type": "other", "touchpoint": "later"},
    {"raw_score": 9, "level": "journey", "correlationid": "k", "case_id": "c", "solicited": True,
     "action_time": 90 * DAY},
    {"raw_score": 4, "target": "crm/talks 1", "respondent_type": "employee", "actor_id": "a"},
    {"raw_score": 1, "target": "crm/talks 1", "instrument": "empathy"},
    {"raw_score": 5, "target": "crm/talks 2", "instrument": "star", "solicited": False},
    {"target": "crm/talks 3", "invited_time": 9 * DAY},
    {"target": "crm/talks 3", "instrument": "review", "text": "good", "language": "en"},
]  # fmt: skip
#: Counts of the records at hand, which say how many there are and nothing of what is not there.
OF_RECORDS = {
    "n_records", "n_invited", "n_answered", "n_pending", "n_uninvited", "n_unasked", "n_inside",
    "n_scores", "n_scores_texts", "n_emotions", "n_emotions_unasked", "n_emotions_texts",
    "n_asked_understood",
}  # fmt: skip
RULES = Rules(default_type=JourneyType(), sources={"crm": frozenset()})
MADE_OF = [metric for metric in metrics() if metric.inputs]
#: What is read out of other fields -> those.
TOLD: Mapping[str, frozenset[str]] = {
    **{name: frozenset().union(*ways) for name, ways in PROVIDED_BY.items()},
    "silo": frozenset().union(*PROVIDED_BY["owner"]),
    "stage": frozenset({"stage", "@touchpoints"}),
    "question": frozenset({"activity"}),
}


def published(left_out: Iterable[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Journeys and steps without some columns and (`@name`) tables."""
    left_out = set(left_out)
    kept = {
        name: [{**dict.fromkeys(TABLES[name].schema.names), **row} for row in rows]
        for name, rows in OPERATIONAL.items()
        if f"@{name}" not in left_out
    }
    data = Operational({n: pa.Table.from_pylist(r, TABLES[n].schema) for n, r in kept.items()})
    rows = [{name: value for name, value in row.items() if name not in left_out} for row in ROWS]
    far = {"crm": builders.micros(FAR)}
    ctx = build_context(builders.table(rows), data, RULES, far)
    scored = score_journeys(ctx)
    answer = {"time": 10 * DAY, "customer": "talks"}
    answers = [answer | {n: v for n, v in row.items() if n not in left_out} for row in ANSWERS]
    rules = replace(
        RULES, sources={**RULES.sources, "survey": frozenset({"action_time"} - left_out)}
    )
    x_far = {"survey": builders.micros(FAR)}
    felt = attach(builders.x_table(answers), ctx.sessionised, scored, rules, far, x_far)
    return {name: (scored | felt)[name].to_pylist() for name in TABLE_OF.values()}


FAR = builders.moment("90d")
TABLE_OF = {
    "journey": "journeys",
    "step": "steps",
    "experience": "experience",
    "journey_experience": "journey_experience",
}


@pytest.fixture(scope="module")
def whole() -> dict[str, list[dict[str, Any]]]:
    return published()


@pytest.mark.parametrize("metric", MADE_OF, ids=lambda metric: f"{metric.grain}-{metric.name}")
def test_without_its_inputs_a_metric_is_null(
    metric: Metric, whole: dict[str, list[dict[str, Any]]]
) -> None:
    rows = whole[TABLE_OF[metric.grain]]
    least = 0 if metric.column.name.startswith("n_") else -1
    shown = [row[metric.name] for row in rows if row[metric.name] is not None]
    assert any(isinstance(value, str) or value > least for value in shown), "nothing to find"
    inputs = {part for names in metric.inputs for name in names for part in TOLD.get(name, {name})}
    without = published(inputs)[TABLE_OF[metric.grain]]
    assert {row[metric.name] for row in without} == {None}


OF_EVENTS = set(BY_NAME) - set(REQUIRED) - {"recordedtime", "identity", "previousidentity"}
OPTIONAL = sorted(OF_EVENTS | {field.name for field in BODY} - set(EXPERIENCE.needed))
COUNTS = [
    metric
    for metric in metrics()
    if metric.grain in TABLE_OF
    and pa.types.is_integer(metric.column.type)
    and metric.name not in OF_RECORDS
]


@pytest.mark.parametrize("name", OPTIONAL)
def test_no_count_falls_to_zero_because_a_field_is_not_logged(
    name: str, whole: dict[str, list[dict[str, Any]]]
) -> None:
    """Of a metric that does not declare it."""
    without = published({name})
    for metric in COUNTS:
        is_declared = any(name in TOLD.get(part, {part}) for made in metric.inputs for part in made)
        if is_declared:
            continue
        before, after = (
            [row[metric.name] for row in rows[TABLE_OF[metric.grain]]] for rows in (whole, without)
        )
        if any(before):
            assert any(after) or set(after) == {None}, metric.name


def test_inputs_are_fields_tables_or_what_they_tell() -> None:
    known = set(BY_NAME) | {f"@{name}" for name in TABLES} | set(TOLD)
    of_answers = {"experience", "journey_experience"}
    told_by = [metric.inputs for metric in MADE_OF if metric.grain not in of_answers]
    for made_of in told_by + [kind.inputs for kind in KINDS.values()]:
        assert all(names <= known for names in made_of)
    for made_of in [metric.inputs for metric in MADE_OF if metric.grain in of_answers]:
        assert all(names <= set(EXPERIENCE.by_name) for names in made_of)


def test_what_every_event_has_is_no_input() -> None:
    assert needs_of([{"channel"}, {"outcome"}]) == ()
    assert needs_of(["owner", {"channel", "info"}]) == (frozenset({"owner"}), frozenset({"info"}))


def test_an_absent_description_is_unknown_and_an_absent_occurrence_is_none() -> None:
    assert not LOGGED_WHEN_PRESENT & {
        "owner", "team", "product_id", "intent", "touchpoint", "stage", "actor_id", "case_id",
    }  # fmt: skip
    assert set(BY_NAME) >= LOGGED_WHEN_PRESENT
    assert not LOGGED_WHEN_PRESENT & set(REQUIRED)
    assert set(EXPERIENCE.by_name) - set(EXPERIENCE.needed) >= LOGGED_OF_ANSWERS


def test_what_settles_a_contact_is_what_the_outcome_map_holds_for_good() -> None:
    assert set(SATISFIED) == {name for name, value in OUTCOME_MAP.items() if value == 1}
