"""Rates of contacts, cases and surveys: numerators, denominators and intervals by hand."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from tests.support import store_builder
from tests.support.sql_world import (
    DAY,
    HOUR,
    answer,
    contact,
    opened,
    rates,
    step,
    survey_scores,
    table,
)
from tests.support.store_builder import START, Rows, journey, key_of

Z = 1.959963984540054


def onward(number: int, kind: str, **own: Any) -> dict[str, Any]:
    """Evidence that the step passed the customer on to the next one."""
    return {
        "evidence_id": f"{kind}-{number}", "journey_id": "j", "step_id": f"j-{number + 1}",
        "prev_step_id": f"j-{number}", "customer_key": key_of(1), "kind": kind, "locus": "edge",
        "occurred_at": START, "event_ids": [f"crm/{number}"], **own,
    }  # fmt: skip


def solved(number: int, contact_step: str, u: float, **own: Any) -> dict[str, Any]:
    """The customer's answer whether the contact solved it."""
    return {
        "x_id": f"s/{number}", "customer_key": key_of(1), "journey_id": "j",
        "step_id": contact_step, "respondent_type": "customer", "instrument": "other",
        "level": "touchpoint", "occurred_at": START + number * HOUR, "question_id": "resolved",
        "score01": u, "is_solicited": True, "is_answered": True, **own,
    }  # fmt: skip


def test_the_three_first_contact_resolutions_stay_apart(tmp_path: Path) -> None:
    """Five matured first contacts; company, agent and customer each say something else."""
    sessions: list[dict[str, Any]] = [
        {"outcome": "resolved", "fcr_flag": True},
        {"outcome": "resolved", "fcr_flag": True},  # repeated two days later
        {"outcome": "unresolved", "fcr_flag": True},
        {"outcome": None, "fcr_flag": False},
        {"outcome": "sold"},
    ]
    contacts = [
        contact(n, 20 * DAY, customer_key=key_of(n), **own) for n, own in enumerate(sessions, 1)
    ]
    contacts += [
        contact(9, 22 * DAY, customer_key=key_of(2), outcome="resolved"),
        contact(10, timedelta(), intent=None),
    ]
    answers = [
        solved(1, "j-1", 0.0),
        solved(2, "j-1", 1.0),  # the last one counts
        solved(3, "j-2", 0.0),
        solved(4, "j-3", 0.5),  # the middle is no yes
        solved(5, "j-4", 1.0, question_id=None, topics=["price", "resolved"]),
        solved(6, "j-5", 0.0, respondent_type="employee"),
        solved(7, "j-5", 0.0, question_id="kind"),
    ]
    steps = [step(n, f"s{n}") for n in range(1, 6)]
    rows = {"sessions": contacts, "steps": steps, "experience": answers}
    with opened(tmp_path, rows) as session:
        by_rate = rates(session)
        (row,) = table(session, "from v_first_contacts")
    assert by_rate["fcr"] == (2, 4), "of known outcomes"
    assert by_rate["fcr_unknown"] == (1, 5)
    assert by_rate["fcr_proxy"] == (4, 5)
    assert by_rate["fcr_flagged"] == (3, 4)
    assert by_rate["fcr_confirmed"] == (2, 4)
    assert (row["n_first"], row["n_answered"], row["n_confirmed"]) == (5, 4, 2)
    assert row["fcr_confirmed"] == 0.5 and row["fcr_confirmed_lo"] < 0.5 < row["fcr_confirmed_hi"]


