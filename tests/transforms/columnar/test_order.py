"""The radix sort gives the order that a sort by comparing gives, whatever the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar import radix_sort
from rejse.transforms.columnar.groups import distinct, numbered
from rejse.transforms.columnar.radix_sort import sorted_by
from tests.support.law import examples

LAWS = settings(max_examples=examples(200))
KINDS = ("int8", "int16", "int32", "int64", "uint8", "uint64", "bool", "float64")
Columns = list[np.ndarray[Any, Any]]


def numbers(kind: str) -> st.SearchStrategy[Any]:
    """Few values and far ones, so that there are ties, and digits of every weight."""
    if kind == "bool":
        return st.booleans()
    if kind == "float64":
        return st.sampled_from((0.0, -0.0, 1.5)) | st.floats(width=64)
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    return (
        st.integers(max(least, -2), 2) | st.sampled_from((least, most)) | st.integers(least, most)
    )


@st.composite
def columns(draw: st.DrawFn) -> Columns:
    """One to three keys of some rows."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    n = draw(st.integers(0, 12))
    rows = [draw(st.lists(numbers(kind), min_size=n, max_size=n)) for kind in kinds]
    return [np.array(row, kind) for row, kind in zip(rows, kinds, strict=True)]


@LAWS
@given(columns())
def test_the_order_is_that_of_comparing(keys: Columns) -> None:
    assert sorted_by(*keys, radix_from=1).tolist() == np.lexsort(keys[::-1]).tolist()


@LAWS
@given(columns())
def test_values_are_numbered_in_their_order(keys: Columns) -> None:
    key = keys[0][~np.isnan(keys[0])]
    key = np.tile(key, 1 + radix_sort.MANY // max(len(key), 1))  # so many that it goes to pieces
    parts = numbered(key)
    wanted = np.unique(key, return_index=True, return_inverse=True)
    assert [part.tolist() for part in parts] == [part.tolist() for part in wanted]
    assert distinct(key).tolist() == wanted[0].tolist()


@pytest.mark.parametrize("radix_from", [1, 10**9])
def test_few_rows_and_many_are_sorted_alike(radix_from: int) -> None:
    random = np.random.default_rng(5)
    keys = [random.integers(-3, 3, 5_000), random.integers(-(2**62), 2**62, 5_000)]
    keys[1][::3] = 0
    assert sorted_by(*keys, radix_from=radix_from).tolist() == sorted(
        range(5_000), key=lambda row: [int(key[row]) for key in keys]
    )
