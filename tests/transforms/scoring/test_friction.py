"""Every kind of friction: declared wholly, and its evidence well-formed on any log."""

from __future__ import annotations

import inspect
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from rejse.transforms.dimensions.tables import TABLES, Operational
from rejse.transforms.schema.contract import BY_NAME, LOGGED_WHEN_PRESENT
from rejse.transforms.schema.parameters import DAY, LATE_PROMISE_WEIGHT, WEIGHTS, Rules
from rejse.transforms.scoring.friction import KINDS, outreach
from rejse.transforms.scoring.friction.assess import assess
from rejse.transforms.scoring.friction.coverage import evidence_coverage
from rejse.transforms.scoring.friction.score import MAX_SEVERITY
from tests.support import builders, strategies
from tests.support.core import context_of, score_events
from tests.support.law import examples
from tests.support.transcript import Transcript

LAWS = settings(
    max_examples=examples(30),
    suppress_health_check=list(HealthCheck),
)

#: Where nothing follows, their edge begins and ends at the giver's step.
GIVERS = ("handoff_dropped", "transfer", "escalation")
#: These count over all journeys of the customer; all else stays in one.
OVER_ALL = ("repeat_contact", "contradiction")
CONTACTS = ("contradiction", "self_rescue", "channel_fallback", "channel_switch", "repeat_contact")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_kind_is_declared_wholly(name: str) -> None:
    kind = KINDS[name]
    assert 0 < WEIGHTS[name] <= MAX_SEVERITY
    assert len(kind.description) > 20
    assert kind.description == " ".join((inspect.getdoc(kind.detect) or "").split())
    assert kind.locus in ("node", "edge")
    assert kind.unit
    assert kind.needs
    tables = {f"@{name}" for name in TABLES}
    for alternative in kind.needs:
        assert alternative
        assert alternative <= set(BY_NAME) | tables


def test_a_late_promise_weighs_less_than_a_broken_one() -> None:
    assert 0 < LATE_PROMISE_WEIGHT < WEIGHTS["promise_broken"]


@pytest.mark.parametrize("seed", range(11, 14))
def test_evidence_is_anchored_and_proved_in_its_own_journey(seed: int) -> None:
    t = strategies.many(seed, 150)
    ctx = context_of(t)
    sessionised, journey_of = ctx.sessionised, ctx.sessionised.step_journey
    for name, kind in KINDS.items():
        detected = kind.detect(ctx)
        for column in fields(detected):
            held = getattr(detected, column.name)
            assert len(held.codes if hasattr(held, "codes") else held) == len(detected), name
        owner_of = (
            sessionised.customer.codes if name in OVER_ALL else np.arange(len(sessionised.journeys))
        )
        journey = owner_of[journey_of[detected.step]]
        assert (owner_of[sessionised.journeys.ids[detected.row]] == journey).all(), name
        linked = detected.previous >= 0
        assert kind.locus == "edge" or not linked.any(), name
        assert (owner_of[journey_of[detected.previous[linked]]] == journey[linked]).all(), name
        led = detected.step - (name not in GIVERS)
        # Contacts may overlap: the one that began first may last longer.
        assert name in CONTACTS or (detected.previous[linked] <= led[linked]).all(), name
        proved = detected.earlier >= 0
        assert (
            owner_of[sessionised.journeys.ids[detected.earlier[proved]]] == journey[proved]
        ).all(), name
        assert (detected.earlier[proved] != detected.row[proved]).all(), name
        for share in (detected.intensity, detected.confidence):
            assert ((share >= 0) & (share <= 1)).all(), name
        assert ((detected.weight > 0) & (detected.weight <= MAX_SEVERITY)).all(), name
        assert set(detected.basis.tolist()) <= {0, 1, 2}, name
        assert not np.isnan(detected.raw).any(), name


def test_the_made_logs_have_every_kind() -> None:
    seen: set[str] = set()
    for seed in (11, 12, 13, 14):
        ctx = context_of(strategies.many(seed, 150))
        seen |= {name for name, kind in KINDS.items() if len(kind.detect(ctx))}
    assert seen == set(KINDS)


@LAWS
@given(strategies.transcripts())
def test_ranks_halve_inside_a_step_from_its_worst_evidence(t: Transcript) -> None:
    a = assess(context_of(t))
    for step in set(a.evidence.step.tolist()):
        here = np.flatnonzero(a.evidence.step == step)
        by_rank = here[np.argsort(a.hazards.rank[here])]
        assert a.hazards.rank[by_rank].tolist() == list(range(len(here)))
        severities = a.hazards.severity[by_rank]
        assert (np.diff(severities) <= 0).all()
        assert ((severities > 0) & (severities < 1)).all()
        wanted = -np.log1p(-severities) * 0.5 ** np.arange(len(here))
        assert a.hazards.hazard[by_rank] == pytest.approx(wanted, rel=1e-15)