def test_contacts_are_counted_where_they_could_count(tmp_path: Path) -> None:
    phone = {"channel": "phone", "channel_family": "voice", "intent": None}
    bot = {"channel": "chatbot", "channel_family": "chat", "has_machine": True}
    contacts = [
        contact(1, DAY, **phone, talk_s=100, hold_s=20, wait_s=500, outcome="resolved"),
        contact(2, DAY, **phone, talk_s=200, wrap_s=40, outcome="resolved"),
        contact(3, DAY, **phone, wait_s=4, outcome="abandoned"),  # below five seconds
        contact(4, DAY, **phone, wait_s=5, outcome="abandoned"),
        contact(5, DAY, **phone, outcome="abandoned"),
        contact(6, DAY, **phone),  # no outcome: not offered as far as the data says
        contact(7, DAY, **bot, intent="pin", has_human=True),
        contact(8, DAY, **bot, intent="pin", customer_key=key_of(2)),
        contact(9, 2 * DAY, **bot, intent="pin", customer_key=key_of(2)),
        contact(10, 59 * DAY, **bot, intent="pin", customer_key=key_of(3)),  # not matured
        contact(11, DAY, **bot, intent=None),  # a repeat could not be seen
        contact(12, DAY, direction="outbound", is_message=True, channel="email"),
    ]
    contacts = [{**own, "is_need_driven": own["direction"] == "inbound"} for own in contacts]
    # The first call was handed on, though its last outcome is resolved.
    steps = [step(1, "s1", owner=None), step(2, "s1", owner="Care"), step(3, "s2", owner="Care")]
    evidence = [onward(1, "transfer"), onward(3, "escalation")]
    rows = {"sessions": contacts, "steps": steps, "friction_evidence": evidence}
    with opened(tmp_path, rows, short_abandon=5_000_000) as session:
        by_rate, care = rates(session), rates(session, "owner", "Care")
        calls = rates(session, "channel", "phone")
        spread = table(session, "from v_rates where scope = 'all' and rate = 'handle_s'")[0]
        (phone_line,) = table(session, "from v_channels where channel = 'phone'")
    assert by_rate["abandoned"] == (2, 5)
    assert by_rate["transferred"] == (1, 2) and by_rate["escalated"] == (1, 2)
    assert by_rate["contained"] == (4, 5)
    assert by_rate["contained_no_repeat"] == (1, 3)
    assert by_rate["need_driven"] == (11, 12)
    assert by_rate["handle_s"] == (360, 2)
    assert care["transferred"] == (1, 2) and calls["abandoned"] == (2, 5)
    # 120 and 240 seconds: mean 180, deviation 84.85, over the root of two 60
    assert (spread["value"], spread["unit"]) == (180, "s")
    assert spread["value_lo"] == pytest.approx(180 - Z * 60)
    assert spread["value_hi"] == pytest.approx(180 + Z * 60)
    # v_channels lays the same counts side by side.
    beside = {
        "n_need_driven": ("need_driven", 0), "n_contacts": ("need_driven", 1),
        "n_abandoned": ("abandoned", 0), "n_offered": ("abandoned", 1),
        "n_transferred": ("transferred", 0), "n_answered": ("transferred", 1),
        "n_escalated": ("escalated", 0), "n_handled": ("handle_s", 1),
        "n_contained": ("contained", 0), "n_automated": ("contained", 1),
    }  # fmt: skip
    assert {n: phone_line[n] for n in beside} == {
        n: calls[r][k] if calls[r][1] else None for n, (r, k) in beside.items()
    }
    assert phone_line["abandoned_share"] == 2 / 5 and phone_line["wait_s_median"] == 5
    assert phone_line["handle_s_lo"] == pytest.approx(180 - Z * 60)


def test_scopes_add_up_and_unknown_stays_apart(tmp_path: Path) -> None:
    contacts = [
        contact(n, DAY, intent=intent, channel=channel, outcome="resolved")
        for n, (intent, channel) in enumerate(
            [("a", "web"), ("a", "phone"), ("b", "web"), (None, "web")]
        )
    ]
    with opened(tmp_path, {"sessions": contacts}) as session:
        rows = table(session, "from v_rates where rate = 'need_driven'")
    whole = {(row["scope"], row["scope_value"]): row["denominator"] for row in rows}
    assert whole["all", None] == 4
    assert (whole["intent", "a"], whole["intent", "b"], whole["intent", None]) == (2, 1, 1)
    assert (whole["channel", "web"], whole["channel", "phone"]) == (3, 1)


