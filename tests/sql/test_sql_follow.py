"""What comes next, what nobody acted on, what stayed unsolved, and the four levels, by hand."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import DAY, HOUR, answer, opened, table
from tests.support.store_builder import START, Rows, journey, key_of

FOLLOW = 30 * 24 * 3600 * 1_000_000


def inbound(customer: int, number: int, at: timedelta, **own: Any) -> Rows:
    """A journey of one inbound contact, so long after START; `sold`: with a purchase in it."""
    step = {"owner": "Care", **({"outcome": "sold"} if own.pop("sold", False) else {})}
    return journey(number, [step], customer_key=key_of(customer), started_at=START + at, **own)


def followed() -> Rows:
    """Five customers; the window is 30 days and the data ends at day 90."""
    # a purchase goes on to its delivery: its journey ends otherwise
    sold, still_open = (
        {"sold": True, "outcome": "resolved"},
        {"state": "open", "close_reason": None},
    )
    rows = store_builder.joined(
        inbound(1, 1, 0 * DAY, health_ops=20.0),
        inbound(1, 2, 30 * DAY, health_ops=50.0, **sold),
        inbound(2, 3, 0 * DAY, health_ops=40.0),
        inbound(2, 4, 31 * DAY, health_ops=60.0, **sold),
        inbound(3, 5, 0 * DAY, health_ops=60.0),
        inbound(3, 6, 10 * DAY, **still_open),
        inbound(4, 7, 80 * DAY, health_ops=80.0),
        # a newsletter is no journey of the customer's, and no sign of life
        inbound(5, 8, 0 * DAY, health_ops=100.0),
    )
    letter = inbound(5, 9, 5 * DAY, n_need_driven=0)
    letter["sessions"][0] |= {"direction": "outbound", "is_message": True, "is_need_driven": False}
    return store_builder.joined(rows, letter)


def test_the_next_journey_purchase_and_silence_count_in_their_window(tmp_path: Path) -> None:
    with opened(tmp_path, followed(), until=90 * DAY, follow_up=FOLLOW) as session:
        rows = {row["journey_id"]: row for row in table(session, "from v_next_journeys")}
    assert rows["j0001"]["next_journey_id"] == "j0002"
    assert rows["j0001"]["next_after_s"] == 30 * 86_400
    assert rows["j0001"]["next_health_ops"] == 50
    asked = ("is_repurchase", "is_silent")
    assert [tuple(rows[f"j000{n}"][name] for name in asked) for n in (1, 3, 5, 7, 8)] == [
        (True, False),  # the last instant of the window counts
        (False, True),  # bought a day too late
        (False, False),  # nothing sold in what was begun, though it is still open
        (None, None),  # the window has not passed
        (False, True),
    ]
    assert rows["j0008"]["next_journey_id"] is None
    assert rows["j0003"]["next_journey_id"] == "j0004", "the next one may come after the window"


def test_a_parallel_journey_is_not_the_next_one(tmp_path: Path) -> None:
    rows = store_builder.joined(
        journey(1, [{}, {}, {}], customer_key=key_of(1), started_at=START),
        journey(2, [{}], customer_key=key_of(1), started_at=START + HOUR),
    )
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        by_journey = {row["journey_id"]: row for row in table(session, "from v_next_journeys")}
    assert by_journey["j0001"]["next_journey_id"] is None
    assert by_journey["j0002"]["next_contact_after_s"] == 3600, "but its contacts are heard"


def test_tenths_hold_equal_journeys_together(tmp_path: Path) -> None:
    points = [10.0] * 5 + [50.0] * 3 + [90.0] * 2
    rows = store_builder.joined(
        *(
            inbound(n, n, 0 * DAY, health_ops=health, sold=n == 6)
            for n, health in enumerate(points, 1)
        )
    )
    rows = store_builder.joined(rows, inbound(1, 20, 9 * DAY, state="open", close_reason=None))
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        tenths = table(
            session, "from v_what_comes_next where measure = 'health_ops' order by tenth"
        )
    assert [(r["tenth"], r["points_from"], r["n_journeys"]) for r in tenths] == [
        (1, 10, 5),
        (6, 50, 3),
        (9, 90, 2),
    ]
    first = tenths[0]
    assert (first["n_next"], first["n_next_open"], first["n_silent"]) == (1, 1, 4)
    assert first["silent_share"] == pytest.approx(0.8)
    assert (first["n_purchase_known"], first["repurchase_share"]) == (5, 0)
    assert first["next_health_ops_median"] is None


def test_only_journeys_whose_window_has_passed_are_counted(tmp_path: Path) -> None:
    rows = store_builder.joined(
        inbound(1, 1, 0 * DAY, health_ops=20.0),
        inbound(1, 2, 3 * DAY, health_ops=50.0, outcome01=1.0),
        # 80 days after START: ten of the thirty days of its window have passed
        *(inbound(n, n, 80 * DAY, health_ops=20.0) for n in range(3, 13)),
    )
    with opened(
        tmp_path, rows, until=90 * DAY, follow_up=FOLLOW, **{"horizon.claim": FOLLOW}
    ) as session:
        tenths = table(
            session, "from v_what_comes_next where measure = 'health_ops' order by tenth"
        )
        asked = table(session, scripts("questions")["next_journey"].text)
    assert [(r["tenth"], r["n_journeys"], r["n_next"], r["n_next_open"]) for r in tenths] == [
        (1, 1, 1, 0),
        (6, 1, 0, 0),
    ]
    assert tenths[0]["next_resolved_share"] == 1
    assert [r["n_journeys"] for r in asked if r["measure"] == "health_ops"] == [1, 1]


def test_a_window_has_passed_only_when_nothing_late_can_come(tmp_path: Path) -> None:
    """The window is 30 days and the lateness 2: at day 90 those ended before day 58 are known."""
    rows = store_builder.joined(
        inbound(1, 1, 58 * DAY - HOUR),
        inbound(2, 2, 58 * DAY),
        inbound(3, 3, 59 * DAY),
    )
    late = 2 * 24 * 3600 * 1_000_000
    with opened(
        tmp_path, rows, until=90 * DAY, follow_up=FOLLOW, repeat=FOLLOW, lateness=late
    ) as session:
        for view in ("v_next_journeys", "v_contacts"):
            matured = table(session, f"select is_matured from {view} order by journey_id")
            assert [row["is_matured"] for row in matured] == [True, False, False], view


def test_a_purchase_is_an_event_in_whichever_journey(tmp_path: Path) -> None:
    """Of ten alike three buy: in a journey that is still open, in one that runs beside, and in a
    step that says something else last. A fourth bought within his own journey, not again.
    """
    rows = store_builder.joined(
        *(inbound(n, n, 0 * DAY, health_ops=20.0, sold=n == 4) for n in range(1, 11)),
        inbound(1, 11, 3 * DAY, sold=True, state="open", close_reason=None),
        journey(12, [{}, {}, {"outcome": "sold"}], customer_key=key_of(2), started_at=START - HOUR),
        inbound(3, 13, 3 * DAY),
    )
    sale = {"outcome": "sold", "id": "sale", "time": START + 3 * DAY + HOUR / 2}
    rows["events"].append({**rows["events"][-1], **sale})
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        (row,) = table(
            session, "from v_what_comes_next where measure = 'health_ops' and points_from = 20"
        )
    assert (row["n_purchase_known"], row["n_repurchase"]) == (10, 3)
    # Wilson by hand, z = 1.959964, at 3 of 10
    shares = [row[f"repurchase_share{end}"] for end in ("", "_lo", "_hi")]
    assert shares == pytest.approx([0.3, 0.10779, 0.60323], abs=5e-5)


def test_where_nothing_is_ever_sold_nobody_is_known_not_to_buy(tmp_path: Path) -> None:
    rows = store_builder.joined(inbound(1, 1, 0 * DAY, health_ops=20.0), inbound(1, 2, 3 * DAY))
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        next_journeys = table(session, "from v_next_journeys")
        (row,) = table(session, "from v_what_comes_next where measure = 'health_ops'")
    assert {line["is_repurchase"] for line in next_journeys} == {None}
    assert (row["n_journeys"], row["n_purchase_known"], row["repurchase_share"]) == (1, 0, None)


def test_of_two_next_journeys_at_one_instant_one_is_told_whole(tmp_path: Path) -> None:
    rows = store_builder.joined(
        inbound(1, 1, 0 * DAY),
        inbound(1, 2, 3 * DAY, health_ops=None, journey_type=None, state="open", close_reason=None),
        inbound(1, 3, 3 * DAY, health_ops=50.0, journey_type="claim", outcome01=1.0),
    )
    names = ("journey_id", "journey_type", "state", "health_ops", "outcome01")
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        (row,) = table(session, "from v_next_journeys where journey_id = 'j0001'")
    assert [row[f"next_{name}"] for name in names] == ["j0002", None, "open", None, None]


def test_health_with_answers_has_tenths_of_its_own(tmp_path: Path) -> None:
    rows = followed()
    rows["journey_experience"] = [
        {"journey_id": "j0001", "customer_key": key_of(1), "health": 70.0, "state": "closed"}
    ]
    with opened(tmp_path, rows, until=90 * DAY, follow_up=FOLLOW) as session:
        tenths = table(session, "from v_what_comes_next where measure = 'health'")
    assert [(r["tenth"], r["points_from"], r["n_journeys"]) for r in tenths] == [(1, 70, 1)]


def low(number: int, owner: str | None, **own: Any) -> dict[str, Any]:
    return answer(
        number, 2, 0, 10, **{"instrument": "nps", "owner": owner, "journey_id": "j0001", **own}
    )


def test_feedback_is_acted_on_ignored_or_not_judged_yet(tmp_path: Path) -> None:
    rows = inbound(1, 1, 0 * DAY, owner="Online")
    late = {"is_ignored": True, "acted_at": START + 9 * DAY}
    rows["experience"] = [
        low(1, "Care", is_ignored=True),
        low(2, "Care", **late),
        low(3, "Care", is_ignored=False, acted_at=START + DAY),
        low(4, "Care", is_ignored=None),  # its window has not passed
        low(5, None, is_ignored=True, instrument="complaint", raw_score=None, score01=None),
        low(6, "Care", raw_score=9, score01=0.9, is_ignored=None),
        low(7, "Care", respondent_type="employee", is_ignored=None),
    ]
    with opened(tmp_path, rows) as session:
        listed = table(session, "from v_ignored_feedback order by x_id")
        loops = {row["owner"]: row for row in table(session, "from v_closed_loop")}
    assert [(r["x_id"], r["owner"], r["is_still_open"], r["close_s"]) for r in listed] == [
        ("s/1", "Care", True, None),
        ("s/2", "Care", False, 9 * 86_400),
        ("s/5", "Online", True, None),
    ]
    care = loops["Care"]
    assert (care["n_records"], care["n_judged"], care["n_ignored"], care["n_acted"]) == (4, 3, 2, 2)
    assert care["ignored_share"] == pytest.approx(2 / 3)
    assert care["close_s_median"] == 5 * 86_400
    assert loops["Online"]["instrument"] == "complaint"


def test_the_loop_is_judged_only_once_its_window_has_passed(tmp_path: Path) -> None:
    """At 60 days less one of lateness, those of the last seven may still be acted on."""
    rows = inbound(1, 1, 0 * DAY)
    new = {"occurred_at": START + 59 * DAY}
    quick = {**new, "is_ignored": False, "acted_at": START + 59 * DAY + HOUR}
    rows["experience"] = [low(n, "Care", **(quick if n < 11 else new)) for n in range(1, 101)]
    rows["experience"] += [low(101, "Online", is_ignored=True), low(102, "Online", **quick)]
    with opened(tmp_path, rows) as session:
        loops = {row["owner"]: row for row in table(session, "from v_closed_loop")}
    care, online = loops["Care"], loops["Online"]
    assert (care["n_records"], care["n_acted"], care["n_judged"]) == (100, 10, 0)
    assert care["ignored_share"] is None
    assert (online["n_judged"], online["n_ignored"], online["ignored_share"]) == (1, 1, 1)


def test_what_closed_unsolved_is_listed_with_who_had_it_last(tmp_path: Path) -> None:
    places = [
        {"touchpoint": "form", "owner": "Online"},
        {"touchpoint": "desk", "owner": "Care"},
        {"touchpoint": "news", "owner": "Marketing", "is_pushed": True},
    ]
    rows = store_builder.joined(
        journey(1, places, outcome="unresolved", outcome01=0.0),
        journey(2, places, outcome="partly", outcome01=0.5),
        journey(3, places, state="open", close_reason=None, outcome01=None),
        journey(4, places, outcome01=None),
    )
    with opened(tmp_path, rows, follow_up=FOLLOW) as session:
        (row,) = table(session, "from v_closed_unsolved")
    assert (row["journey_id"], row["last_owner"], row["last_touchpoint"]) == (
        "j0001",
        "Care",
        "desk",
    )
    assert row["is_silent"] is True


LEVELS = {
    "v_by_product": "product_id",
    "v_by_touchpoint": "touchpoint",
    "v_by_journey_type": "journey_type",
    "v_by_lifecycle_stage": "lifecycle_stage",
}


def levelled() -> Rows:
    """Four journeys over two products, three places and one unknown of each level."""
    wait = {"kind": "customer_wait", "severity": 0.2}
    bare = {"kind": "handoff_without_context", "severity": 0.3, "locus": "edge"}
    both = [{"touchpoint": "form", "owner": "Online"}, {"touchpoint": "desk", "owner": "Care"}]
    rows = store_builder.joined(
        journey(1, both, [{**wait, "at": 1}, {**bare, "at": 1}], product_id="car",
                journey_type="claim", lifecycle_stage="use", health_ops=50.0, outcome01=1.0),
        journey(2, [both[0], both[0]], [{**wait, "at": 0}, {**wait, "at": 1}], product_id="car",
                journey_type="claim", lifecycle_stage="use", health_ops=90.0),
        journey(3, [both[1]], product_id="house", journey_type="sale", health_ops=70.0),
        journey(4, [{}], [{**wait, "at": 0}], product_id=None, journey_type=None, state="open",
                close_reason=None, is_final=False),
    )  # fmt: skip
    nps = {"instrument": "nps", "scored_as": "step"}
    rows["experience"] = [
        answer(1, 9, 0, 10, journey_id="j0001", step_id="j0001-2", **nps),
        answer(2, 2, 0, 10, journey_id="j0003", step_id="j0003-1", **nps),
        answer(3, 4, 0, 10, journey_id="j0001", level="journey", instrument="nps"),
        answer(
            4, 5, 1, 5, journey_id="j0002", step_id="j0002-1", instrument="csat", scored_as="step"
        ),
    ]
    rows["journey_experience"] = [
        {"journey_id": "j0001", "customer_key": key_of(1), "experience01": 0.6, "health": 61.0}
    ]
    return rows


def test_the_four_levels_show_friction_health_and_answers(tmp_path: Path) -> None:
    wait, bare = -math.log(0.8), -math.log(0.7)
    with opened(tmp_path, levelled(), until=200 * DAY) as session:
        by = {
            view: {row[key]: row for row in table(session, f"from {view}")}
            for view, key in LEVELS.items()
        }
    car, desk = by["v_by_product"]["car"], by["v_by_touchpoint"]["desk"]
    assert (car["n_journeys"], car["n_good"], car["n_poor"], car["band"]) == (2, 1, 1, None)
    assert car["hazard"] == pytest.approx(bare + wait / 2 + 2 * wait)
    assert car["health_ops_median"] == 70
    assert (car["n_health"], car["health_median"], car["n_experience"]) == (1, 61, 1)
    assert car["experience_share"] == 0.5
    assert car["experience_share_lo"] < 0.5 < car["experience_share_hi"]
    assert (car["n_nps"], car["nps"]) == (1, -100), "only what was said of the whole journey"
    assert (desk["n_journeys"], desk["n_nps"], desk["nps"]) == (2, 2, 0)
    assert desk["experience_mean"] == pytest.approx((0.9 + 0.2) / 2)
    assert desk["friction_mean"] == pytest.approx(50 * (1 - math.exp(-bare - wait / 2)))
    form = by["v_by_touchpoint"]["form"]
    # two waits at one place in one journey are one place that was rough twice
    assert form["friction_mean"] == pytest.approx(50 * (1 - math.exp(-2 * wait)))
    assert (form["n_experience"], form["n_nps"], form["nps"]) == (1, 0, None)
    assert by["v_by_journey_type"][None]["n_open"] == 1
    assert by["v_by_lifecycle_stage"]["use"]["n_journeys"] == 2


def test_hazards_are_the_same_total_on_every_level(tmp_path: Path) -> None:
    whole = 2 * -math.log(0.8) - math.log(0.8) / 2 - math.log(0.7) - math.log(0.8)
    with opened(tmp_path, levelled()) as session:
        for view in LEVELS:
            rows = table(session, f"from {view}")
            assert sum(row["hazard"] for row in rows) == pytest.approx(whole, rel=1e-12)
            assert sum(row["hazard_share"] for row in rows) == pytest.approx(1, rel=1e-12)
        (published,) = table(session, "select sum(friction_hazard) as hazard from v_journeys")
    assert published["hazard"] == pytest.approx(whole, rel=1e-12)


def test_an_empty_store_has_nothing_to_follow(tmp_path: Path) -> None:
    views = ("v_next_journeys", "v_what_comes_next", "v_ignored_feedback", "v_closed_loop",
             "v_closed_unsolved", "v_outreach", "v_relief", *LEVELS)  # fmt: skip
    with opened(tmp_path, {}) as session:
        assert [table(session, f"from {view}") for view in views] == [[] for _ in views]
