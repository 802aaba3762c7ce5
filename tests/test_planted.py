"""Every kind of friction and every metric has a planted truth, and each is found again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.demo import specs
from rejse.transforms.schema.registry import Metric, metrics
from rejse.transforms.scoring.friction import KINDS
from tests.support.company import CompanyRun, key_of

METRICS = {(m.grain, m.name): m for m in metrics()}
TRUTHS = specs.rows("metrics.csv")
#: How a row of metrics.csv names its row in the views: customer, and the place within them.
JOURNEY = (
    "select {} from {} where journey_id = (select journey_id from v_journeys"
    " where customer_key = ? order by started_at limit 1 offset ?)"
)
#: Sides of the planted cases: was it planted, and was it found?
Sides = Counter[tuple[bool, bool]]


def sides_of(company_run: CompanyRun, kind: str) -> Sides:
    """Planted customers of a kind, hits and near misses, by whether evidence was found."""
    sides: Sides = Counter()
    with_evidence = dict(
        company_run.rows(
            "select customer_key, count(*) from v_friction_evidence where kind = ? group by all",
            kind,
        )
    )
    for identity in company_run.truths.stories["kinds"]:
        _, name, case, _ = identity.split("-")
        if name == kind:
            n = with_evidence.get(key_of(identity), 0)
            assert n <= 1, f"{identity}: planted once, found {n} times"
            sides[case == "hit", n > 0] += 1
    return sides


def precision(sides: Sides) -> float:
    return sides[True, True] / max(sides[True, True] + sides[False, True], 1)


def recall(sides: Sides) -> float:
    return sides[True, True] / max(sides[True, True] + sides[True, False], 1)


def test_every_kind_finds_whom_it_was_planted_in_and_nobody_beside(
    company_run: CompanyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    sides_by_kind = {kind: sides_of(company_run, kind) for kind in KINDS}
    with capsys.disabled():
        print("\nkind                      hits  near misses  precision  recall")
        for kind, sides in sides_by_kind.items():
            hits, misses = sides[True, True] + sides[True, False], sides[False, False]
            misses += sides[False, True]
            print(f"{kind:24}{hits:6}{misses:13}{precision(sides):11.2f}{recall(sides):8.2f}")
    for kind, sides in sides_by_kind.items():
        assert sides[True, True] > 0 and sides[False, False] > 0, f"{kind}: nothing planted"
        assert (precision(sides), recall(sides)) == (1, 1), (kind, dict(sides))


def test_every_metric_has_a_planted_truth() -> None:
    planted = {(row["grain"], row["metric"]) for row in TRUTHS}
    assert sorted(set(METRICS) - planted) == [], "add rows to made/metrics.csv"
    assert sorted(planted - set(METRICS)) == [], "no such metrics: made/metrics.csv"
    told_apart = {
        (row["grain"], row["metric"]) for row in TRUTHS if row["expected"] not in ("0", "null")
    }
    assert sorted(set(METRICS) - told_apart) == [], "zero proves little: plant where it is more"


def test_who_buys_again_is_known_beforehand_and_found(
    company_run: CompanyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    plant: Any = company_run.truths.planted["repurchase"]
    first = dict(
        company_run.rows(
            "select distinct on (customer_key) customer_key, is_repurchase from v_next_journeys"
            " order by customer_key, ended_at"
        )
    )
    bought = {customer: first[key_of(customer)] for customer in company_run.truths.stories["again"]}
    assert (len(bought), sum(bought.values())) == (plant["n"], plant["hits"]) == (24, 10)
    hits = {name for name, spec in specs.AGAIN.items() if spec.hit}
    wanted = {
        customer
        for customer in bought
        if any(customer.startswith(f"again-{h.replace(' ', '-')}-") for h in hits)
    }
    assert {customer for customer, again in bought.items() if again} == wanted
    # The register of owners is another source of the same purchases.
    ((n, k, by_register),) = company_run.rows(
        "select count(*), count(*) filter (j.is_repurchase), count(*) filter (exists ("
        "   from owned_products as o where o.customer_key = j.customer_key"
        "   and o.valid_from > j.ended_at and o.valid_from <= j.ended_at + p.follow_up_window))"
        " from v_next_journeys as j cross join v_publication as p where j.is_matured"
    )
    with capsys.disabled():
        print(f"\nbought again: {k} of {n} matured journeys, {by_register} by the register")
    assert k == by_register > 24


def value_of(company_run: CompanyRun, row: dict[str, str]) -> Any:
    """The published value that a row of metrics.csv foretells."""
    grain, metric = row["grain"], row["metric"]
    if grain == "experience":
        query = f"select {metric} from v_experience where customer_key = ? and x_id = ?"
        return company_run.value(query, key_of(row["customer"]), f"surveys/{row['place']}")
    view = {"journey": "v_journeys", "step": "v_steps"}.get(grain, f"v_{grain}")
    number, _, step = row["place"].partition(".")
    query = JOURNEY.format(metric, view) + (f" and seq = {int(step)}" if step else "")
    return company_run.value(query, key_of(row["customer"]), int(number) - 1)


def expected_of(row: dict[str, str], metric: Metric) -> Any:
    """What a row foretells, in the type of the metric."""
    text, type_ = row["expected"], metric.column.type
    if text == "null":
        return None
    if pa.types.is_boolean(type_):
        return {"true": True, "false": False}[text]
    return text if pa.types.is_string(type_) else pytest.approx(float(text), abs=5e-7)


def test_every_metric_says_what_was_planted(
    company_run: CompanyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, exact = [], Counter[tuple[str, str]]()
    for row in TRUTHS:
        key = row["grain"], row["metric"]
        measured, expected = value_of(company_run, row), expected_of(row, METRICS[key])
        if measured == expected and (measured is None) == (row["expected"] == "null"):
            exact[key] += 1
        else:
            wrong.append((*key, row["customer"], row["place"], row["expected"], measured))
    of = Counter((row["grain"], row["metric"]) for row in TRUTHS)
    with capsys.disabled():
        print(f"\n{len(exact)} of {len(METRICS)} metrics, {exact.total()} of {of.total()} truths")
        for key, n in of.items():
            if exact[key] < n:
                print(f"{'.'.join(key)}: {exact[key]} of {n} exact")
    assert wrong == []
