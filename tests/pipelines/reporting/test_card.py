"""A card: what it says of a customer, what it never says, and what it does not depend on."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.reporting.card import sentences
from rejse.pipelines.reporting.card.card import Card, Rules, card_of
from rejse.pipelines.reporting.card.names import WITHHELD, events, shown
from rejse.transforms import published_tables
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.parameters import DAY, JourneyType
from rejse.transforms.schema.registry import LIVE
from tests.support import strategies
from tests.support.builders import micros
from tests.support.cards import card_at, live, rules_of, tables_at
from tests.support.law import examples
from tests.support.transcript import Transcript

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEY = "cafe" * 8
RULES = Rules(lateness=DAY)


def before(days: float) -> datetime:
    return NOW - timedelta(days=days)


def journey(**given: Any) -> dict[str, Any]:
    return {"journey_id": "j1", "journey_type": "claim", "owner": "claims", "state": "open",
            "started_at": before(5), "ended_at": before(4), **given}  # fmt: skip


def step(seq: int = 1, **given: Any) -> dict[str, Any]:
    return {"step_id": f"j1-{seq:04d}", "journey_id": "j1", "seq": seq, "system": "web",
            "event_ids": [f"crm/e{seq}"], "started_at": before(6 - seq), **given}  # fmt: skip


def event(number: int = 1, **given: Any) -> dict[str, Any]:
    return {"source": "crm", "id": f"e{number}", "time": before(6 - number), **given}


def info(op: str, *fields: str) -> list[dict[str, Any]]:
    pairs = (name.partition("=") for name in fields)
    return [{"field": name, "op": op, "value_hmac": value or None} for name, _, value in pairs]


def tables(**rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Rows by stored table, in their published types; what a row leaves out is null."""
    return {
        name: pa.Table.from_pylist(
            [{CUSTOMER_KEY: KEY, **row} for row in of_table],
            pa.schema([field.with_nullable(True) for field in published_tables.schema(name)]),
        )
        for name, of_table in rows.items()
    }


def card(rules: Rules = RULES, until: datetime | None = NOW, **rows: Sequence[Any]) -> Card:
    at = None if until is None else micros(until)
    return card_of(KEY, {name: [part] for name, part in tables(**rows).items()}, at, NOW, rules)


def section(card: Card, title: str) -> list[str]:
    """The lines of a section, without their evidence."""
    lines = sentences.text(card).splitlines()
    rest = lines[lines.index(title) + 1 :]
    own = rest[: next((n for n, line in enumerate(rest) if not line.startswith(" ")), len(rest))]
    return [line.strip().partition(" [")[0] for line in own]


def test_nothing_known_is_said_and_is_no_zero() -> None:
    empty = card(journeys_live=[journey()])
    assert section(empty, "Open journeys") == [
        "claim of claims, since 5 Mar 2026 12:00; last 6 Mar 2026 12:00; no outcome yet; contacts"
        " not known; friction not measured"
    ]
    assert section(empty, "Said already") == ["no field is known to be given"]
    assert section(empty, "Promised") == ["no promise is known to be open"]
    assert section(empty, "Handed over, waits") == ["nothing is known to wait"]
    assert section(empty, "How they felt") == ["no answer of theirs is known"]
    assert section(empty, "Friction so far") == ["not measured: too little is logged"]
    assert section(empty, "Do not") == ["send marketing: no consent to it is logged"]
    assert (empty.friction_measured, empty.consents_to_marketing) == (False, None)
    measured = card(journeys_live=[journey(friction_score=0.0)])
    assert section(measured, "Friction so far") == ["none was measured"]


def test_of_nobody_nothing_is_known() -> None:
    assert not card().is_known
    assert card(journeys=[journey(state="closed")]).is_known
    assert card(excluded=[{"kind": "interaction"}]).is_known
    assert "taken for no person" in sentences.text(card(excluded=[{"kind": "interaction"}]))


def test_the_last_journeys_stand_first_and_the_rest_is_counted() -> None:
    journeys = [journey(journey_id=f"j{n}", ended_at=before(n), n_contacts=n) for n in range(1, 6)]
    lines = section(card(journeys_live=journeys), "Open journeys")
    assert [line.split("; ")[3] for line in lines[:3]] == ["1 contact", "2 contacts", "3 contacts"]
    assert lines[3:] == ["… 2 more, in --json"]


def test_a_customer_without_an_open_journey_has_a_last_one() -> None:
    closed = [journey(state="closed", journey_id=f"j{n}", ended_at=before(n)) for n in (9, 7, 8)]
    assert section(card(journeys=closed), "Open journeys") == [
        "none; the last, claim, had its last event 3 Mar 2026 12:00"
    ]


