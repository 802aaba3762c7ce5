"""Laws as properties: nothing but the data decides, the oracle agrees, scores are well-behaved."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rejse.transforms.schema.parameters import WEIGHTS
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.score import MAX_SEVERITY, rank_hazards, severity, total
from rejse.transforms.scoring.metrics.health import delivery_of, friction_of, health_of
from rejse.transforms.scoring.output_tables import tables
from tests.support import builders, strategies
from tests.support.core import score_events, score_transcript
from tests.support.law import examples
from tests.support.oracle_agreement import mismatches, smallest_mismatch
from tests.support.transcript import Transcript, operational_of

#: Few small logs, for each takes a whole call; what many customers have is in one log of them.
QUICK = settings(
    max_examples=examples(12),
    suppress_health_check=list(HealthCheck),
)
MANY = strategies.many(3, 60)
SCORES = settings(max_examples=examples(200))
Tables = Mapping[str, pa.Table]


def content(tables_found: Tables) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table, in the order of their declared keys."""
    return {
        name: sorted(
            tables_found[name].to_pylist(), key=lambda row: [str(row[k]) for k in table.key]
        )
        for name, table in tables().items()
    }


@QUICK
@given(strategies.transcripts(), st.randoms(use_true_random=False))
@example(MANY, random.Random(3))
def test_order_of_arrival_changes_nothing(t: Transcript, chance: random.Random) -> None:
    events = builders.table(t.events)
    order = list(range(events.num_rows))
    chance.shuffle(order)
    assert content(score_transcript(t, events.take(order))) == content(score_transcript(t, events))


@QUICK
@given(strategies.transcripts(), st.integers(1, 3))
@example(MANY, 2)
def test_chunks_change_nothing(t: Transcript, size: int) -> None:
    events = builders.table(t.events)
    chunked = pa.Table.from_batches(
        [b for at in range(0, events.num_rows, size) for b in events.slice(at, size).to_batches()],
        schema=events.schema,
    )
    assert content(score_transcript(t, chunked)) == content(score_transcript(t, events))


@QUICK
@given(strategies.transcripts(), st.integers(1, 7))
@example(MANY, 7)
def test_grouping_of_buckets_changes_nothing(t: Transcript, groups: int) -> None:
    events = builders.table(t.events)
    group = np.array(events.column("bucket").to_pylist()) % groups
    parts = [score_transcript(t, events.filter(pa.array(group == g))) for g in range(groups)]
    apart = {name: pa.concat_tables([part[name] for part in parts]) for name in tables()}
    assert content(apart) == content(score_transcript(t, events))


def test_no_events_give_empty_tables_of_the_declared_schema() -> None:
    blank = builders.table([{"time": 0}]).slice(0, 0)
    scored = score_events(blank, operational_of(_nothing()), _nothing().rules, {})
    for name, table in tables().items():
        assert scored[name].num_rows == 0
        assert set(table.schema.names) <= set(scored[name].column_names)


def _nothing() -> Transcript:
    return Transcript("nothing", (), {}, {}, {})


@QUICK
@given(strategies.transcripts())
@example(MANY)
def test_rows_keep_their_declarations(t: Transcript) -> None:
    scored = score_transcript(t, builders.table(t.events))
    for name, table in tables().items():
        keys = [tuple(row[k] for k in table.key) for row in scored[name].to_pylist()]
        assert len(keys) == len(set(keys)), name
        for column in table.columns:
            values = [v for v in scored[name].column(column.name).to_pylist() if v is not None]
            if not column.nullable:
                assert len(values) == len(keys), f"{name}.{column.name}"
            if column.low is not None:
                assert all(v >= column.low for v in values), f"{name}.{column.name}"
            if column.high is not None:
                assert all(v <= column.high for v in values), f"{name}.{column.name}"
            if column.values:
                assert set(values) <= set(column.values), f"{name}.{column.name}"


@QUICK
@given(strategies.transcripts())
@example(MANY)
def test_shares_and_bounds_of_published_scores(t: Transcript) -> None:
    contents = content(score_transcript(t, builders.table(t.events)))
    for journey in contents["journeys"]:
        mine = [
            e for e in contents["friction_evidence"] if e["journey_id"] == journey["journey_id"]
        ]
        assert journey["n_evidence"] == len(mine)
        if mine:
            assert sum(e["share"] for e in mine) == pytest.approx(1, abs=1e-12)
            assert sum(e["hazard"] for e in mine) == pytest.approx(journey["friction_hazard"])
            assert journey["friction_score"] >= 100 * max(e["severity"] for e in mine) - 1e-9
            assert journey["friction_score_lo"] <= journey["friction_score"]
            assert journey["friction_score"] <= journey["friction_score_hi"]
        if journey["health_ops"] is not None:
            assert journey["health_ops_lo"] <= journey["health_ops"] <= journey["health_ops_hi"]
        if journey["throughput_s"] is not None:
            whole = journey["busy_s"] + journey["idle_s"]
            assert journey["throughput_s"] == pytest.approx(whole, abs=1e-6)