@LAWS
@given(strategies.transcripts())
def test_coverage_is_the_share_of_kinds_that_could_be_seen(t: Transcript) -> None:
    ctx = context_of(t)
    ids = ctx.sessionised.events.column("id").to_pylist()
    rows = {row["id"]: row for row in builders.table(t.events).to_pylist()}
    journeys: dict[int, list[dict[str, object]]] = {}
    for place, journey in enumerate(ctx.journeys.ids.tolist()):
        journeys.setdefault(journey, []).append(rows[ids[place]])
    launch = [kind for kind in KINDS.values() if kind.is_launch]

    owners = ctx.sessionised.owner.arrow().to_pylist()
    cased = {ids[n] for n in ctx.sessionised.case.known.nonzero()[0]}
    ended = {ids[n] for n in ctx.is_end.nonzero()[0]}
    owned = {ids[n] for n, owner in enumerate(owners) if owner is not None}

    def carries(mine: list[dict[str, object]], field: str) -> bool:
        if field.startswith("@"):
            return ctx.data.has(field[1:])
        if field == "owner":
            return any(row["id"] in owned for row in mine)
        if field == "end":
            return carries(mine, "outcome") or any(row["id"] in ended for row in mine)
        if field == "unsold_end":
            sold = [row["outcome"] == "sold" for row in mine if row["id"] in ended]
            return carries(mine, "end") and not (sold and all(sold))
        if field == "case":
            return any(row["id"] in cased for row in mine)
        declared = ctx.rules.sources if field in LOGGED_WHEN_PRESENT else {}
        return any(
            row.get(field) is not None or field in declared.get(str(row["source"]), ())
            for row in mine
        )

    for journey, covered in enumerate(evidence_coverage(ctx)):
        mine = journeys[journey]
        seen = [k for k in launch if any(all(carries(mine, f) for f in n) for n in k.inputs)]
        assert covered == pytest.approx(len(seen) / len(launch))


def evidence(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Evidence of events, as published."""
    scored = score_events(builders.table(rows), Operational(), Rules(), {"crm": 0})
    return scored["friction_evidence"].to_pylist()  # type: ignore[no-any-return]


def test_the_proof_of_a_re_ask_does_not_depend_on_other_customers() -> None:
    mine: list[dict[str, object]] = [
        {"time": 0, "owner": "a", "system": "s", "info": {"given": ["x"]}},
        {"time": 1, "owner": "a", "system": "s", "info": {"given": ["y"]}},
        {"time": 2, "owner": "b", "info": {"asked": ["x", "y"]}},
    ]
    others: list[dict[str, object]] = [
        {"time": 0, "customer": "lea", "id": f"b{n}", "info": {"given": [field]}}
        for n, field in enumerate("yx")
    ]
    for rows in (mine, [*others, *mine], [*others[::-1], *mine]):
        rows = [{"id": f"a{row['time']}", **row} for row in rows]
        (piece,) = (e for e in evidence(rows) if e["kind"] == "reasked_info")
        assert piece["event_ids"] == ["crm/a0", "crm/a2"]


def test_amounts_stand_beside_what_was_expected() -> None:
    message = {"channel": "email", "direction": "outbound", "message_kind": "marketing"}
    pieces = evidence([{**message, "time": n, "id": f"m{n}"} for n in range(4)])
    assert [(e["kind"], e["expected_value"], e["unit"]) for e in pieces] == [
        ("over_pressure", 3.0, "n/n")
    ]
    handed = {"channel": "internal", "owner": "a", "to_owner": "b", "activity": "x"}
    taken = {"channel": "internal", "owner": "b", "activity": "y", "time": "6d", "id": "t"}
    (late,) = evidence([{**handed, "time": 0, "id": "h"}, taken])
    assert (late["kind"], late["expected_value"]) == ("internal_wait", 3 * 86_400.0)
    assert late["event_ids"] == ["crm/h", "crm/t"]


def test_words_that_do_not_agree_name_both_events_and_their_field() -> None:
    rows: list[dict[str, object]] = [
        {"time": 0, "id": "a", "info": {"given": ["plate=x"]}},
        {"time": "1d", "id": "b", "info": {"given": ["plate=y"]}},
    ]
    (piece,) = (e for e in evidence(rows) if e["kind"] == "info_conflict")
    assert (piece["detail"], piece["event_ids"]) == ("plate", ["crm/a", "crm/b"])
    rows = [
        {"time": 0, "id": "a", "actor_type": "human", "claims": {"price": 1, "date": 2}},
        {"time": 1, "id": "b", "actor_type": "human", "claims": {"date": 3, "price": 1}},
    ]
    (piece,) = evidence(rows)
    assert (piece["kind"], piece["detail"]) == ("contradiction", "date")
    assert (piece["prev_step_id"], piece["event_ids"]) == (None, ["crm/a", "crm/b"])  # one step


def test_a_fallback_inside_a_session_stays_in_its_journey_and_session() -> None:
    bot = {"channel": "chatbot", "actor_type": "bot", "direction": "inbound"}
    human = {"channel": "chatbot", "actor_type": "human", "direction": "inbound"}
    other = {"time": 0, "customer": "Aaron", "id": "o"}
    rows = [other, {"time": 10, "id": "b", **bot}, {"time": 20, "id": "h", **human}]
    (piece,) = evidence(rows)
    assert (piece["prev_step_id"], piece["event_ids"]) == (None, ["crm/b", "crm/h"])  # one step
    rows[2] |= {"channel": "chat"}
    phone = {"time": 15, "id": "p", "channel": "phone"}  # another session in between
    by_kind = {e["kind"]: e for e in evidence([*rows, phone]) if "crm/b" in str(e["event_ids"])}
    piece = by_kind["channel_fallback"]
    assert piece["prev_step_id"] == f"{piece['journey_id']}-0001"
    assert (piece["step_id"], piece["event_ids"]) == (
        f"{piece['journey_id']}-0003",
        ["crm/b", "crm/h"],
    )


def test_messages_of_many_customers_over_centuries_are_counted_in_their_own_week() -> None:
    """Customers x microseconds would leave 64 bits, and one misdated event stretches the times."""
    customer = np.repeat(np.arange(4_000), 3)
    time = np.tile(np.array([0, 6, 8]) * DAY, 4_000) + 229 * 365 * DAY
    time[0] = 0
    seen = outreach.in_window(customer, time, 7 * DAY)
    assert seen[:3].tolist() == [1, 1, 2]
    assert seen[3:].reshape(-1, 3).tolist() == [[1, 2, 2]] * 3_999