def test_fields_stand_with_the_visit_and_system_that_got_them_first() -> None:
    known = card(
        journeys_live=[journey()],
        steps_live=[step(1), step(2, system="desk"), step(3, system="lab")],
        events=[
            event(1, info=info("given", "plate=a", "phone=b", "wish=c")),
            event(2, info=info("given", "plate=a", "phone=x", "name=n")),
            event(3, info=[*info("shown", "plate", "phone"), *info("asked", "age")]),
        ],
        rules=Rules(lateness=DAY, volatile_fields=("wish",)),
    ).known
    assert [(k.fields, k.system, k.since, k.also, k.differing) for k in known] == [
        (("phone", "plate"), "web", before(5), ("desk", "lab"), ("phone",)),
        (("name",), "desk", before(4), (), ()),
    ]
    assert known[0].evidence.events == ("crm/e1",)


def test_fields_of_closed_journeys_may_be_asked_again() -> None:
    rows = {"steps_live": [step()], "events": [event(info=info("given", "plate=a"))]}
    assert card(journeys_live=[journey(state="closed")], **rows).known == ()
    assert len(card(journeys_live=[journey()], **rows).known) == 1


@pytest.mark.parametrize(
    ("promise", "until", "state"),
    [
        ({"status": "open", "due_at": before(-1)}, NOW, "due"),
        ({"status": "open", "due_at": before(0.5)}, NOW, "past due"),
        ({"status": "open", "due_at": before(1)}, NOW, "past due"),
        ({"status": "open", "due_at": before(1.001)}, NOW, "overdue"),
        ({"status": "open", "due_at": before(3)}, before(2), "past due"),
        ({"status": "open", "due_at": before(3)}, None, "past due"),
        ({"status": "open", "due_at": None}, NOW, "undated"),
        ({"status": "late", "due_at": before(3)}, before(2), "overdue"),
        ({"status": "broken", "due_at": before(40)}, NOW, "broken"),
    ],
)
def test_a_promise_is_overdue_by_the_watermark(
    promise: dict[str, Any], until: datetime | None, state: str
) -> None:
    row = {"promise_id": "p", "journey_id": "j1", "kind": "callback", "owner": "claims",
           "made_by": "human", "made_at": before(41), "n_moves": 0, **promise}  # fmt: skip
    (due,) = card(journeys_live=[journey()], promises_live=[row], until=until).due
    assert (due.state, due.owner, due.made_by) == (state, "claims", "human")


def test_what_was_delivered_or_cancelled_is_not_promised() -> None:
    rows = [
        {"promise_id": "a", "status": "kept", "delivered_at": before(1)},
        {"promise_id": "b", "status": "late", "delivered_at": before(1)},
        {"promise_id": "c", "status": "cancelled"},
        {"promise_id": "d", "status": "broken", "journey_id": "closed"},
    ]
    promises = [{"journey_id": "j1", "made_at": before(9), "due_at": before(2), **r} for r in rows]
    assert card(journeys_live=[journey()], promises_live=promises).due == ()


def test_a_service_level_is_promised_too() -> None:
    level = {"journey_id": "j1", "sla": "first answer", "kind": "response", "owner": "claims",
             "started_at": before(5), "due_at": before(-2), "status": "open"}  # fmt: skip
    lines = section(card(journeys_live=[journey()], sla_results_live=[level]), "Promised")
    assert lines == [
        "service level (response) of claims until 12 Mar 2026 12:00, made 5 Mar 2026 12:00"
    ]


def test_a_handoff_waits_until_somebody_takes_it_up() -> None:
    hand = {"handoff_id": "h", "journey_id": "j1", "from_step": "j1-0001", "from_owner": "sales",
            "to_owner": "technician", "occurred_at": before(4), "due_at": before(-1)}  # fmt: skip
    rows = {"journeys_live": [journey()], "steps_live": [step()]}
    lines = section(card(**rows, handoffs_live=[hand]), "Handed over, waits")
    assert lines == [
        "sales to technician 6 Mar 2026 12:00, due 11 Mar 2026 12:00: nobody took it up"
    ]
    dropped = card(**rows, handoffs_live=[{**hand, "is_dropped": True, "due_at": before(2)}])
    assert [w.state for w in dropped.waiting] == ["dropped"]
    assert dropped.waiting[0].evidence.events == ("crm/e1",)
    taken = {**hand, "to_step": "j1-0002", "is_dropped": False}
    assert card(**rows, handoffs_live=[taken]).waiting == ()


def answer(number: int, **given: Any) -> dict[str, Any]:
    return {"x_id": f"survey/x{number}", "journey_id": "j1", "respondent_type": "customer",
            "instrument": "nps", "level": "touchpoint", "occurred_at": before(number),
            "is_answered": True, "has_text": False, **given}  # fmt: skip