def test_reopened_journeys_are_counted_among_those_solved_and_matured(tmp_path: Path) -> None:
    ends: list[tuple[str, str, str | None, int | None]] = [
        ("j1", "closed", "end rule", 0),
        ("j2", "closed", "end rule", 1),
        ("j3", "closed", "silence", 1),  # solved once, opened again, never solved
        ("j4", "closed", "silence", 0),  # never solved
        ("j5", "open", None, 1),  # its window has not passed
        ("j6", "closed", "cap", 0),
        ("j7", "closed", "cap", 0),  # solved, and its cap came before its window's end
        ("j8", "closed", "start rule", 0),  # solved, and a new journey was begun
        ("j9", "open", None, 0),  # its window has not passed
        ("j10", "closed", "end rule", None),  # solved, and nothing would tell of a re-opening
    ]
    solved = {"j1", "j2", "j7", "j8", "j10"}
    rows: Rows = {
        "journeys": [
            {"journey_id": name, "customer_key": key_of(1), "journey_type": "claim",
             "owner": "Online", "state": state, "close_reason": reason, "n_reopens": n,
             "time_to_resolution_s": 60 if name in solved else None}
            for name, state, reason, n in ends
        ]
    }  # fmt: skip
    with opened(tmp_path, rows) as session:
        assert rates(session)["reopened"] == (2, 5)
        assert rates(session, "journey_type", "claim")["reopened"] == (2, 5)


def test_an_empty_store_has_rates_of_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, {}) as session:
        rows = table(session, "from v_rates")
        assert {(row["scope"], row["denominator"], row["value"]) for row in rows} == {
            ("all", 0, None)
        }
        for view in ("v_survey_scores", "v_responses", "v_first_contacts", "v_channels"):
            assert table(session, f"from {view}") == []


def test_nps_counts_promoters_against_detractors(tmp_path: Path) -> None:
    points = [0, 3, 6, 7, 8, 9, 10, 10, 9, 10]
    answers = [answer(n, x, 0, 10, instrument="nps") for n, x in enumerate(points)]
    answers += [
        answer(20, None, 0, 10, instrument="nps"),  # silent
        answer(21, 4, 1, 5, instrument="nps"),
    ]  # another scale is not equated
    answers += [
        answer(30, 9, 0, 10, instrument="enps", respondent_type="employee"),
        answer(31, 9, 0, 10, instrument="enps"),  # no customer has one
        answer(32, 0, 0, 10, instrument="enps", respondent_type="partner"),
    ]
    scores = survey_scores(tmp_path, answers)
    nps = scores["nps"]
    assert (nps["n"], nps["n_high"], nps["n_low"], nps["n_off_scale"]) == (10, 5, 3, 1)
    assert nps["value"] == pytest.approx(20)
    # 100^2 (.5 + .3 - .2^2) / 10
    assert nps["variance"] == pytest.approx(760)
    assert nps["value_lo"] == pytest.approx(20 - Z * sqrt(760))
    assert nps["value_hi"] == pytest.approx(20 + Z * sqrt(760))
    assert (scores["enps"]["n"], scores["enps"]["value"]) == (1, 100)
    # Wilson at 1 of 1 is .2065: the rest may have answered the worst
    assert scores["enps"]["value_lo"] == pytest.approx(100 - 200 * (1 - 0.206549), abs=1e-3)
    assert scores["enps"]["value_hi"] == 100


def test_nps_from_one_to_ten_keeps_its_boundaries(tmp_path: Path) -> None:
    answers = [answer(n, x, 1, 10, instrument="nps") for n, x in enumerate([6, 7, 8, 9])]
    nps = survey_scores(tmp_path, answers)["nps"]
    assert (nps["n"], nps["n_high"], nps["n_low"]) == (4, 1, 1)


def test_csat_and_the_three_conventions_of_ces_have_their_names(tmp_path: Path) -> None:
    answers = [answer(n, x, 1, 5, instrument="csat") for n, x in enumerate([1, 3, 4, 5])]
    answers += [answer(10 + n, x, 1, 7, instrument="ces") for n, x in enumerate([1, 3, 4, 5, 7])]
    # CES 1 asks how much effort: 2 of 5 is little, turned it is 4
    answers += [
        answer(20 + n, x, 1, 5, instrument="effort", score01=(5 - x) / 4)
        for n, x in enumerate([2, 5])
    ]
    scores = survey_scores(tmp_path, answers)
    assert (scores["csat"]["value"], scores["csat"]["n"]) == (0.5, 4)
    # Wilson at 2 of 4: centre .5, half .35
    assert scores["csat"]["value_lo"] == pytest.approx(0.1500, abs=1e-4)
    assert scores["csat"]["value_hi"] == pytest.approx(0.8500, abs=1e-4)
    assert scores["ces_share5"]["value"] == pytest.approx(2 / 5)
    assert scores["ces_mean"]["value"] == pytest.approx(4)
    assert scores["ces_net"]["value"] == pytest.approx(0)
    assert scores["ces1_mean"]["value"] == pytest.approx((4 + 1) / 2)


