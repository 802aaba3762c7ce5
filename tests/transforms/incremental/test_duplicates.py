"""Of rows with one (source, id) the first recorded stays, whatever arrived first."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.incremental.deduplicate import over_event_cap, without_duplicates
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(80))


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of few ids, so that most are duplicates of some other."""
    return [
        {
            "time": draw(st.integers(0, 3)),
            "id": draw(st.sampled_from("ab")),
            "source": draw(st.sampled_from(("crm", "web"))),
            "customer": draw(st.sampled_from(("ann", "ben"))),
            "intent": draw(st.sampled_from((None, "bill", "move"))),
            "recordedtime": draw(st.sampled_from((None, 5, 6))),
        }
        for _ in range(draw(st.integers(1, 12)))
    ]


def canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def silence(row: dict[str, Any]) -> int:
    """How little an X-record says: no value, or nothing at all; 0 of every event."""
    if "raw_score" not in row or row["raw_score"] is not None:
        return 0
    return 1 if row["has_text"] or row["responded_time"] is not None else 2


def naive(events: list[dict[str, Any]]) -> list[str]:
    """The rule in a loop, over rows of the table."""
    best: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for row in events:
        recorded = row.get("recordedtime")
        worth = (recorded is None, str(recorded), silence(row), row["customer_key"], canonical(row))
        key = (row["source"], row["id"])
        best[key] = min(best.get(key, worth), worth)
    return sorted(text for *_, text in best.values())


@LAWS
@given(rows(), st.randoms(use_true_random=False))
def test_the_first_recorded_stays_in_every_order(
    events: list[dict[str, Any]], chance: random.Random
) -> None:
    table = builders.table(events)
    order = list(range(table.num_rows))
    chance.shuffle(order)
    kept, removed = without_duplicates(table)
    again, as_many = without_duplicates(table.take(order))
    stayed = sorted(canonical(row) for row in kept.to_pylist())
    assert stayed == naive(table.to_pylist())
    assert stayed == sorted(canonical(row) for row in again.to_pylist())
    assert removed == as_many == table.num_rows - kept.num_rows
    assert without_duplicates(kept)[1] == 0


@st.composite
def opinions(draw: st.DrawFn) -> pa.Table:
    """X-records of few ids, some silent, some answered, some only in words."""
    rows = [
        {
            "source": "survey", "id": draw(st.sampled_from("ab")), "time": draw(st.integers(0, 1)),
            "customer_key": draw(st.sampled_from("cd")), "previous_key": None, "bucket": 0,
            "raw_score": draw(st.sampled_from((None, None, 0.0, 9.0))),
            "has_text": draw(st.sampled_from((None, False, True))),
            "responded_time": draw(st.sampled_from((None, None, 3))),
            "recordedtime": draw(st.sampled_from((None, None, 5, 6))),
        }
        for _ in range(draw(st.integers(1, 10)))
    ]  # fmt: skip
    shape = EXPERIENCE.pseudonymous({*EXPERIENCE.carried} & {*rows[0]})
    return pa.Table.from_pylist(rows, schema=shape)


@LAWS
@given(opinions(), st.randoms(use_true_random=False))
def test_of_answers_recorded_at_one_time_one_with_a_value_stays_in_every_order(
    table: pa.Table, chance: random.Random
) -> None:
    order = list(range(table.num_rows))
    chance.shuffle(order)
    for some in (table, table.take(order)):
        kept, _ = without_duplicates(some)
        assert sorted(canonical(row) for row in kept.to_pylist()) == naive(table.to_pylist())


def test_one_id_at_two_sources_is_two_events() -> None:
    table = builders.table([{"time": 0, "id": "x"}, {"time": 0, "id": "x", "source": "web"}])
    assert without_duplicates(table)[1] == 0


def test_the_cap_is_inclusive_and_counts_each_customer_alone() -> None:
    table = builders.table(
        [
            {"time": n, "customer": customer}
            for n, customer in enumerate(["ann", "ben", "ann", "ann"])
        ]
    )
    assert over_event_cap(table, 3).tolist() == [False] * 4
    assert over_event_cap(table, 2).tolist() == [True, False, True, True]
    assert over_event_cap(table.slice(0, 0), 2).tolist() == []
