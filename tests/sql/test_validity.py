"""The tests of the score in SQL, against scipy and sums by hand over a drawn world."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from math import atanh, exp, log, sqrt, tanh
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import table
from tests.support.store_builder import START, Rows, journey, key_of

BY_OUTCOME = {"dead_end", "abandonment"}
BY_NEXT_CONTACT = {"transfer", "rework", "dead_end"}
WEIGHTS = {"transfer": 0.1, "reasked_info": 0.32, "info_conflict": 0.45, "dead_end": 0.3,
           "abandonment": 0.35, "rework": 0.05}  # fmt: skip
HOUR, DAY, Z = timedelta(hours=1), timedelta(days=1), stats.norm.ppf(0.975)
N, CUSTOMERS = 360, 150


@dataclass
class One:
    """A drawn journey, as the oracle sees it."""

    number: int
    type: str
    customer: int
    start: datetime
    pieces: list[dict[str, Any]]
    outcome01: float | None
    intents: list[str | None]
    ces: list[float] = field(default_factory=list)
    felt: float | None = None

    def hazard(self, without: set[str], steps: tuple[int, ...] = (0, 1)) -> float:
        """H of some kinds and steps, ranked among themselves."""
        total = 0.0
        for at in steps:
            severities = sorted(
                p["severity"] for p in self.pieces if p["at"] == at and p["kind"] not in without
            )
            total += sum(-log(1 - s) * 0.5**r for r, s in enumerate(reversed(severities)))
        return total

    @property
    def bad(self) -> bool:
        """Did it end badly?"""
        return self.outcome01 is not None and self.outcome01 < 0.5


def drawn(seed: int = 5) -> list[One]:
    made, world = random.Random(seed), []
    for number in range(N):
        pieces = [
            {"kind": kind, "severity": weight, "at": at}
            for at in (0, 1)
            for kind, weight in WEIGHTS.items()
            if made.random() < 0.25
        ]
        sample = One(number, made.choice(("claim", "claim", "repair")), made.randrange(CUSTOMERS),
                  START + 8 * DAY + made.randrange(1300) * HOUR, pieces, None,
                  ["bill", made.choice((None, "bill"))])  # fmt: skip
        hazard = sample.hazard(set())
        if made.random() < 0.9:
            is_bad = made.random() < 1 - exp(-hazard)
            sample.outcome01 = made.choice((0.0, 0.0, 0.4)) if is_bad else 0.5
        sample.ces = [
            round(max(0.0, min(1.0, 0.8 - 0.3 * hazard + made.gauss(0, 0.2))), 1)
            for _ in range(made.randrange(3))
        ]
        sample.felt = round(made.random(), 1) if made.random() < 0.4 else None
        world.append(sample)
    # A type of which too few ended, and all of them well.
    few = [One(N + n, "advert", n, START + 9 * DAY, [], 1.0, ["buy", None]) for n in range(9)]
    return world + few


def rows_of(world: list[One]) -> Rows:
    parts, answers, felt = [], [], []
    for case in world:
        steps = [{"intent": intent} for intent in case.intents]
        own = {
            "journey_type": case.type,
            "customer_key": key_of(case.customer),
            "started_at": case.start,
            "outcome01": case.outcome01,
        }
        part = journey(case.number, steps, case.pieces, **own)
        for step in part["steps"]:
            step.pop("intent", None)
        for piece in part["friction_evidence"]:
            piece["occurred_at"] = case.start + piece["at"] * HOUR
        parts.append(part)
        name = f"j{case.number:04d}"
        answers += [
            {"x_id": f"{name}/{n}", "journey_id": name, "customer_key": key_of(case.customer),
             "instrument": "ces", "respondent_type": "customer", "level": "journey",
             "score01": u, "is_solicited": True, "is_answered": True, "scored_as": "whole",
             "occurred_at": case.start, "join_method": "case", "is_final": True}
            for n, u in enumerate(case.ces)
        ]  # fmt: skip
        felt.append({"journey_id": name, "customer_key": key_of(case.customer),
                     "experience01": case.felt, "state": "closed", "is_final": True})  # fmt: skip
    ongoing = journey(9000, [{}], [], state="open", close_reason=None, is_final=False)
    rows = store_builder.joined(*parts, ongoing)
    employee = {**answers[0], "x_id": "e", "respondent_type": "employee", "score01": 0.0}
    return {**rows, "experience": [*answers, employee], "journey_experience": felt}


WORLD = drawn()
COHORTS = [("claim", None), ("repair", None), ("claim", "2026-04-01"), ("repair", "2026-03-01")]


def cohort(journey_type: str, month: str | None) -> list[One]:
    last = [case for case in WORLD if case.type == journey_type]
    return [case for case in last if month is None or f"{case.start + HOUR:%Y-%m-01}" == month]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("validity") / "store"
    store_builder.published(root, rows_of(WORLD))
    with catalogue.connect(root) as opened:
        yield opened


@pytest.fixture(scope="module")
def validity(session: Session) -> list[dict[str, Any]]:
    """All rows of the view that takes longest to plan."""
    return table(session, "from v_score_validity")


def of_all_months(rows: list[dict[str, Any]], journey_type: str) -> Any:
    [row] = [r for r in rows if (r["journey_type"], r["ended_month"]) == (journey_type, None)]
    return row


def one_row(
    session: Session, view: str, journey_type: str, month: str | None, more: str = ""
) -> Any:
    when = "is null" if month is None else f"= date '{month}'"
    where = f"journey_type = '{journey_type}' and ended_month {when} {more}"
    [row] = table(session, f"from {view} where {where}")
    return row


def clustered(pulls: list[float], customers: list[int]) -> float:
    """Variance of a sum of influences, those of one customer added up first."""
    by: dict[int, float] = defaultdict(float)
    for pull, customer in zip(pulls, customers, strict=True):
        by[customer] += pull
    return sum(p * p for p in by.values()) * len(by) / (len(by) - 1)


def delong(hits: list[tuple[float, int]], others: list[tuple[float, int]]) -> tuple[float, ...]:
    """Area and its interval by comparing every pair."""
    won = np.array([[(h > o) + 0.5 * (h == o) for o, _ in others] for h, _ in hits])
    area = stats.mannwhitneyu([h for h, _ in hits], [o for o, _ in others]).statistic / won.size
    assert area == pytest.approx(won.mean())
    pulls = [*((won.mean(1) - area) / len(hits)), *((won.mean(0) - area) / len(others))]
    error = sqrt(clustered(pulls, [c for _, c in hits] + [c for _, c in others]))
    logit, half = log(area / (1 - area)), Z * error / (area * (1 - area))
    return area, 1 / (1 + exp(half - logit)), 1 / (1 + exp(-half - logit))


@pytest.mark.parametrize(("journey_type", "month"), COHORTS)
def test_the_area_for_bad_ends_is_that_of_all_pairs(
    session: Session, journey_type: str, month: str | None
) -> None:
    scored = [
        (round(case.hazard(BY_OUTCOME), 12), case)
        for case in cohort(journey_type, month)
        if case.outcome01 is not None
    ]
    hits = [(h, case.customer) for h, case in scored if case.bad]
    others = [(h, case.customer) for h, case in scored if not case.bad]
    row = one_row(session, "v_validity_auc", journey_type, month, "and target = 'bad_end'")
    assert (row["n_hits"], row["n_others"]) == (len(hits), len(others))
    assert (row["auc"], row["auc_lo"], row["auc_hi"]) == pytest.approx(delong(hits, others))
    assert row["auc_lo"] < row["auc"] < row["auc_hi"]


def came_again(world: list[One]) -> dict[int, bool]:
    """First contacts that no earlier one of the customer's precedes: was there another in 7 d?"""
    times = defaultdict(list)
    for case in world:
        for at, intent in enumerate(case.intents):
            if intent:
                times[case.customer, intent].append(case.start + at * HOUR)
    repeated = {}
    for case in world:
        same = times[case.customer, case.intents[0]]
        apart = [(t - case.start) / DAY for t in same]
        if case.start - 7 * DAY >= min(o.start for o in world) and not any(
            -7 <= d < 0 for d in apart
        ):
            repeated[case.number] = any(0 < d <= 7 for d in apart)
    return repeated


