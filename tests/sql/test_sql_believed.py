"""Figures that somebody who knows the business would not believe: each with the right one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import DAY, HOUR, contact, table
from tests.support.store_builder import START, Rows, journey, key_of

KNOWN = {"outcome01": 1.0, "outcome_basis": "recorded"}
PHONE = {"channel": "phone", "channel_family": "voice"}


def opened(place: Path, rows: Rows, until: timedelta = 400 * DAY) -> Session:
    """A store with these rows, complete until so long after START."""
    end = int((START + until).timestamp()) * 1_000_000
    store_builder.published(
        place, rows, frontiers={"crm": end}, x_frontiers={"s": end, "mute": end},
        windows={"repeat": 604_800_000_000},
    )  # fmt: skip
    session: Session = catalogue.connect(place)
    return session


def only(place: Path, rows: Rows, query: str) -> list[dict[str, Any]]:
    with opened(place, rows) as session:
        return table(session, query)


def test_a_promise_that_is_overdue_is_not_delivered_late(tmp_path: Path) -> None:
    def promise(number: int, **own: Any) -> dict[str, Any]:
        return {"customer_key": key_of(1), "promise_id": f"p{number}", "kind": "date",
                "owner": "Care", "status": "late", "journey_id": "j0001", **own}  # fmt: skip

    late = {"delivered_at": START + DAY, "lateness_s": 3600}
    rows = {"promises": [promise(1, **late), promise(2), promise(3), promise(4, status="kept")]}
    (row,) = only(tmp_path, rows, "from v_promises_kept")
    assert (row["n_late"], row["n_overdue"], row["n_judged"]) == (1, 2, 4)
    assert (row["lateness_s_median"], row["kept_share"]) == (3600, 0.25)


def test_a_web_page_has_no_queue_and_spares_nobody_a_human(tmp_path: Path) -> None:
    sold = {"outcome": "sold", "has_machine": True}
    contacts = [
        contact(1, DAY, **sold),
        contact(2, DAY, outcome="abandoned", has_machine=True),
        contact(3, DAY, **PHONE, outcome="abandoned", has_human=True),
        contact(4, DAY, channel="branch", channel_family="place", outcome="sold", has_human=True),
    ]
    rows = only(tmp_path, {"sessions": contacts}, "from v_channels")
    by = {row["channel"]: row for row in rows}
    unknown = ("n_offered", "n_abandoned", "abandoned_share", "n_automated", "n_contained",
               "contained_share", "transferred_share", "escalated_share")  # fmt: skip
    assert {name: by["web"][name] for name in unknown} == dict.fromkeys(unknown)
    assert (by["phone"]["n_offered"], by["phone"]["abandoned_share"]) == (1, 1)
    assert (by["branch"]["n_offered"], by["branch"]["n_answered"]) == (None, 1)


def test_who_bought_or_was_informed_did_not_have_to_come_again(tmp_path: Path) -> None:
    """Each second contact comes a day after a first one that ended in its way."""
    ends = ("sold", "informed", "resolved", "unresolved", None)
    contacts = [contact(0, timedelta(), intent="other")]
    for number, outcome in enumerate(ends, 1):
        customer = {"customer_key": key_of(number)}
        contacts += [
            contact(number, 20 * DAY, outcome=outcome, **customer),
            contact(number + 10, 21 * DAY, **PHONE, **customer),
        ]
    with opened(tmp_path, {"sessions": contacts}) as session:
        (row,) = table(session, "from v_repeat_contacts where channel_family = 'voice'")
        seen = table(session, "from v_contacts where intent = 'bill' order by session_id")
        rates = table(session, "from v_rates where scope = 'channel' and scope_value = 'phone'")
    names = ("contacts", "repeats", "after_help", "unsettled", "after_unknown", "known")
    assert [row[f"n_{name}"] for name in names] == [5, 4, 1, 2, 1, 4]
    assert (row["repeat_share"], row["unknown_share"]) == (0.5, 0.2)
    by = {row["session_id"]: row for row in seen}
    assert (by["s11"]["is_repeat"], by["s11"]["is_first"]) == (False, True), "a new need"
    assert (by["s1"]["is_repeated"], by["s2"]["is_repeated"]) == (False, True)
    fractions = {rate["rate"]: (rate["numerator"], rate["denominator"]) for rate in rates}
    assert (fractions["repeat_contact"], fractions["repeat_unsettled"]) == ((4, 5), (2, 4))


def test_the_pauses_of_customers_are_no_waiting(tmp_path: Path) -> None:
    steps = [
        {"direction": "inbound", "wait_before_s": None, "owner": "Online"},
        {"direction": "inbound", "wait_before_s": 86_400, "owner": "Online"},  # comes back
        {"direction": "internal", "wait_before_s": 600, "owner": "Care"},
        {"direction": "outbound", "wait_before_s": 60, "owner": "Care"},
        {"direction": "outbound", "is_pushed": True, "wait_before_s": 9_000, "owner": "News"},
        {"direction": "inbound", "wait_before_s": 30, "owner": "Online", "wait_cause": "company"},
    ]
    rows = only(tmp_path, journey(1, steps), "from v_waiting order by owner")
    causes = [(row["wait_cause"], row["owner"], row["n_steps"], row["wait_s"]) for row in rows]
    assert causes == [(None, "Care", 2, 660), ("company", "Online", 1, 30)]


def test_of_a_lone_event_nobody_knows_how_long_it_took(tmp_path: Path) -> None:
    rows = journey(1, [{"touchpoint": "page"}, {"touchpoint": "desk", "processing_s": 90}])
    rows["steps"][0]["processing_s"] = 0
    rows["sessions"] += [
        contact(5, DAY, ended_at=START + DAY, n_events=2),  # two at one instant
        contact(6, DAY, ended_at=START + DAY + HOUR),  # one that tells start and end
    ]
    with opened(tmp_path, rows) as session:
        visits = table(session, "from v_visits")
        places = table(session, "from v_touchpoints")
    long = {row["session_id"]: row["duration_s"] for row in visits}
    assert (long["j0001-s1"], long["s5"], long["s6"]) == (None, 0, 3600)
    worked = {row["touchpoint"]: row["processing_s_median"] for row in places}
    assert worked == {"page": None, "desk": 90}


def test_a_share_without_context_says_of_how_many(tmp_path: Path) -> None:
    def handoff(number: int, context: str) -> dict[str, Any]:
        return {"handoff_id": f"h{number}", "journey_id": "j0001", "customer_key": key_of(1),
                "from_owner": "Online", "to_owner": "Care", "context": context}  # fmt: skip

    rows = journey(1, [{"owner": "Online"}, {"owner": "Care"}])
    rows["handoffs"] = [handoff(1, "none"), *(handoff(n, "unknown") for n in range(2, 5))]
    with opened(tmp_path, rows) as session:
        (edge,) = table(session, "from v_edges")
        (owner,) = table(session, "from v_owners where owner = 'Online'")
    for row in (edge, owner):
        assert (row["no_context_share"], row["context_known_share"]) == (1, 0.25)
        assert row["context_known_share_lo"] < 0.25 < row["context_known_share_hi"]


def test_where_no_action_is_logged_nobody_is_known_to_be_ignored(tmp_path: Path) -> None:
    def complaint(source: str, number: int, **own: Any) -> dict[str, Any]:
        return {"x_id": f"{source}/{number}", "customer_key": key_of(1), "instrument": "complaint",
                "respondent_type": "customer", "level": "journey", "occurred_at": START,
                "owner": source, "is_ignored": True, **own}  # fmt: skip

    acted = {"is_ignored": False, "acted_at": START + DAY, "instrument": "nps", "score01": 0.1}
    rows: Rows = {"experience": [complaint("mute", 1), complaint("mute", 2), complaint("s", 1),
                                 complaint("s", 2, **acted)]}  # fmt: skip
    with opened(tmp_path, rows) as session:
        loops = table(session, "from v_closed_loop where instrument = 'complaint' order by owner")
        listed = table(session, "from v_ignored_feedback")
    owners = [(r["owner"], r["n_records"], r["n_judged"], r["ignored_share"]) for r in loops]
    assert owners == [("mute", 2, 0, None), ("s", 1, 1, 1)]
    assert [row["x_id"] for row in listed] == ["s/1"]


def test_a_level_of_which_nothing_is_logged_has_no_rows(tmp_path: Path) -> None:
    rows = store_builder.joined(journey(1, [{}], product_id="car"), journey(2, [{}]))
    with opened(tmp_path, rows) as session:
        stages = table(session, "from v_by_lifecycle_stage")
        products = table(session, "from v_by_product order by product_id")
    assert stages == []
    assert [row["product_id"] for row in products] == ["car", None], "hazards add up"


@pytest.mark.parametrize(("n", "band"), [(4, None), (5, "poor")])
def test_a_band_is_of_five_journeys_at_least(tmp_path: Path, n: int, band: str | None) -> None:
    rows = store_builder.joined(
        *(journey(k, [{}], health_ops=20.0, owner="Care", **KNOWN) for k in range(1, n + 1))
    )
    with opened(tmp_path, rows) as session:
        for view in ("v_health", "v_journey_types", "v_by_journey_type"):
            (row,) = table(session, f"from {view}")
            assert (row["health_ops_median"], row["band"]) == (20, band)


@pytest.mark.parametrize(
    ("counts", "expected"),
    # Wilson's lower end at 1 of 1 is .2065, at 20 of 20 it is .8389.
    [
        ((1, 0, 1), (-58.7, 100)),
        ((0, 20, 20), (-100, -67.8)),
        ((0, 0, 20), (-16.1, 16.1)),
        ((0, 0, 0), (None, None)),
    ],
)
def test_a_net_score_has_an_interval_where_all_answered_alike(
    tmp_path: Path, counts: Sequence[int], expected: tuple[float | None, float | None]
) -> None:
    given = ", ".join(str(count) for count in counts)
    (row,) = only(tmp_path, {}, f"select net_lo({given}) as lo, net_hi({given}) as hi")
    interval = (row["lo"], row["hi"])
    assert interval == (expected if expected[0] is None else pytest.approx(expected, abs=0.05))


def test_a_switch_is_for_one_need_that_was_not_settled(tmp_path: Path) -> None:
    """Web then phone, by journey: another need, settled, unsettled, unknown need and outcome."""
    web: list[dict[str, Any]] = [
        {"intent": "a"},
        {"outcome": "sold"},
        {"outcome": "unresolved"},
        {"intent": None},
    ]
    contacts = []
    for number, first in enumerate(web):
        where = {"journey_id": f"j{number}"}
        contacts += [contact(1, DAY, **where, **first), contact(3, 2 * DAY, **where, **PHONE)]
        contacts.append(
            contact(2, DAY + HOUR, **where, direction="outbound", channel_family="written")
        )
    contacts = [
        {**each_contact, "session_id": f"{each_contact['journey_id']}-{each_contact['seq']}"}
        for each_contact in contacts
    ]
    (row,) = only(tmp_path, {"sessions": contacts}, "from v_channel_switches")
    assert (row["from_family"], row["to_family"], row["n_pairs"]) == ("digital", "voice", 4)
    assert (row["n_switches"], row["n_outcome_unknown"], row["switch_share"]) == (2, 1, 0.5)


def test_assumed_ends_are_in_no_average_of_health(tmp_path: Path) -> None:
    """One journey that ended, and one whose end is assumed; the same customer, next to it."""
    assumed = {"outcome01": 0.0, "outcome_basis": "assumed", "health_ops": 10.0}
    rows = store_builder.joined(
        journey(1, [{"touchpoint": "desk"}], health_ops=90.0, customer_key=key_of(1), **KNOWN),
        journey(2, [{"touchpoint": "desk"}], customer_key=key_of(1), **assumed),
    )
    rows["promises"] = [
        {"customer_key": key_of(1), "promise_id": f"p{n}", "kind": "date", "owner": "Care",
         "status": "broken", "journey_id": f"j000{n}"} for n in (1, 2)
    ]  # fmt: skip
    with opened(tmp_path, rows) as session:
        for view in ("v_months", "v_by_journey_type", "v_by_touchpoint"):
            (row,) = table(session, f"from {view}")
            assert (row["n_journeys"], row["health_ops_median"]) == (2, 90), view
        (first, _) = table(session, "from v_next_journeys order by journey_id")
        (broken,) = table(session, scripts("questions")["broken_promises"].text)
    assert (first["next_journey_id"], first["next_health_ops"]) == ("j0002", None)
    assert (broken["n_promises"], broken["n_health"], broken["health_ops_median"]) == (2, 1, 90)


def test_where_all_ends_are_assumed_none_is_judged(tmp_path: Path) -> None:
    """An emergency department that logs no outcome has not failed all its patients."""
    ends = {"outcome": "unresolved", "outcome01": 0.0, "outcome_basis": "assumed"}
    rows = store_builder.joined(*(journey(n, [{}], **ends) for n in range(1, 4)))
    (row,) = only(tmp_path, rows, "from v_journey_types")
    assert (row["n_judged"], row["resolved_share"], row["undecided_share"]) == (0, None, None)
