"""Rows of a published world and queries on it, for tests of the served SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from tests.support import store_builder
from tests.support.store_builder import START, Rows, journey, key_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def counted_world() -> Rows:
    """Journeys whose figures are counted by hand below."""
    lost = [
        {"touchpoint": "web_form", "owner": "Online", "channel": "web"},
        {"touchpoint": "hotline", "owner": "Care", "channel": "phone"},
    ]
    fallback = {"kind": "channel_fallback", "severity": 0.2, "at": 1, "locus": "edge",
                "owner": "Online", "owner_to": "Care", "minutes_customer": 12.0,
                "minutes_customer_basis": "measured"}  # fmt: skip
    bare = {**fallback, "kind": "handoff_without_context", "severity": 0.3}
    parts = [
        journey(1, lost, [fallback, bare], owner="Online", health_ops=50.0, outcome01=0.5,
                friction_edge_share=1.0, customer_key=key_of(1)),
        journey(2, lost, [fallback], owner="Online", health_ops=70.0, outcome01=1.0,
                friction_edge_share=1.0, customer_key=key_of(1)),
        journey(3, lost[1:], owner="Care", health_ops=100.0, outcome01=1.0),
        journey(4, lost, [{**fallback, "locus": "node"}], state="open", close_reason=None,
                is_final=False),
    ]  # fmt: skip
    rows = store_builder.joined(*parts)
    rows["friction_evidence"] += _pushed()
    rows |= _felt()
    rows["handoffs"] = [
        {"handoff_id": f"h{n}", "journey_id": "j0001", "customer_key": key_of(1),
         "from_owner": "Online", "to_owner": "Care", "context": context, "is_dropped": None}
        for n, context in enumerate(("none", "none", "full", "unknown"))
    ]  # fmt: skip
    rows["promises"] = [
        {"promise_id": f"p{n}", "journey_id": "j0001", "customer_key": key_of(1),
         "kind": "callback", "owner": "Care", "status": status}
        for n, status in enumerate(("kept", "kept", "late", "broken", "open", "cancelled"))
    ]  # fmt: skip
    rows["info_requests"] = [
        {"journey_id": "j0001", "step_id": f"j0001-{n}", "customer_key": key_of(1),
         "field": "iban", "system_asking": "crm", "system_known": "web", "is_reask": n > 0,
         "value_agrees": n != 2, "basis": "observed"}
        for n in range(3)
    ]  # fmt: skip
    return rows


def _pushed() -> list[dict[str, Any]]:
    """Pieces without hazard: a dead end on the web, a customer pressed and sold to."""
    facts = (
        ("dead_end", 2, 1, 1.0),
        ("over_pressure", 1, 1, 2.0),
        ("upsell_in_problem", 1, 1, 1.0),
    )
    return [
        {"evidence_id": f"{kind}-{number}", "journey_id": f"j{number:04d}", "kind": kind,
         "customer_key": key_of(customer), "step_id": f"j{number:04d}-1", "locus": "node",
         "raw_value": raw, "occurred_at": START, "severity": 0.0}
        for kind, number, customer, raw in facts
    ]  # fmt: skip


def _felt() -> Rows:
    """Relief after the first journey, and a complaint that nobody heard."""
    both = {"customer_key": key_of(1), "journey_type": "claim", "owner": "Online",
            "state": "closed"}  # fmt: skip
    silent = {"x_id": "s/2", "customer_key": key_of(1), "instrument": "nps", "is_solicited": True,
              "respondent_type": "customer", "occurred_at": START, "acted_at": START}  # fmt: skip
    asked = {**silent, "x_id": "s/1", "acted_at": None, "is_answered": True, "score01": 0.2,
             "is_ignored": True}  # fmt: skip
    return {
        "experience": [silent, {**asked, "has_text": True, "language": "da"}],
        "journey_experience": [
            {**both, "journey_id": "j0001", "is_relief": True, "friction_score": 60.0,
             "silo_gap": 0.25, "n_invited": 1, "n_answered": 1},
            {**both, "journey_id": "j0002", "is_relief": False, "n_invited": 1,
             "silo_gap": None},
        ],
    }  # fmt: skip


def contact(number: int, at: timedelta, **own: Any) -> dict[str, Any]:
    """A session that is an inbound contact, `at` after START."""
    return {
        "session_id": f"s{number}", "journey_id": "j", "customer_key": key_of(1), "seq": number,
        "source": "crm", "channel": "web", "channel_family": "digital", "is_contact": True,
        "intent": "bill", "direction": "inbound", "started_at": START + at,
        "ended_at": START + at + HOUR, "is_final": True, "n_events": 1, **own,
    }  # fmt: skip


def table(session: Session, query: str) -> list[dict[str, Any]]:
    answer = session.execute(query)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def opened(place: Path, rows: Rows, until: timedelta = 60 * DAY, **windows: int) -> Session:
    """A store with these rows, complete until so long after START."""
    end = int((START + until).timestamp()) * 1_000_000
    store_builder.published(
        place,
        rows,
        frontiers={"crm": end},
        x_frontiers={"s": end},
        windows={"repeat": 604_800_000_000, **windows},
    )
    session: Session = catalogue.connect(place)
    return session


def rates(
    session: Session, scope: str = "all", value: str | None = None
) -> dict[str, tuple[int, int]]:
    """(numerator, denominator) of each rate of one scope."""
    rows = table(session, "from v_rates")
    return {
        row["rate"]: (row["numerator"], row["denominator"])
        for row in rows
        if (row["scope"], row["scope_value"]) == (scope, value)
    }


def step(number: int, session_id: str, **own: Any) -> dict[str, Any]:
    """A step of the session, in the journey of `contact`."""
    return {
        "step_id": f"j-{number}", "journey_id": "j", "customer_key": key_of(1), "seq": number,
        "session_id": session_id, "event_ids": [f"crm/{number}"], "started_at": START,
        "ended_at": START, "is_final": True, "n_events": 1, **own,
    }  # fmt: skip


def answer(number: int, raw: float | None, least: float, most: float, **own: Any) -> dict[str, Any]:
    """An answer on its scale (none: invited and silent), about a place."""
    u = None if raw is None else (raw - least) / (most - least)
    return {
        "x_id": f"s/{number}", "customer_key": key_of(number), "respondent_type": "customer",
        "level": "touchpoint", "occurred_at": START, "raw_score": raw, "scale_min": least,
        "scale_max": most, "score01": u, "is_answered": u is not None, "is_solicited": True,
        "journey_type": "claim", **own,
    }  # fmt: skip


def survey_scores(
    place: Path, answers: Sequence[dict[str, Any]], scope: str = "all"
) -> dict[str, Any]:
    with opened(place, {"experience": list(answers)}) as session:
        rows = table(session, f"from v_survey_scores where scope = '{scope}'")
    return {row["measure"]: row for row in rows}