def test_how_they_felt_is_what_they_said_last_and_what_is_not_known() -> None:
    felt = card(
        journeys_live=[journey()],
        experience_live=[
            answer(1, raw_score=3.0, scale_max=10.0, is_ignored=True, touchpoint="desk"),
            answer(2, has_text=True),
            answer(3, is_answered=False),
            answer(4, raw_score=9.0, respondent_type="employee"),
            answer(5, raw_score=8.0, scale_max=10.0, acted_at=before(4)),
            answer(6, raw_score=7.0),
        ],
    )
    assert section(felt, "How they felt") == [
        "3 of 10 (nps) at desk 9 Mar 2026 12:00; nobody acted on it in time",
        "in words, without a score (nps) 8 Mar 2026 12:00",
        "8 of 10 (nps) 5 Mar 2026 12:00; acted on 6 Mar 2026 12:00",
        "1 question without an answer: how they felt about that is not known",
    ]
    assert section(felt, "Do") == ["answer what they said: nobody acted on it"]


def test_friction_is_named_by_its_label_and_place() -> None:
    piece = {"journey_id": "j1", "kind": "reasked_info", "owner": "web", "owner_to": "claims",
             "occurred_at": before(4), "share": 0.25, "event_ids": ["crm/e2"]}  # fmt: skip
    pieces = [piece, {**piece, "event_ids": ["crm/e3"]}, {**piece, "journey_id": "other"}]
    (line,) = card(journeys_live=[journey()], friction_evidence_live=pieces).friction
    assert (line.label, line.n, line.share) == ("Asked again", 2, 0.5)
    assert (line.evidence.rule, line.evidence.events) == (
        "kinds.md#reasked_info",
        ("crm/e2", "crm/e3"),
    )


@pytest.mark.parametrize(
    ("outcome", "is_problem", "sells"),
    [
        (None, True, False), ("informed", True, False), ("resolved", True, True),
        (None, False, True), ("unresolved", False, False), ("no_result", False, False),
        ("sold", True, True),
    ],
)  # fmt: skip
def test_nothing_is_sold_while_a_problem_is_open(
    outcome: str | None, is_problem: bool, sells: bool
) -> None:
    rules = Rules(lateness=DAY, types={"claim": JourneyType("claim", is_problem=is_problem)})
    lines = section(card(rules, journeys_live=[journey(outcome=outcome)]), "Do not")
    assert ("offer or sell anything: a problem is open" not in lines) is sells


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        ([None], None), ([[]], False), ([["marketing"]], True), ([["service"]], False),
        ([["marketing"], None], True), ([["marketing"], ["service"]], False),
    ],
)  # fmt: skip
def test_the_last_logged_consent_holds(consents: list[Any], expected: bool | None) -> None:
    rows = [event(n, consent_purpose=given) for n, given in enumerate(consents, start=1)]
    made = card(journeys_live=[journey()], events=rows)
    assert made.consents_to_marketing is expected
    assert any("send marketing" in line for line in section(made, "Do not")) is not expected


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_card_does_not_depend_on_the_order_of_rows(seed: int) -> None:
    story = strategies.many_felt(seed, 4)
    now = datetime(2026, 2, 1, tzinfo=UTC)
    chance = random.Random(seed)
    whole = tables_at(story, now)
    keys = whole["journeys"].column(CUSTOMER_KEY).unique().to_pylist()
    assert keys
    for key in keys:
        rows = {
            name: [of_table.filter(pc.equal(of_table.column(CUSTOMER_KEY).cast("string"), key))]
            for name, (of_table,) in live(whole).items()
        }
        made = card_of(key, rows, micros(now), now, rules_of(story))
        assert made.is_known
        assert card_of(key, mixed(rows, chance), micros(now), now, rules_of(story)) == made


def mixed(
    rows: Mapping[str, Sequence[pa.Table]], chance: random.Random
) -> dict[str, list[pa.Table]]:
    """The rows in another order and in other parts."""
    out = {}
    for name, (of_table,) in rows.items():
        order = chance.sample(range(of_table.num_rows), of_table.num_rows)
        cut = chance.randint(0, of_table.num_rows)
        parts = ([number] for number in order[:cut])
        out[name] = [of_table.take(pa.array(part, pa.int64())) for part in (*parts, order[cut:])]
    return out