def test_levels_and_scopes_are_never_mixed(tmp_path: Path) -> None:
    answers = [
        answer(1, 10, 0, 10, instrument="nps", touchpoint="hotline"),
        answer(2, 0, 0, 10, instrument="nps", level="journey", touchpoint="hotline"),
        answer(3, 0, 0, 10, instrument="nps", touchpoint="web", occurred_at=START + 40 * DAY),
    ]
    with opened(tmp_path, {"experience": answers}) as session:
        rows = table(session, "from v_survey_scores")
    scores = {(r["scope"], r["scope_value"], r["level"]): (r["n"], r["value"]) for r in rows}
    assert scores["all", None, "touchpoint"] == (2, 0)
    assert scores["all", None, "journey"] == (1, -100)
    assert scores["touchpoint", "hotline", "touchpoint"] == (1, 100)
    assert scores["touchpoint", "hotline", "journey"] == (1, -100)
    assert scores["month", "2026-04-01", "touchpoint"] == (1, -100)


def test_response_rates_count_the_silent_and_only_matured_invitations(tmp_path: Path) -> None:
    nps = {"instrument": "nps", "touchpoint": "hotline"}
    asked = {**nps, "invited_at": START, "is_invited": True}
    in_time, late, pending = ({"is_in_time": value} for value in (True, False, None))
    answers = [
        answer(1, 9, 0, 10, **asked, **in_time, responded_at=START + HOUR),
        answer(2, 7, 0, 10, **asked, **in_time, responded_at=START + 3 * HOUR),
        answer(3, None, 0, 10, **asked, **late),
        answer(4, None, 0, 10, **nps, **late, is_invited=True),  # silent, asked at no known time
        answer(5, 3, 0, 10, **nps, is_invited=False),  # an answer whose invitation was not logged
        answer(6, None, 0, 10, **asked | {"invited_at": START + 6 * DAY}, **pending),
        answer(7, 5, 0, 10, **nps, is_solicited=False, is_invited=False),
        answer(8, 5, 0, 10, **asked, **late, responded_at=START + 14 * DAY + HOUR),
        answer(9, 5, 0, 10, **asked, **in_time, responded_at=START + 14 * DAY, is_solicited=False),
        answer(10, None, 0, 10, **asked, **pending),
    ]
    with opened(tmp_path, {"experience": answers}) as session:
        (row,) = table(session, "from v_responses")
    counts = ("n_invited", "n_answered", "n_late", "n_pending", "n_uninvited", "n_scores")
    assert [row[name] for name in counts] == [6, 3, 1, 2, 1, 5]
    assert row["response_share"] == 0.5
    assert row["answer_s_median"] == (3 + 14 * 24) / 2 * 3600
    assert str(row["invited_month"]) == "2026-03-01"


def test_what_the_company_sends_has_a_basis_and_consent_or_not(tmp_path: Path) -> None:
    mail = {"direction": "outbound", "channel": "email", "message_kind": "marketing",
            "source": "crm", "time": START, "identitytype": "customer"}  # fmt: skip
    sent: list[dict[str, Any]] = [
        {"message_id": "m1", "relevance_basis": "need", "consent_purpose": ["marketing"]},
        {"message_id": "m1", "relevance_basis": "need", "consent_purpose": ["marketing"]},
        {"message_id": "m2", "relevance_basis": "none", "consent_purpose": ["service"]},
        {"message_id": "m3", "relevance_basis": "preference", "consent_purpose": []},
        {"relevance_basis": "due"},
        {},
        {"message_kind": None, "consent_purpose": ["service"]},
        {"direction": "inbound"},
    ]
    events = [
        {**mail, "customer_key": key_of(1), "id": f"e{n}", **message}
        for n, message in enumerate(sent)
    ]
    call = contact(1, timedelta(), direction="outbound", channel="phone")
    rows_of: Rows = {
        "events": events,
        "sessions": [call],
        "steps": [step(1, "s1", event_ids=["crm/e6"])],
    }
    with opened(tmp_path, rows_of) as session:
        rows = {row["message_kind"]: row for row in table(session, "from v_outreach")}
    marketing = rows["marketing"]
    assert (marketing["n_contacts"], marketing["n_basis_known"], marketing["n_relevant"]) == (
        5,
        4,
        3,
    )
    assert (marketing["n_consent_known"], marketing["n_consented"]) == (3, 1)
    assert (marketing["n_need_driven"], marketing["n_relevant_no_consent"]) == (2, 1)
    assert marketing["relevant_share"] == 0.75
    assert (rows[None]["n_contacts"], rows[None]["n_consent_known"]) == (1, 0)


