"""The view of owned products over a small published world, counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from tests.support import store_builder
from tests.support.sql_world import table
from tests.support.store_builder import START, journey, key_of

DAY = timedelta(days=1)
#: Who came with the fault (customers 1 to 12) and who did not (13 to 39), as in the story.
BEFORE, AFTER, COMING, OTHERS_OWNING, EVERYBODY = 6, 3, 12, 5, 39
#: Known by what they own, the register or a case alone.
KNOWN = EVERYBODY + 4


def owned(number: int, product: str, at: Any, n: int = 1) -> dict[str, Any]:
    return {"record_id": f"shop/{number}-{product}-{n}", "customer_key": key_of(number),
            "product_id": product, "valid_from": at}  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("records") / "store"
    step = [{"touchpoint": "hotline"}]
    rows = store_builder.joined(*(
        journey(n, step, started_at=START + DAY,
                journey_type="fault" if n <= COMING else "purchase")
        for n in range(1, EVERYBODY + 1)
    ))  # fmt: skip
    before = [*range(1, 1 + BEFORE), *range(COMING + 1, COMING + 1 + OTHERS_OWNING)]
    rows["owned_products"] = [
        *(owned(n, "add_on", START) for n in before),
        *(owned(n, "add_on", START + 2 * DAY) for n in range(10, 10 + AFTER)),
        owned(1, "add_on", START + 3 * DAY, 2),  # once more: he owned it before all the same
        owned(99, "add_on", START),  # of whom nothing else is known
        owned(2, "router", START),
        # The fault comes a day after START. Held then:
        owned(1, "sim", START) | {"valid_to": START + 2 * DAY},
        owned(2, "sim", START - 9 * DAY) | {"valid_to": START - 8 * DAY},
        owned(2, "sim", START, 2),
        # given up earlier, the end itself excluded
        owned(3, "sim", START) | {"valid_to": START + DAY},
        # given up and bought again; held then and bought once more
        owned(4, "sim", START - 9 * DAY) | {"valid_to": START},
        owned(4, "sim", START + 2 * DAY, 2),
        owned(5, "sim", START) | {"valid_to": START + 2 * DAY},
        owned(5, "sim", START + 3 * DAY, 2),
        owned(20, "sim", START - 9 * DAY) | {"valid_to": START},
        owned(20, "sim", START + DAY, 2),
    ]
    # Known to own nothing: one of the register, one of a case, and one of both and of a journey.
    held = {"valid_from": START}
    rows["customers"] = [
        {"record_id": f"crm/{n}", "customer_key": key_of(n), **held} for n in (1, 201, 202)
    ]
    rows["cases"] = [
        {"record_id": f"crm/{n}", "customer_key": key_of(n), "case_id": f"c{n}", **held}
        for n in (1, 202, 203)
    ]
    store_builder.published(root, rows, thresholds={"is_problem.fault": 1})
    with catalogue.connect(root) as opened:
        yield opened


def of(session: Session, kind: str, product: str) -> dict[str, Any]:
    (row,) = table(
        session, f"from v_addons where journey_type = '{kind}' and product_id = '{product}'"
    )
    return row


def test_the_story_of_the_add_on(session: Session) -> None:
    row = of(session, "fault", "add_on")
    assert (row["n_coming"], row["n_owning_before"], row["n_bought_after"]) == (12, 6, 3)
    assert row["n_people"] == KNOWN
    assert (row["n_others"], row["n_others_owning"]) == (31, 6)
    ratio = 9 * 25 / (3 * 6)
    assert row["odds_ratio"] == pytest.approx(ratio)
    half = 1.959963984540054 * math.sqrt(1 / 9 + 1 / 25 + 1 / 3 + 1 / 6)
    assert row["odds_ratio_lo"] == pytest.approx(ratio * math.exp(-half))
    assert row["odds_ratio_hi"] == pytest.approx(ratio * math.exp(half))
    # Before: 6 of 12 against 6 of 31. After: 3 of the other 6 against 0 of the other 25.
    assert row["before_odds_ratio"] == pytest.approx(6 * 25 / (6 * 6))
    assert row["after_odds_ratio"] == pytest.approx(3.5 * 25.5 / (3.5 * 0.5))
    assert row["owning_share"] == pytest.approx(0.75)
    tables = {"": [[9, 3], [6, 25]], "before_": [[6, 6], [6, 25]], "after_": [[3, 3], [0, 25]]}
    for name, cells in tables.items():
        assert row[f"{name}p"] == pytest.approx(stats.fisher_exact(cells)[1], rel=1e-9), name


def test_a_purchase_is_no_problem_and_the_surest_pair_stands_first(session: Session) -> None:
    rows = table(session, "from v_addons")
    assert [row["journey_type"] for row in rows] == ["fault"] * 3
    assert rows[0]["product_id"] == "add_on"
    for name in ("", "before_", "after_"):
        tested = [(row[f"{name}p"], row[f"{name}q"]) for row in rows if row[f"{name}p"] is not None]
        wanted = stats.false_discovery_control([p for p, _ in tested])
        assert [q for _, q in tested] == pytest.approx(list(wanted), rel=1e-12)
    assert rows == sorted(rows, key=lambda row: (row["q"], row["p"]))


def test_without_declared_types_what_ended_unsolved_is_a_problem(tmp_path: Path) -> None:
    bad, good = {"outcome01": 0.0}, {"outcome01": 1.0}
    rows = store_builder.joined(
        journey(1, [{}], journey_type="a", **bad),
        journey(2, [{}], journey_type="a", **good),
        journey(3, [{"outcome": "sold"}], journey_type="b", **bad),
        journey(4, [{}], journey_type="c", state="open", close_reason=None),
    )
    rows["owned_products"] = [owned(1, "sim", START), owned(2, "sim", START)]
    store_builder.published(tmp_path / "store", rows)
    with catalogue.connect(tmp_path / "store") as opened:
        (row,) = table(opened, "from v_addons")
    values = [row[name] for name in ("journey_type", "n_people", "n_coming", "n_others_owning")]
    assert values == ["a", 4, 1, 1]


def test_the_exact_test_is_that_of_an_independent_implementation(tmp_path: Path) -> None:
    """Products of all kinds of margins, and p of each against scipy; one that all own has none."""
    rng = np.random.default_rng(11)
    people, coming = 57, 19
    rows = store_builder.joined(*(
        journey(n, [{}], started_at=START + DAY, journey_type="fault" if n <= coming else "sale")
        for n in range(1, people + 1)
    ))  # fmt: skip
    owners = {f"p{n}": rng.choice(people, size=n, replace=False) + 1 for n in range(1, people + 1)}
    rows["owned_products"] = [
        owned(int(n), product, START) for product, some in owners.items() for n in some
    ]
    store_builder.published(tmp_path / "store", rows, thresholds={"is_problem.fault": 1})
    with catalogue.connect(tmp_path / "store") as opened:
        by_product = {row["product_id"]: row for row in table(opened, "from v_addons")}
    assert by_product.pop(f"p{people}")["p"] is None
    assert len(by_product) == people - 1
    for product, row in by_product.items():
        k, r = int((owners[product] <= coming).sum()), len(owners[product])
        cells = [[k, coming - k], [r - k, people - coming - r + k]]
        assert row["p"] == pytest.approx(stats.fisher_exact(cells)[1], rel=1e-9), cells
        assert (row["before_p"], row["after_p"]) == (pytest.approx(row["p"]), None)


def test_who_gave_it_up_before_did_not_own_it_then(session: Session) -> None:
    row = of(session, "fault", "sim")
    counts = [row[f"n_{name}"] for name in ("owning_before", "bought_after", "given_up_before")]
    assert counts == [3, 1, 1]
    assert (row["n_others_owning"], row["owning_share"]) == (1, pytest.approx(5 / 12))
    # He gave it up before the others are looked at, and bought it again as they are.
    assert (row["n_others_owning_before"], row["n_others_bought_after"]) == (1, 0)
    assert row["odds_ratio"] == pytest.approx((5 * 30) / (7 * 1))


def test_an_empty_cell_keeps_the_ratio_finite(session: Session) -> None:
    row = of(session, "fault", "router")
    assert row["odds_ratio"] == pytest.approx((1.5 * 31.5) / (11.5 * 0.5))


def test_without_owned_products_there_is_nothing_to_say(tmp_path: Path) -> None:
    store_builder.published(tmp_path / "store", journey(1, [{"touchpoint": "hotline"}]))
    with catalogue.connect(tmp_path / "store") as bare:
        assert table(bare, "from v_addons") == []
