"""X joined and scored: laws as properties, and the oracle on many random customers."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rejse.transforms.core import build_context, score_journeys
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.feedback.answers import Scores
from rejse.transforms.feedback.attach import attach
from rejse.transforms.feedback.metrics.experience import experience_of
from rejse.transforms.feedback.output_tables import tables
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.scoring.metrics.health import health_of
from tests.support import builders, oracle, strategies
from tests.support.law import examples
from tests.support.transcript import Transcript, operational_of

#: Few small logs, for each takes a whole call; what many customers say is in one log of them.
QUICK = settings(
    max_examples=examples(12),
    suppress_health_check=list(HealthCheck),
)
MANY = strategies.many_felt(3, 40)
SCORES = settings(max_examples=examples(200))
SHARE = st.floats(0, 1)


def scored(t: Transcript, events: pa.Table | None = None) -> JourneyContext:
    events = builders.table(t.events) if events is None else events
    return build_context(events, operational_of(t), t.rules, t.frontiers)


def felt(t: Transcript, records: pa.Table, ctx: JourneyContext) -> dict[str, pa.Table]:
    given = (t.rules, t.frontiers, t.x_frontiers)
    return attach(records, ctx.sessionised, score_journeys(ctx), *given)


def answers_of(t: Transcript) -> pa.Table:
    return builders.x_table(t.experience, t.validated)


def content(tables_given: Mapping[str, pa.Table]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: sorted(
            tables_given[name].to_pylist(), key=lambda row: [str(row[k]) for k in table.key]
        )
        for name, table in tables().items()
    }


@QUICK
@given(strategies.felt(), st.randoms(use_true_random=False))
@example(MANY, random.Random(3))
def test_order_of_arrival_changes_nothing(t: Transcript, chance: random.Random) -> None:
    def mixed(rows: pa.Table) -> pa.Table:
        order = list(range(rows.num_rows))
        chance.shuffle(order)
        return rows.take(pa.array(order, pa.int64()))

    once = content(felt(t, answers_of(t), scored(t)))
    assert (
        content(felt(t, mixed(answers_of(t)), scored(t, mixed(builders.table(t.events))))) == once
    )


@QUICK
@given(strategies.felt(), st.integers(1, 7))
@example(MANY, 7)
def test_grouping_of_buckets_changes_nothing(t: Transcript, groups: int) -> None:
    ctx, records = scored(t), answers_of(t)
    once = content(felt(t, records, ctx))
    group = np.array(records.column("bucket").to_pylist(), np.int64) % groups
    parts = [felt(t, records.filter(pa.array(group == g)), ctx) for g in range(groups)]
    apart = {name: pa.concat_tables([part[name] for part in parts]) for name in tables()}
    assert content(apart) == once


@QUICK
@given(strategies.felt())
@example(MANY)
def test_rows_keep_their_declarations(t: Transcript) -> None:
    attached = felt(t, answers_of(t), scored(t))
    assert attached["experience"].num_rows == len(t.experience), "nothing said is lost"
    for name, table in tables().items():
        assert attached[name].column_names == [column.name for column in table.columns]
        attached[name].validate(full=True)
        keys = [tuple(row[k] for k in table.key) for row in attached[name].to_pylist()]
        assert len(keys) == len(set(keys)), name
        for column in table.columns:
            actual = attached[name].schema.field(column.name).type
            text = pa.types.is_dictionary(actual) and actual.value_type == column.type
            assert actual == column.type or text, f"{name}.{column.name}"
            values = [v for v in attached[name].column(column.name).to_pylist() if v is not None]
            assert column.nullable or len(values) == len(keys), f"{name}.{column.name}"
            assert column.low is None or all(v >= column.low for v in values), column.name
            assert column.high is None or all(v <= column.high for v in values), column.name
            assert not column.values or set(values) <= set(column.values), column.name


@QUICK
@given(strategies.felt())
@example(MANY)
def test_health_lies_between_its_bounds_and_its_losses_add_up(t: Transcript) -> None:
    for row in content(felt(t, answers_of(t), scored(t)))["journey_experience"]:
        if row["health"] is None:
            assert row["lost_by_delivery"] is row["band"] is row["limiting_component"] is None
            continue
        assert row["health_lo"] - 1e-9 <= row["health"] <= row["health_hi"] + 1e-9
        lost = [row[f"lost_by_{c}"] or 0 for c in ("outcome", "delivery", "experience")]
        assert sum(lost) == pytest.approx(1 if row["limiting_component"] else 0, abs=1e-12)


def test_nothing_said_gives_empty_tables() -> None:
    t = Transcript("nothing", ({"time": 0},), {}, {"all": "9d"}, {})
    blank = EXPERIENCE.pseudonymous().empty_table()
    attached = felt(t, blank, scored(t))
    assert {name: table.num_rows for name, table in attached.items()} == dict.fromkeys(
        (*tables(), "pending"), 0
    )


def test_nothing_happened_leaves_what_was_said_alone() -> None:
    t = Transcript("said", (), {}, {}, {}, experience=({"time": 0, "raw": 8},))
    empty = builders.table([{"time": 0}]).slice(0, 0)
    (row,) = felt(t, answers_of(t), scored(t, empty))["experience"].to_pylist()
    assert (row["score01"], row["journey_id"], row["join_method"]) == (0.8, None, None)


# The oracle ---------------------------------------------------------------------------------


def mismatches(t: Transcript) -> list[str]:
    """Where core and oracle differ, over all columns that both have."""
    con = oracle.compute(strategies.case(t))
    attached, out = felt(t, answers_of(t), scored(t)), []
    for name in tables():
        mine = oracle.rows(con, f"select * from o_{name}")
        out += oracle.compare(name, mine, attached[name].to_pylist())
    return out


@pytest.mark.parametrize("seed", range(11, 11 + examples(3)))
def test_the_oracle_agrees(seed: int) -> None:
    whole = strategies.many_felt(seed, 60)
    if not mismatches(whole):
        return
    for name in dict.fromkeys(event["customer"] for event in whole.events):
        customer = dataclasses.replace(
            whole,
            events=tuple(e for e in whole.events if e["customer"] == name),
            experience=tuple(x for x in whole.experience if x["customer"] == name),
        )
        if differences := mismatches(customer):
            pytest.fail("\n".join(map(str, (*customer.events, *customer.experience, *differences))))
    pytest.fail("\n".join(mismatches(whole)[:20]))


def test_the_oracle_reads_every_column() -> None:
    con = oracle.compute(strategies.case(strategies.many_felt(1, 3)))
    for name, table in tables().items():
        read = {column[0] for column in con.execute(f"select * from o_{name}").description}
        left = {column.name for column in table.columns} - read
        assert left <= {"topics", "model_id", "survey_id", "question_id"}, name


# Laws of the score --------------------------------------------------------------------------


def x_of(values: list[float]) -> float:
    rows = np.zeros(len(values), np.int64)
    return float(experience_of(Scores(rows, np.array(values), rows, rows > 0, 1))[0])


@SCORES
@given(st.lists(SHARE, min_size=1, max_size=30))
def test_experience_lies_between_the_worst_and_the_best(values: list[float]) -> None:
    assert min(values) - 1e-12 <= x_of(values) <= max(values) + 1e-12


@SCORES
@given(st.lists(SHARE, min_size=1, max_size=12), st.integers(0, 11), SHARE)
def test_a_better_answer_never_lowers_experience(
    values: list[float], at: int, better: float
) -> None:
    raised = list(values)
    raised[at % len(values)] = max(values[at % len(values)], better)
    assert x_of(raised) >= x_of(values) - 1e-12


@SCORES
@given(SHARE, SHARE, SHARE)
def test_health_lies_between_the_worst_component_and_the_weighted_mean(
    what: float, how: float, felt_: float
) -> None:
    floored = [max(c, 0.1) for c in (what, how, felt_)]
    health = float(health_of(**{
        name: np.array([c])
        for name, c in zip(("outcome", "delivery", "experience"), (what, how, felt_), strict=True)
    })[0])  # fmt: skip
    mean = sum(w * c for w, c in zip((0.35, 0.4, 0.25), floored, strict=True))
    assert 100 * min(floored) - 1e-9 <= health <= 100 * mean + 1e-9
