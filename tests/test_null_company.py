"""A company in which all goes well, and all is logged: whatever is found in it is a false alarm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rejse.pipelines.demo import write
from rejse.pipelines.demo.specs import NULL
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.coverage import NEEDS
from tests.support.company import KEY, CompanyRun, running

#: Occasions of each kind: what nearly was friction, and was none.
OCCASIONS = {
    "info_conflict": "select sum(n_fields_known) from v_journeys",
    "contradiction": (
        "select count(*) from events where len(claims) > 0 and touchpoint = 'technician_visit'"
    ),
    "channel_switch": "select count(*) from v_journeys where n_channels > 1 and n_contacts > 1",
    # Back within a week, with another wish.
    "repeat_contact": (
        "select count(*) from v_contacts as one inner join v_contacts as other"
        " on one.customer_key = other.customer_key and one.intent != other.intent"
        " and other.started_at between one.started_at and one.started_at + interval 7 days"
    ),
    "channel_fallback": "select count(*) from v_steps where channel = 'web'",
    "dead_end": "select count(*) from v_contacts where outcome is not null",
    "abandonment": "select count(*) from v_contacts where outcome is not null",
    "self_rescue": "select count(*) from v_contacts where intent is not null",
    "reasked_info": "select count(*) from v_info_requests",
    "handoff_without_context": "select sum(n_handoffs_full) from v_journeys",
    "handoff_dropped": "select count(*) from events where to_owner = 'technician'",
    "transfer": "select count(*) from events where to_owner is not null",
    "escalation": "select count(*) from events where outcome is not null",
    "ping_pong": (
        "select count(*) from v_handoffs as first inner join v_handoffs as second"
        " on first.to_step = second.from_step and first.from_owner = second.to_owner"
    ),
    "upsell_in_problem": "select count(*) from events where message_kind = 'upsell'",
    "over_pressure": (
        "select count(*) from events where message_kind is not null and relevance_basis = 'none'"
    ),
    "customer_wait": "select sum(customer_wait_s) from v_journeys",
    "promise_broken": "select sum(n_promises_kept) from v_journeys",
    "reopened": "select count(*) from v_journeys where time_to_resolution_s is not null",
    "internal_wait": "select sum(internal_wait_s) from v_journeys",
    "rework": "select count(*) from v_journeys where rework = 0",
}


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyRun]:
    folder = tmp_path_factory.mktemp("null") / "company"
    truths = write.write(folder, customers=500, stories=False, company=NULL, key=KEY)
    with running(folder, truths) as finished:
        yield finished


def test_every_row_is_kept(null: CompanyRun) -> None:
    counts = null.result.counts
    assert {name: counts[name] for name in null.truths.counts} == null.truths.counts
    assert counts["kept"] == counts["read"] > 5_000
    assert null.value("select count(*) from v_journeys") == null.truths.journeys


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_kind_finds_anything_though_it_had_occasion(null: CompanyRun, kind: str) -> None:
    occasions = null.value(OCCASIONS[kind])
    assert occasions and occasions > 0, f"{kind} had no occasion to err"
    columns = {
        name
        for (name,) in null.rows("select distinct column_name from (describe events)")
        if null.value(f'select count("{name}") from events')
    }
    have = columns | {"@touchpoints", "@touchpoint_fields"}
    assert any(fields <= have for fields in NEEDS[kind]), f"{kind}: its fields are not logged"
    rows = null.rows("select * from v_friction_evidence where kind = ? limit 3", kind)
    assert rows == []


#: What each rate is where all goes well; the other rates say nothing of good and bad.
RATES = {
    "fcr": 1, "fcr_proxy": 1, "repeat_contact": 0, "abandoned": 0, "transferred": 0,
    "escalated": 0, "reopened": 0,
}  # fmt: skip


@pytest.mark.parametrize("rate", RATES)
def test_every_first_contact_solves_and_nobody_has_to_come_again(
    null: CompanyRun, rate: str
) -> None:
    shares = "select value, denominator from v_rates where rate = ? and denominator > 0"
    rows = null.rows(shares, rate)
    assert {value for value, _ in rows} == {RATES[rate]}
    assert max(n for _, n in rows) > 100
    assert null.value("select sum(n_repeat_contacts) from v_journeys") == 0


def test_friction_is_measured_zero_and_health_full(null: CompanyRun) -> None:
    assert null.rows("select distinct friction_score, friction_hazard from v_journeys") == [(0, 0)]
    assert null.value("select avg(evidence_coverage) from v_journeys") > 0.9
    assert null.rows(
        "select distinct health_ops, health_ops_lo, health_ops_hi from v_journeys"
        " where state = 'closed' and outcome = 'resolved'"
    ) == [(100, 100, 100)]
    closed = "select count(*), count(health_ops) from v_journeys where state = 'closed'"
    ((n, healthy),) = null.rows(closed + " and journey_type != 'marketing'")
    assert n == healthy > 400


def test_no_gap_no_relief_no_ignored_voice(null: CompanyRun) -> None:
    ((n, least, most),) = null.rows(
        "select count(silo_gap), min(silo_gap), max(silo_gap) from v_journey_experience"
    )
    assert n > 50
    assert (least, most) == (0, 0)
    assert null.value("select count(*) from v_relief") == 0
    assert null.value("select count(*) from v_journey_experience where is_relief is null") < n * 10
    assert null.value("select count(*) from v_journey_experience where is_relief = false") > n
    assert null.value("select sum(n_ignored) from v_journey_experience") == 0
    # Where friction is zero, only what was felt takes from health.
    assert null.rows(
        "select distinct limiting_component from v_journey_experience where health is not null"
    ) == [("experience",)]


def test_no_promise_fails_and_no_handoff_is_dropped(null: CompanyRun) -> None:
    assert {status for (status,) in null.rows("select distinct status from v_promises")} <= {
        "kept",
        "open",
    }
    assert null.value("select count(*) from v_handoffs where is_dropped") == 0


def test_customers_meet_the_company_one_journey_at_a_time(null: CompanyRun) -> None:
    overlaps = null.value(
        "select count(*) from v_journeys as one inner join v_journeys as other"
        " on one.customer_key = other.customer_key and one.journey_id < other.journey_id"
        " and one.started_at <= other.ended_at and other.started_at <= one.ended_at"
    )
    assert overlaps == 0
    assert null.value("select count(distinct customer_key) from v_journeys") == 500