def test_a_first_contact_foretells_by_its_own_friction_only(session: Session) -> None:
    again = came_again(WORLD)
    by: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for case in cohort("claim", None):
        if case.number in again:
            hazard = round(case.hazard(BY_NEXT_CONTACT, (0,)), 12)
            by[again[case.number]].append((hazard, case.customer))
    row = one_row(session, "v_validity_auc", "claim", None, "and target = 'repeat_contact'")
    assert (row["n_hits"], row["n_others"]) == (len(by[True]), len(by[False]))
    assert min(row["n_hits"], row["n_others"]) > 10
    assert (row["auc"], row["auc_lo"], row["auc_hi"]) == pytest.approx(delong(by[True], by[False]))


@pytest.mark.parametrize(("journey_type", "month"), COHORTS)
@pytest.mark.parametrize(
    ("answer", "felt"),
    [
        ("ces", lambda case: sum(case.ces) / len(case.ces) if case.ces else None),
        ("experience", lambda case: case.felt),
    ],
)
def test_rank_correlation_is_scipys(
    session: Session,
    journey_type: str,
    month: str | None,
    answer: str,
    felt: Callable[[One], float | None],
) -> None:
    asked = [case for case in cohort(journey_type, month) if felt(case) is not None]
    friction = [round(100 * (1 - exp(-case.hazard(set()))), 9) for case in asked]
    rho = stats.spearmanr(friction, [felt(case) for case in asked]).statistic
    half = Z * sqrt((1 + rho**2 / 2) / (len({case.customer for case in asked}) - 3))
    row = one_row(session, "v_validity_rank", journey_type, month, f"and answer = '{answer}'")
    assert row["n_journeys"] == len(asked)
    assert (row["spearman"], row["spearman_lo"], row["spearman_hi"]) == pytest.approx(
        (rho, tanh(atanh(rho) - half), tanh(atanh(rho) + half))
    )