# The oracle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(1, 1 + examples(4)))
@pytest.mark.parametrize("rich", [False, True], ids=["plain", "rich"])
def test_the_oracle_agrees(seed: int, rich: bool) -> None:
    whole = strategies.many(seed, 100, rich)
    if differences := mismatches(whole):
        smallest = smallest_mismatch(whole)
        text = "\n".join(map(str, (*smallest.events, smallest.frontier, *mismatches(smallest))))
        pytest.fail(f"{len(differences)} differences; the smallest customer:\n{text}")


# Laws of the score --------------------------------------------------------------------------

KIND = st.sampled_from(sorted(KINDS))
SHARE = st.floats(0.001, 1.0)


@st.composite
def pieces(draw: st.DrawFn, least: int = 1) -> list[tuple[int, str, float]]:
    """Evidence as (step, kind, severity) with the weight of its registered kind."""
    count = draw(st.integers(least, 12))
    return [
        (
            draw(st.integers(0, 4)),
            kind,
            float(severity(np.array([WEIGHTS[kind]]), np.array([draw(SHARE)]), np.array([1.0]))[0]),
        )
        for kind in [draw(KIND) for _ in range(count)]
    ]


def hazards(evidence: list[tuple[int, str, float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    kinds = sorted(KINDS)
    return rank_hazards(
        np.array([s for _, _, s in evidence]),
        np.array([step for step, _, _ in evidence], dtype=np.int64),
        np.array([kinds.index(kind) for _, kind, _ in evidence], dtype=np.int64),
        np.arange(len(evidence)),
    ).hazard


def score(evidence: list[tuple[int, str, float]]) -> float:
    if not evidence:
        return 0.0
    h = total(hazards(evidence), np.zeros(len(evidence), np.int64), 1)
    return float(friction_of(h)[0])


def test_every_kind_has_a_weight_and_every_weight_a_kind() -> None:
    assert set(KINDS) == set(WEIGHTS)
    assert all(0 < weight <= MAX_SEVERITY for weight in WEIGHTS.values())


@SCORES
@given(pieces())
def test_friction_is_bounded_and_zero_only_without_evidence(evidence: list[Any]) -> None:
    assert 0 < score(evidence) < 100


@SCORES
@given(pieces(), KIND, SHARE, st.integers(0, 5))
def test_more_evidence_never_lowers_friction(
    evidence: list[Any], kind: str, g: float, step: int
) -> None:
    more = [*evidence, (step, kind, WEIGHTS[kind] * g)]
    assert score(more) >= score(evidence) - 1e-9


@SCORES
@given(pieces(), st.data(), st.floats(1.0, 3.0))
def test_worse_evidence_never_lowers_friction(
    evidence: list[Any], data: Any, factor: float
) -> None:
    at = data.draw(st.integers(0, len(evidence) - 1))
    step, kind, s = evidence[at]
    worse = [*evidence[:at], (step, kind, min(s * factor, MAX_SEVERITY)), *evidence[at + 1 :]]
    assert score(worse) >= score(evidence) - 1e-9


@SCORES
@given(pieces())
def test_good_steps_never_dilute(evidence: list[Any]) -> None:
    assert score(evidence) >= 100 * max(s for _, _, s in evidence) - 1e-9


@SCORES
@given(pieces(), st.randoms(use_true_random=False))
def test_friction_is_order_free(evidence: list[Any], chance: random.Random) -> None:
    shuffled = list(evidence)
    chance.shuffle(shuffled)
    assert score(shuffled) == pytest.approx(score(evidence), abs=1e-9)


@SCORES
@given(pieces())
def test_hazards_add_up_over_steps(evidence: list[Any]) -> None:
    h = hazards(evidence)
    steps = np.array([step for step, _, _ in evidence])
    apart = sum(
        float(hazards([piece for piece in evidence if piece[0] == step]).sum())
        for step in np.unique(steps)
    )
    assert apart == pytest.approx(float(h.sum()), rel=1e-12)
    assert float((h / h.sum()).sum()) == pytest.approx(1, abs=1e-12)


@SCORES
@given(KIND, st.integers(1, 200), SHARE)
def test_repetition_inside_a_step_is_bounded(kind: str, n: int, g: float) -> None:
    s = WEIGHTS[kind] * g
    assert score([(0, kind, s)] * n) <= 100 * (1 - (1 - s) ** 2) + 1e-9


@SCORES
@given(st.floats(0, 1), st.floats(0, 30), st.floats(0, 1), st.floats(0, 10))
def test_health_is_bounded_and_monotone(o: float, h: float, o2: float, h2: float) -> None:
    def health(outcome: float, hazard: float) -> float:
        delivery = delivery_of(np.array([hazard]))
        return float(health_of(outcome=np.array([outcome]), delivery=delivery)[0])

    d = float(np.exp(-h))
    worst = 100 * min(max(o, 0.1), max(d, 0.1))
    mean = 100 * (0.35 * max(o, 0.1) + 0.40 * max(d, 0.1)) / 0.75
    assert worst - 1e-9 <= health(o, h) <= mean + 1e-9
    assert health(min(o, o2), h) <= health(max(o, o2), h) + 1e-9
    assert health(o, h + h2) <= health(o, h) + 1e-9