#: What must never be shown where a name is expected: addresses, numbers, sentences, controls.
HOSTILE = st.one_of(
    st.from_regex(r"[a-z]{3,8}@[a-z]{3,8}\.dk", fullmatch=True),
    st.from_regex(r"\+?\d{2}( ?\d{2}){3,5}", fullmatch=True),
    st.from_regex(r"([a-zæøå]{1,9} ){4,12}[a-z]{2,9}", fullmatch=True),
    st.from_regex(r"[a-z]{2,9}(\x1b\[31m|\u202e|\n|\x00|<b>|\")[a-z]{2,9}", fullmatch=True),
    st.text(min_size=41, max_size=80).filter(lambda text: len(text.strip()) > 9),
)
#: Columns that hold no name: of these nothing is shown, whatever it is.
FREE = {
    "journeys": ("case_id", "product_id", "segment"),
    "steps": ("activity", "intent", "actor_id", "site_id"),
    "friction_evidence": ("detail", "unit"),
    "experience": ("topics", "survey_id", "question_id", "language", "respondent"),
    "events": ("correlationid", "message_id", "case_id", "error_code", "attrs"),
    "promises": ("promise_id",),
    "sla_results": ("sla",),
}
NAMES = {
    "journeys": ("journey_type", "owner"),
    "steps": ("touchpoint", "system"),
    "friction_evidence": ("owner", "owner_to"),
    "experience": ("touchpoint",),
    "handoffs": ("from_owner", "to_owner", "from_team", "to_team"),
    "promises": ("owner", "made_by"),
    "sla_results": ("owner",),
}
ROWS: dict[str, dict[str, Any]] = {
    "journeys": journey(),
    "steps": step(),
    "friction_evidence": {"journey_id": "j1", "kind": "transfer", "occurred_at": before(4)},
    "experience": answer(1, raw_score=5.0),
    "handoffs": {"journey_id": "j1", "occurred_at": before(4), "due_at": before(1)},
    "promises": {"journey_id": "j1", "kind": "date", "made_at": before(4), "status": "open"},
    "sla_results": {
        "journey_id": "j1",
        "kind": "response",
        "started_at": before(4),
        "status": "open",
    },
    "events": event(),
}


FEW_HOSTILE = st.lists(HOSTILE, min_size=3, max_size=3)
ANY_TEXT = st.lists(st.text(min_size=6, max_size=60).map("§{}§".format), min_size=2, max_size=2)


@settings(max_examples=examples(60))
@given(FEW_HOSTILE, ANY_TEXT)
def test_a_card_shows_no_identity_no_value_and_no_free_text(
    hostile: list[str], texts: list[str]
) -> None:
    names, free = cycle(hostile), cycle(texts)
    rows = {}
    for name, row in ROWS.items():
        types = published_tables.schema(name)
        filled = {column: next(names) for column in NAMES.get(name, ())}
        for column in FREE.get(name, ()):
            value: Any = next(free)
            kind = types.field(column).type
            value = [(value, value)] if pa.types.is_map(kind) else value
            filled[column] = [value] if pa.types.is_list(kind) else value
        rows[name] = [row | filled]
    rows["steps"][0]["event_ids"] = ["crm/e1", next(free)]
    entry = {"field": next(names), "op": "given", "value_hmac": next(free)}
    rows["events"][0]["info"] = [entry, {"field": "plate", "op": "given", "value_hmac": None}]
    rows["events"][0]["consent_purpose"] = [next(free)]
    stored = {name if name == "events" else name + LIVE: part for name, part in rows.items()}
    made = card(**stored)
    document = json.dumps(asdict(made), ensure_ascii=False, default=str)
    text = sentences.text(made)
    assert WITHHELD in text
    for hidden in (*hostile, *texts):
        assert hidden.strip() not in text and hidden not in document
        assert json.dumps(hidden)[1:-1] not in document
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize(
    "name", ["claims", "Claims desk", "web_claim_form", "back-office/2", "Skade & Auto", "línea 24"]
)
def test_a_name_is_shown(name: str) -> None:
    assert shown(name) == name


@pytest.mark.parametrize(
    "name",
    ["ann@example.org", "12 34 56 78", "b" * 41, "call me back please now", "a\x1b[2J", "AB12345",
     "<b>web", "_", "\u202eweb"],
)  # fmt: skip
def test_what_looks_like_no_name_is_withheld(name: str) -> None:
    assert shown(name) == WITHHELD


def test_a_missing_name_is_none_and_odd_ids_are_left_out() -> None:
    assert (shown(None), shown("  ")) == (None, None)
    assert events(["b/2", "a/1", "a/1", "x/ann@b.dk", "x/a b", ""]) == ("a/1", "b/2")


def test_a_card_of_a_story_counts_what_its_journeys_do() -> None:
    claim = {"journey_type": "claim"}
    story = Transcript(
        "two visits",
        (
            {**claim, "time": 0, "touchpoint": "page", "info": {"given": ["plate=a"]}},
            {**claim, "time": "1d", "channel": "phone", "touchpoint": "desk"},
        ),
        {}, {"all": "9d"},
    )  # fmt: skip
    made = card_at(story, datetime(2026, 1, 8, tzinfo=UTC))
    (ongoing,) = made.journeys
    assert (ongoing.n_steps, ongoing.last_touchpoint, ongoing.last_channel) == (2, "desk", "phone")
    assert [known.fields for known in made.known] == [("plate",)]