def line_of(world: list[One]) -> tuple[Any, Any, Any]:
    """Ordinary least squares of bad ends on predicted: design, coefficients, residuals."""
    x = np.array([1 - exp(-round(case.hazard(BY_OUTCOME), 12)) for case in world])
    y = np.array([case.bad for case in world], float)
    design = np.stack([np.ones_like(x), x], axis=1)
    line = np.linalg.lstsq(design, y, rcond=None)[0]
    return design, line, y - design @ line


@pytest.mark.parametrize(("journey_type", "month"), COHORTS)
def test_the_line_is_least_squares_with_a_sandwich_by_customer(
    session: Session, journey_type: str, month: str | None
) -> None:
    world = [case for case in cohort(journey_type, month) if case.outcome01 is not None]
    design, line, rest = line_of(world)
    pulls = (np.linalg.inv(design.T @ design) @ (design * rest[:, None]).T).tolist()
    errors = [sqrt(clustered(pull, [case.customer for case in world])) for pull in pulls]
    row = one_row(session, "v_calibration_line", journey_type, month)
    assert (row["n_journeys"], row["n_bad_ends"]) == (len(world), sum(case.bad for case in world))
    for name, value, error in zip(("intercept", "slope"), line, errors, strict=True):
        figures = [row[f"calibration_{name}{end}"] for end in ("", "_lo", "_hi")]
        assert figures == pytest.approx([value, value - Z * error, value + Z * error])


@pytest.mark.parametrize("kind", sorted(set(WEIGHTS) - BY_OUTCOME))
def test_misfit_is_seen_less_expected_over_the_larger_error(session: Session, kind: str) -> None:
    world = [case for case in cohort("claim", None) if case.outcome01 is not None]
    design, line, rest = line_of(world)
    has = [any(p["kind"] == kind for p in case.pieces) for case in world]
    fits = (design @ line)[has]
    by: dict[int, float] = defaultdict(float)
    for case, r in zip(np.array(world)[has], rest[has], strict=True):
        by[case.customer] += r
    error = max(sum(r * r for r in by.values()), sum(max(p * (1 - p), 0) for p in fits))
    row = one_row(session, "v_kind_misfit", "claim", None, f"and kind = '{kind}'")
    assert row["n_journeys"] == sum(has)
    assert row["misfit_z"] == pytest.approx(sum(rest[has]) / sqrt(error))


