"""The views of service levels and of cost over a small published world, counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import table
from tests.support.store_builder import START, journey, key_of

#: Results of one level: 3 achieved, 1 breached, 2 open; minutes on the clock where it was met.
STATUS = ("achieved", "achieved", "achieved", "breached", "open", "open")
ELAPSED = (600, 1200, 1800, None, None, None)


def result(number: int) -> dict[str, Any]:
    return {
        "journey_id": f"j{number:04d}", "customer_key": key_of(number), "sla": "first answer",
        "kind": "response", "owner": "Care", "started_at": START,
        "due_at": START + timedelta(hours=4), "status": STATUS[number - 1],
        "elapsed_s": ELAPSED[number - 1], "is_final": True,
    }  # fmt: skip


def priced(
    kind: str,
    customer: float | None,
    company: float,
    cost: float | None,
    basis: str,
    currency: str | None = "DKK",
) -> dict[str, Any]:
    return {"kind": kind, "severity": 0.2, "at": 0, "owner": "Care", "minutes_customer": customer,
            "minutes_customer_basis": None if customer is None else basis,
            "minutes_company": company, "minutes_company_basis": "assumed", "cost": cost,
            "is_cost_whole": None if cost is None else customer is not None,
            "currency": currency}  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("costs") / "store"
    place = [{"touchpoint": "hotline"}]
    waits = priced("customer_wait", 6.0, 2.0, 20.0, "measured")
    again = [
        priced("repeat_contact", 8.0, 7.0, 60.0, "assumed"),
        priced("transfer", None, 5.0, None, "assumed", None),
        priced("rework", None, 5.0, 35.0, "assumed"),
        priced("rework", 1.0, 5.0, 37.0, "assumed"),
    ]
    rows = store_builder.joined(
        journey(1, place, [waits]),
        journey(2, place, [waits, *again]),
        *(journey(n, place) for n in range(3, 7)),
    )
    rows["sla_results"] = [result(n) for n in range(1, 7)]
    store_builder.published(root, rows)
    with catalogue.connect(root) as opened:
        yield opened


def test_attainment_counts_what_is_judged(session: Session) -> None:
    (row,) = table(session, "from v_sla_attainment")
    counted = [row[f"n_{name}"] for name in ("results", "achieved", "breached", "open", "judged")]
    assert counted == [6, 3, 1, 2, 4]
    assert row["attainment_share"] == pytest.approx(0.75)
    # Wilson by hand: z = 1.959964, n = 4, p = .75.
    assert row["attainment_share_lo"] == pytest.approx(0.3006, abs=5e-5)
    assert row["attainment_share_hi"] == pytest.approx(0.9544, abs=5e-5)
    assert row["elapsed_s_median"] == 1200


def test_minutes_and_money_by_kind(session: Session) -> None:
    rows = {row["kind"]: row for row in table(session, "from v_friction_cost")}
    wait = rows["customer_wait"]
    assert (wait["n_evidence"], wait["n_journeys"], wait["cost"]) == (2, 2, 40.0)
    assert (wait["minutes_customer"], wait["minutes_company"]) == (12.0, 4.0)
    assert wait["measured_share"] == pytest.approx(12 / 16)
    assert wait["cost_share"] == pytest.approx(40 / 172)
    assert rows["repeat_contact"]["measured_share"] == 0.0
    assert rows["repeat_contact"]["cost_share"] == pytest.approx(60 / 172)
    unpriced = rows["transfer"]
    assert (unpriced["n_priced"], unpriced["cost"], unpriced["cost_share"]) == (0, None, None)


def test_what_is_unknown_is_counted_beside_the_sums(session: Session) -> None:
    rows = {row["kind"]: row for row in table(session, "from v_friction_cost")}
    names = ("n_customer_unknown", "n_company_unknown", "n_priced", "n_partly_priced")
    counted = {kind: tuple(row[name] for name in names) for kind, row in rows.items()}
    assert counted == {
        "customer_wait": (0, 0, 2, 0),
        "repeat_contact": (0, 0, 1, 0),
        "transfer": (1, 0, 0, 0),
        "rework": (1, 0, 2, 1),
    }
    shares = {kind: row["known_share"] for kind, row in rows.items()}
    assert shares == {"customer_wait": 1, "repeat_contact": 1, "transfer": 0.5, "rework": 0.75}


def test_the_question_of_cost_has_the_measured_share_of_the_view(session: Session) -> None:
    """Minutes, of customers and of the company, not pieces with minutes of customers."""
    view = {row["kind"]: row["measured_share"] for row in table(session, "from v_friction_cost")}
    asked = table(session, scripts("questions")["friction_cost"].text)
    assert {row["kind"]: row["measured_share"] for row in asked} == view
    assert view["customer_wait"] == pytest.approx(12 / 16)
