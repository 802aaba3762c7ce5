"""Events as columns: the total order, another order, columns that nobody may spoil."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar import arrays
from rejse.transforms.columnar.event_table import Categorical, Events, customers, total_order
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(100))
#: Texts whose order as bytes is not that of UTF-16 units or of a locale.
NAMES = ("a", "B", "ab", "é", "\uffee", "\U0001f600", "Z")


@st.composite
def logs(draw: st.DrawFn) -> pa.Table:
    """Events with many ties in time, source and sequence; ids differ."""
    rows = [
        {
            "id": f"{draw(st.sampled_from(NAMES))}{number}",
            "time": draw(st.integers(0, 2)),
            "customer": draw(st.sampled_from(("ann", "ben"))),
            "source": draw(st.sampled_from(NAMES)),
            "sequence": draw(st.sampled_from((None, -3, 2, 10))),
            "intent": draw(st.sampled_from((None, "bill", "move"))),
            "wait_s": draw(st.sampled_from((None, 0, 7))),
        }
        for number in range(draw(st.integers(1, 12)))
    ]
    return builders.table(rows)


def by_rule(row: dict[str, Any]) -> tuple[Any, ...]:
    sequence = row.get("sequence")
    return (
        row["customer_key"], row["time"], row["source"].encode(),
        (sequence is not None, sequence or 0), row["id"].encode(),
    )  # fmt: skip


@LAWS
@given(logs(), st.randoms(use_true_random=False))
def test_the_total_order_is_that_of_the_rule(table: pa.Table, chance: random.Random) -> None:
    order = list(range(table.num_rows))
    chance.shuffle(order)
    ordered = total_order(table.take(order))
    wanted = sorted(table.to_pylist(), key=by_rule)
    assert ordered.column("id").to_pylist() == [row["id"] for row in wanted]
    keys = [row["customer_key"] for row in wanted]
    assert customers(ordered).lengths.tolist() == [keys.count(k) for k in dict.fromkeys(keys)]


@LAWS
@given(logs(), st.data())
def test_an_order_of_an_order_is_the_order_of_both(table: pa.Table, data: Any) -> None:
    at = st.lists(st.integers(0, table.num_rows - 1), min_size=1, max_size=8)
    first = np.array(data.draw(at), np.int64)
    two = np.array(data.draw(st.lists(st.integers(0, len(first) - 1), max_size=8)), np.int64)
    start = Events.of(table)
    if data.draw(st.booleans()):  # decoded before the move, or after it
        start.coded("intent"), start.number("wait_s")
    moved, direct = start.rows(first).rows(two), table.take(first[two])
    assert moved.n == direct.num_rows
    assert moved.column("id").to_pylist() == direct.column("id").to_pylist()
    for name in ("intent", "source"):
        wanted = (
            direct.column(name).to_pylist() if name in direct.column_names else [None] * len(two)
        )
        assert moved.coded(name).arrow().to_pylist() == wanted
        assert moved.is_any(name, "bill", "a").tolist() == [v in ("bill", "a") for v in wanted]
    if moved.has("wait_s"):
        value, known = moved.number("wait_s")
        wanted = direct.column("wait_s").to_pylist()
        assert [v if k else None for v, k in zip(value.tolist(), known, strict=True)] == wanted
        assert moved.carries("wait_s").tolist() == [v is not None for v in wanted]
    assert moved.refs().to_pylist() == [f"{r['source']}/{r['id']}" for r in direct.to_pylist()]


def test_a_column_that_no_source_has_is_all_null() -> None:
    events = Events.of(builders.table([{"time": 0}, {"time": 1}]))
    assert not events.has("intent")
    assert not events.coded("intent").known.any()
    assert not events.number("wait_s")[1].any()
    assert events.is_any("intent", "bill").tolist() == [False, False]
    with pytest.raises(KeyError):
        events.column("intent")


def test_what_is_shared_cannot_be_changed() -> None:
    events = Events.of(builders.table([{"time": 0, "wait_s": 3}]))
    shared = (
        events.is_any("channel", "web"),
        events.coded("channel").codes,
        *events.number("wait_s"),
        events.time,
    )
    for array in shared:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


TEXT = st.lists(st.sampled_from((None, "a", "b", "c")), max_size=6)


@LAWS
@given(
    st.lists(st.tuples(*(st.sampled_from((None, "a", "b", "c")),) * 3), max_size=8),
    st.sampled_from((0, arrays.FEW)),
)
def test_fallback_takes_the_first_that_is_known(
    rows: list[tuple[str | None, ...]], more: int
) -> None:
    """However many names there are."""
    rows = [*rows, *((f"{n}",) * 3 for n in range(more))]
    columns = [Categorical.of(pa.array([row[i] for row in rows], pa.string())) for i in range(3)]
    assert_aligned(columns, rows)


def assert_aligned(columns: list[Categorical], rows: list[tuple[str | None, ...]]) -> None:
    """What is said of several columns at once is what is said row by row."""
    filled = columns[0].fallback(*columns[1:])
    wanted = [next((v for v in row if v is not None), None) for row in rows]
    assert filled.arrow().to_pylist() == wanted
    mine, theirs = columns[0].aligned(columns[1])
    assert (mine == theirs).tolist() == [row[0] == row[1] for row in rows]
    assert filled.of_names(("a", "c")).tolist() == [v in ("a", "c") for v in wanted]
    names = pa.array(["c", "a"])
    kept = [row[0] if row[0] in ("a", "c") else None for row in rows]
    plain = pa.array([row[0] for row in rows], pa.string())
    for some in (columns[0].within(names), Categorical.among(plain, names)):
        assert some.arrow().to_pylist() == kept


@LAWS
@given(TEXT, TEXT, st.integers(0, 2))
def test_coded_of_any_form_of_a_column(
    first: list[str | None], two: list[str | None], at: int
) -> None:
    plain = [pa.array(part, pa.string()) for part in (first, two)]
    whole = (first + two)[at:]
    forms = (
        pa.chunked_array(plain),
        pa.chunked_array([p.dictionary_encode() for p in plain]),
    )
    for form in forms:
        coded = Categorical.of(form.slice(at))
        assert coded.arrow().to_pylist() == whole
        assert coded.known.tolist() == [v is not None for v in whole]
        assert coded.rows(np.array([-1, -1])).arrow().to_pylist() == [None, None]