def test_the_tenths_hold_all_and_part_no_equals(session: Session) -> None:
    rows = table(session, "from v_calibration where journey_type = 'claim' order by tenth")
    world = [case for case in cohort("claim", None) if case.outcome01 is not None]
    assert sum(row["n_journeys"] for row in rows) == len(world)
    assert sum(row["n_bad_ends"] for row in rows) == sum(case.bad for case in world)
    for row, after in pairwise(rows):
        assert row["predicted_to"] < after["predicted_from"]
    assert rows[-1]["bad_end_share"] > rows[0]["bad_end_share"]
    assert all(r["predicted_from"] <= r["predicted_mean"] <= r["predicted_to"] for r in rows)


def test_one_row_holds_all_tests_of_a_type_and_month(
    session: Session, validity: list[dict[str, Any]]
) -> None:
    row = of_all_months(validity, "claim")
    area = one_row(session, "v_validity_auc", "claim", None, "and target = 'bad_end'")
    line = one_row(session, "v_calibration_line", "claim", None)
    effort = one_row(session, "v_validity_rank", "claim", None, "and answer = 'ces'")
    assert row["n_journeys"] == len(cohort("claim", None))
    same = {"bad_end_auc": area["auc"], "n_bad_ends": area["n_hits"],
            "calibration_slope_lo": line["calibration_slope_lo"],
            "ces_spearman": effort["spearman"], "n_ces": effort["n_journeys"]}  # fmt: skip
    assert {name: row[name] for name in same} == pytest.approx(same)
    months = [row for row in validity if row["journey_type"] == "claim"]
    assert sum(m["n_journeys"] for m in months) == 2 * row["n_journeys"]


def test_of_few_and_of_one_side_nothing_is_said_but_how_many(
    validity: list[dict[str, Any]],
) -> None:
    row = of_all_months(validity, "advert")
    assert (row["n_journeys"], row["n_outcome_known"], row["n_bad_ends"]) == (9, 9, 0)
    silent = [name for name in row if name.endswith(("_auc", "_lo", "_hi", "_spearman", "_slope"))]
    assert {row[name] for name in [*silent, "calibration_intercept", "misfit_kind"]} == {None}


def test_perfect_parting_has_an_area_and_no_interval(tmp_path: Path) -> None:
    rough = [{"kind": "transfer", "severity": 0.1, "at": 0}]
    parts = [journey(n, [{}], rough if n < 10 else [], outcome01=float(n >= 10)) for n in range(20)]
    store_builder.published(tmp_path, store_builder.joined(*parts))
    with catalogue.connect(tmp_path) as opened:
        row = one_row(opened, "v_validity_auc", "claim", None, "and target = 'bad_end'")
        validity = one_row(opened, "v_score_validity", "claim", None)
    assert (row["auc"], row["auc_lo"], row["auc_hi"]) == (1, None, None)
    assert validity["calibration_slope"] == pytest.approx(10)


def test_a_misfit_is_named_where_chance_does_not_explain_it(tmp_path: Path) -> None:
    """Both kinds weigh the same; only transfers end badly."""
    parts = [
        journey(n, [{}], [{"kind": kind, "severity": 0.1, "at": 0}] if kind else [],
                outcome01=float(kind != "transfer"))
        for n, kind in enumerate(["transfer"] * 40 + ["rework"] * 30 + [""] * 40)
    ]  # fmt: skip
    store_builder.published(tmp_path, store_builder.joined(*parts))
    with catalogue.connect(tmp_path) as opened:
        row = one_row(opened, "v_score_validity", "claim", None)
        [over] = table(opened, "from v_kind_misfit where kind = 'rework' and ended_month is null")
    assert (row["misfit_kind"], row["n_misfit"]) == ("rework", 30)
    assert row["misfit_z"] == pytest.approx(over["misfit_z"])
    assert row["misfit_q"] == pytest.approx(over["q"])
    assert over["q"] < 0.01
    assert over["misfit_z"] < -3
    assert over["is_misfit"]
    assert over["expected_bad_ends"] == pytest.approx(30 * 40 / 70)


