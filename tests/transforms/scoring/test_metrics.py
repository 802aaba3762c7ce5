"""Every registered metric: typed as declared, blind to what was computed before it, empty-safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.feedback.output_tables import tables as x_tables
from rejse.transforms.schema.contract import event_schema
from rejse.transforms.schema.parameters import WEIGHTS, Rules
from rejse.transforms.schema.registry import Metric, metric, metrics
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.assess import ScoredJourneys, assess
from rejse.transforms.scoring.friction.kinds import kind
from rejse.transforms.scoring.output_tables import tables
from rejse.transforms.scoring.pending import PENDING
from tests.support import builders, strategies
from tests.support.core import context_of, score_events
from tests.support.law import examples
from tests.support.transcript import Transcript

TABLE_OF = {
    "journey": "journeys",
    "step": "steps",
    "experience": "experience",
    "journey_experience": "journey_experience",
}
LAWS = settings(
    max_examples=examples(20),
    suppress_health_check=list(HealthCheck),
)


def plain(column: Any) -> list[Any]:
    """Values of a metric, null as None (a pair is values and their mask, NaN is null)."""
    if isinstance(column, Categorical):
        return column.arrow().to_pylist()  # type: ignore[no-any-return]
    if isinstance(column, pa.Array):
        return column.to_pylist()  # type: ignore[no-any-return]
    values, known = column if isinstance(column, tuple) else (column, np.ones(len(column), bool))
    return [
        None if not ok or value != value else value
        for value, ok in zip(values.tolist(), known.tolist(), strict=True)
    ]


def of_grain(a: ScoredJourneys, m: Metric) -> int:
    return len(a.ctx.journeys) if m.grain == "journey" else len(a.ctx.steps)


@LAWS
@given(strategies.transcripts(), st.randoms(use_true_random=False))
def test_no_metric_depends_on_those_computed_before_it(t: Transcript, chance: Any) -> None:
    shuffled = [*metrics("journey"), *metrics("step")]
    chance.shuffle(shuffled)
    one_way, other_way = assess(context_of(t)), assess(context_of(t))
    first_values = {(m.grain, m.name): plain(m.compute(one_way)) for m in shuffled}
    for m in reversed(shuffled):
        computed = plain(m.compute(other_way))
        assert first_values[m.grain, m.name] == computed, m.name
        assert len(computed) == of_grain(other_way, m), m.name


@LAWS
@given(strategies.transcripts())
def test_tables_have_the_types_they_declare(t: Transcript) -> None:
    a = context_of(t)
    typed_as_declared(score_events(builders.table(t.events), a.data, a.rules, a.watermarks))


def typed_as_declared(tables_given: Mapping[str, pa.Table]) -> None:
    declared = {**tables(), PENDING.name: PENDING}
    assert set(tables_given) == set(declared)
    for name, table in declared.items():
        assert tables_given[name].column_names == [column.name for column in table.columns], name
        for column in table.columns:
            actual = tables_given[name].schema.field(column.name).type
            text = pa.types.is_dictionary(actual) and actual.value_type == column.type
            assert actual == column.type or text, f"{name}.{column.name}"
        tables_given[name].validate(full=True)


@pytest.mark.parametrize("present", [None, set()], ids=["all columns", "least columns"])
def test_no_events_give_empty_tables(present: set[str] | None) -> None:
    blank = event_schema(present).empty_table()
    scored = score_events(blank, Operational(), Rules(), {})
    typed_as_declared(scored)
    assert {table.num_rows for table in scored.values()} == {0}


def test_the_least_event_is_a_journey_of_unknowns_not_of_zeros() -> None:
    scored = score_events(builders.table([{"time": 0}]), Operational(), Rules(), {"crm": 0})
    (journey,) = scored["journeys"].to_pylist()
    assert (journey["n_events"], journey["n_steps"], journey["n_contacts"]) == (1, 1, 1)
    unknown = ("outcome", "outcome01", "health_ops", "customer_wait_s", "internal_wait_s", "rework",
               "data_continuity", "silos_crossed", "time_to_resolution_s", "case_id", "owner",
               "close_reason")  # fmt: skip
    assert {name: journey[name] for name in unknown} == dict.fromkeys(unknown)
    assert (journey["state"], journey["journey_type"], journey["is_final"]) == (
        "open",
        "other",
        False,
    )


@pytest.mark.parametrize("m", metrics(), ids=lambda m: f"{m.grain}-{m.name}")
def test_each_metric_is_declared_wholly(m: Metric) -> None:
    column = m.column
    assert m.grain in TABLE_OF
    assert m.compute.__name__ == column.name
    assert len(column.description) > 15
    assert column.unit or pa.types.is_string(column.type) or pa.types.is_boolean(column.type)
    assert m.direction in ("higher_is_better", "lower_is_better", "neutral")
    assert m.when_empty
    if column.low is not None and column.high is not None:
        assert column.low < column.high
    table = {**tables(), **x_tables()}[TABLE_OF[m.grain]]
    assert column in table.columns
    about = table.schema.field(column.name).metadata
    assert about[b"description"].decode() == column.description


@pytest.mark.parametrize("grain", TABLE_OF)
def test_labels_are_unique_in_a_grain_and_stand_in_the_schema(grain: str) -> None:
    labels = [declared.label for declared in metrics(grain)]
    assert all(label.strip() for label in labels)
    assert len(set(labels)) == len(labels) > 0
    schema = {**tables(), **x_tables()}[TABLE_OF[grain]].schema
    carried = [schema.field(declared.name).metadata[b"label"] for declared in metrics(grain)]
    assert carried == [label.encode() for label in labels]


def test_kinds_have_labels_of_their_own_and_stories() -> None:
    labels = [declared.label for declared in KINDS.values()]
    assert len(set(labels)) == len(labels) == len(WEIGHTS)
    assert all(declared.label.strip() and declared.story.strip() for declared in KINDS.values())


@pytest.mark.parametrize(
    ("label", "story"), [("", "met nothing"), ("Nothing", ""), ("Transfer", "met nothing")]
)
def test_a_kind_without_story_or_label_of_its_own_is_refused(label: str, story: str) -> None:
    def nothing_at_all(ctx: Any) -> Any:
        """Nothing: it is never registered."""
        return ctx

    with pytest.raises(ValueError, match="expected a label of its own and a story"):
        kind("node", "x", label=label, story=story)(nothing_at_all)
    assert "nothing_at_all" not in KINDS


def test_a_metric_without_formula_label_or_name_of_its_own_is_refused() -> None:
    def n_events(scored: Any) -> Any:
        return scored

    def n_nothing(scored: Any) -> Any:
        """Number of nothings."""
        return scored

    with pytest.raises(ValueError, match="expected a docstring"):
        metric("journey", pa.int32(), label="Nothing", unit="1")(n_events)
    n_events.__doc__ = "Number of events."
    assert metrics()  # the families are registered
    with pytest.raises(ValueError, match="declared twice at grain journey"):
        metric("journey", pa.int32(), label="Nothing", unit="1")(n_events)
    for label in ("", " ", "Events"):
        with pytest.raises(ValueError, match="expected a label of its own at grain journey"):
            metric("journey", pa.int32(), label=label, unit="1")(n_nothing)
