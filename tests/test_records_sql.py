"""The view of owned products over a small published world, counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines import catalogue
from rejse.pipelines.catalogue import Session
from tests import store_builder
from tests.store_builder import START, journey, key_of
from tests.test_sql import table

DAY = timedelta(days=1)
#: Who came with the fault (customers 1 to 12) and who did not (13 to 39), as in the story.
BEFORE, AFTER, COMING, OTHERS_OWNING, EVERYBODY = 6, 3, 12, 5, 39


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
        owned(99, "add_on", START),  # nobody of whom anything else is known
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
    store_builder.published(root, rows)
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
    assert (row["n_others"], row["n_others_owning"]) == (27, 5)
    assert row["odds_ratio"] == pytest.approx(9 * 22 / (3 * 5))
    half = 1.959963984540054 * math.sqrt(1 / 9 + 1 / 22 + 1 / 3 + 1 / 5)
    assert row["odds_ratio_lo"] == pytest.approx(13.2 * math.exp(-half))
    assert row["odds_ratio_hi"] == pytest.approx(13.2 * math.exp(half))
    assert row["owning_share"] == pytest.approx(0.75)


def test_who_gave_it_up_before_did_not_own_it_then(session: Session) -> None:
    row = of(session, "fault", "sim")
    found = [row[f"n_{name}"] for name in ("owning_before", "bought_after", "given_up_before")]
    assert found == [3, 1, 1]
    assert (row["n_others_owning"], row["owning_share"]) == (1, pytest.approx(5 / 12))
    assert row["odds_ratio"] == pytest.approx((5 * 26) / (7 * 1))


def test_an_empty_cell_keeps_the_ratio_finite(session: Session) -> None:
    row = of(session, "fault", "router")
    assert row["odds_ratio"] == pytest.approx((1.5 * 27.5) / (11.5 * 0.5))


def test_without_owned_products_there_is_nothing_to_say(tmp_path: Path) -> None:
    store_builder.published(tmp_path / "store", journey(1, [{"touchpoint": "hotline"}]))
    with catalogue.connect(tmp_path / "store") as bare:
        assert table(bare, "from v_addons") == []