def test_a_call_of_several_events_is_one_contact_and_an_answer_is_none(tmp_path: Path) -> None:
    phone = {"channel": "phone", "source": "crm", "time": START, "identitytype": "customer",
             "direction": "outbound", "customer_key": key_of(1)}  # fmt: skip
    calls: list[dict[str, Any]] = [
        {"owner": "Care"},  # a call of three events
        {"relevance_basis": "need", "time": START + HOUR, "channel": "ivr"},
        {"owner": "Sales", "time": START + HOUR},
        {"message_kind": "upsell"},  # a call with a message of two events
        {"message_kind": "upsell", "message_id": "m1"},
        {"message_kind": "upsell", "message_id": "m1"},  # told again in an inbound call
        {},  # the agent's part of that call
        {"message_kind": "upsell"},  # what was pushed in it, without an id
        {"message_kind": "upsell", "message_id": "m1", "customer_key": key_of(2)},
        {},  # of no contact at all
    ]
    events = [{**phone, "id": f"e{n}", **values} for n, values in enumerate(calls)]
    sessions = [
        contact(n, timedelta(), channel="phone", direction=direction)
        for n, direction in enumerate(("outbound", "outbound", "inbound"))
    ]
    parts = {"s0": (0, 1, 2), "s1": (3, 4), "s2": (5, 6, 7)}
    steps = [
        step(n, name, event_ids=[f"crm/e{number}"])
        for name, numbers in parts.items()
        for n, number in enumerate(numbers, 10 * int(name[1]))
    ]
    with opened(tmp_path, {"events": events, "sessions": sessions, "steps": steps}) as session:
        rows = table(session, "from v_outreach")
    by_kind = {row["message_kind"]: row for row in rows}
    assert len(rows) == 2
    call, upsell = by_kind[None], by_kind["upsell"]
    assert (call["n_contacts"], call["n_relevant"]) == (1, 1)
    assert (call["channel"], call["owner"]) == ("phone", "Care"), "as it began"
    assert (upsell["n_contacts"], upsell["n_customers"]) == (3, 2)


@pytest.mark.parametrize("name", ["v_rates", "v_what_comes_next", "v_rollups", "v_survey_scores"])
def test_every_figure_lies_in_its_interval(tmp_path: Path, name: str) -> None:
    rows = store_builder.joined(*(
        journey(n, [{"outcome": "abandoned" if n % 3 else "resolved", "intent": "bill"}],
                customer_key=key_of(n % 5), health_ops=float(n), product_id=f"p{n % 2}")
        for n in range(1, 30)
    ))  # fmt: skip
    rows["experience"] = [
        answer(n, n % 11, 0, 10, instrument="nps", level="journey", journey_id=f"j{n:04d}")
        for n in range(1, 30)
    ]
    with opened(tmp_path, rows, until=300 * DAY) as session:
        lines = table(session, f"from {name}")
        columns = list(lines[0])
    checked = 0
    for low in (column for column in columns if column.endswith("_lo")):
        middle = low.removesuffix("_lo")
        middle = middle if middle in columns else f"{middle}_mean"
        for row in lines:
            if row[low] is not None:
                assert row[low] - 1e-12 <= row[middle] <= row[f"{low[:-3]}_hi"] + 1e-12
                checked += 1
    assert checked > 3