@pytest.mark.parametrize("z", [0.0, -0.3, 1.96, -3.0, 6.9, 7.2, 15.0, None])
def test_the_chance_of_a_deviate_is_scipys(session: Session, z: float | None) -> None:
    [(p,)] = session.execute("select two_sided(?::double)", [z]).fetchall()
    assert p == (None if z is None else pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-7))


@pytest.mark.parametrize("when", ["is null", "is not null"])
def test_q_is_scipys_over_all_types_and_kinds(session: Session, when: str) -> None:
    rows = table(session, f"from v_kind_misfit where ended_month {when}")
    tried = [row for row in rows if row["misfit_z"] is not None]
    p = [2 * stats.norm.sf(abs(row["misfit_z"])) for row in tried]
    assert len(tried) > 5
    assert [row["p"] for row in tried] == pytest.approx(p)
    q = stats.false_discovery_control(p)
    assert [row["q"] for row in tried] == pytest.approx(q)
    assert [row["is_misfit"] for row in tried] == [q_value < 0.05 for q_value in q]
    assert not any(row["is_misfit"] or row["q"] for row in rows if row["misfit_z"] is None)


def test_of_many_that_fit_the_luckiest_is_no_misfit(tmp_path: Path) -> None:
    """One of eight kinds lies two errors beside the line: alone a finding, among them none."""
    made = random.Random(4)
    kinds = ("transfer", "rework", "escalation", "reasked_info", "info_conflict", "contradiction",
             "over_pressure", "handoff_without_context")  # fmt: skip
    parts = [
        journey(
            n,
            [{}],
            [{"kind": kind, "severity": 0.3, "at": 0} for kind in kinds if made.random() < 0.3],
            outcome01=float(made.random() < 0.7),
        )
        for n in range(300)
    ]
    store_builder.published(tmp_path, store_builder.joined(*parts))
    with catalogue.connect(tmp_path) as opened:
        rows = table(opened, "from v_kind_misfit where ended_month is null")
        row = one_row(opened, "v_score_validity", "claim", None)
    assert len(rows) == len(kinds)
    assert min(r["p"] for r in rows) < 0.05
    assert not any(r["is_misfit"] for r in rows)
    assert (row["misfit_kind"], row["misfit_z"], row["misfit_q"]) == (None, None, None)


def test_each_test_says_what_it_left_out_and_how_much_is_tested(
    session: Session, validity: list[dict[str, Any]]
) -> None:
    row = of_all_months(validity, "claim")
    assert row["bad_end_left_out"] > ["abandonment"]
    assert set(row["bad_end_left_out"]) & set(WEIGHTS) == BY_OUTCOME
    assert set(row["repeat_contact_left_out"]) & set(WEIGHTS) == BY_NEXT_CONTACT
    world = cohort("claim", None)
    whole, tested = (sum(case.hazard(out) for case in world) for out in (set(), BY_OUTCOME))
    assert row["tested_hazard_share"] == pytest.approx(tested / whole)
    for view, where, out in (
        ("v_validity_auc", "and target = 'bad_end'", "bad_end"),
        ("v_validity_auc", "and target = 'repeat_contact'", "repeat_contact"),
        ("v_calibration_line", "", "bad_end"),
        ("v_kind_misfit", "and kind = 'rework'", "bad_end"),
    ):
        left_out = one_row(session, view, "claim", None, where)["left_out"]
        assert left_out == row[f"{out}_left_out"]
    assert (
        one_row(session, "v_validity_rank", "claim", None, "and answer = 'ces'")["left_out"] == []
    )
    tenths = table(session, "select distinct left_out from v_calibration")
    assert [tenth["left_out"] for tenth in tenths] == [row["bad_end_left_out"]]


def test_the_question_speaks_of_all_months(
    session: Session, validity: list[dict[str, Any]]
) -> None:
    rows = table(session, scripts("questions")["score_validity"].text)
    assert [row["journey_type"] for row in rows] == ["claim", "repair", "advert"]
    assert rows[0]["bad_end_auc"] == pytest.approx(
        of_all_months(validity, "claim")["bad_end_auc"], abs=5e-4
    )
