"""Reductions and scans of segments against a loop over their rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from tests.support.law import examples

LAWS = settings(max_examples=examples(50))
Rows = tuple[Groups, list[range], np.ndarray[Any, Any], np.ndarray[Any, Any]]


@st.composite
def segmented(draw: st.DrawFn, codes: st.SearchStrategy[int] = st.integers(-1, 4)) -> Rows:  # noqa: B008
    """Segments, their rows, a value and a mask of each row; none at all is among them."""
    lengths = draw(st.lists(st.integers(1, 5), max_size=6))
    n = sum(lengths)
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    values = draw(st.lists(codes, min_size=n, max_size=n))
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    rows = [range(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    segments = Groups(np.array(starts, np.int64), n)
    return segments, rows, np.array(values, np.int64), np.array(mask, bool)


Reduce = Callable[[list[int], list[int], list[bool]], Any]
REDUCTIONS: dict[str, tuple[Callable[[Groups, Any, Any], Any], Reduce]] = {
    "sum": (lambda s, x, m: s.sum(x), lambda r, x, m: sum(x)),
    "count": (lambda s, x, m: s.count(m), lambda r, x, m: sum(m)),
    "any": (lambda s, x, m: s.any(m), lambda r, x, m: any(m)),
    "max": (lambda s, x, m: s.max(x), lambda r, x, m: max(x)),
    "min": (lambda s, x, m: s.min(x), lambda r, x, m: min(x)),
    "first": (lambda s, x, m: s.first(x), lambda r, x, m: x[0]),
    "last": (lambda s, x, m: s.last(x), lambda r, x, m: x[-1]),
    "lengths": (lambda s, x, m: s.lengths, lambda r, x, m: len(r)),
    "lasts": (lambda s, x, m: s.lasts, lambda r, x, m: r[-1]),
    "nunique": (lambda s, x, m: s.nunique(x), lambda r, x, m: len(set(x) - {-1})),
    "first_row": (
        lambda s, x, m: s.first_row(m),
        lambda r, x, m: next((i for i, is_so in zip(r, m, strict=True) if is_so), -1),
    ),
    "last_row": (
        lambda s, x, m: s.last_row(m),
        lambda r, x, m: max([-1, *(i for i, is_so in zip(r, m, strict=True) if is_so)]),
    ),
    "first_valid": (
        lambda s, x, m: s.first_valid(x),
        lambda r, x, m: next((v for v in x if v != -1), -1),
    ),
    "last_valid": (
        lambda s, x, m: s.last_valid(x),
        lambda r, x, m: next((v for v in reversed(x) if v != -1), -1),
    ),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    quick, slow = REDUCTIONS[name]

    @LAWS
    @given(segmented())
    def agree(drawn: Rows) -> None:
        segments, rows, x, mask = drawn
        wanted = [slow(list(r), x[r].tolist(), mask[r].tolist()) for r in rows]
        assert quick(segments, x, mask).tolist() == wanted

    agree()


def _before(rows: range, mask: Any, i: int, inclusive: bool) -> int:
    return max([-1, *(j for j in rows if mask[j] and (j <= i if inclusive else j < i))])


SCANS: dict[str, tuple[Callable[[Groups, Any, Any], Any], Callable[[range, Any, Any, int], Any]]]
SCANS = {
    "begins": (lambda s, x, m: s.begins, lambda r, x, m, i: i == r[0]),
    "places": (lambda s, x, m: s.row_number, lambda r, x, m, i: i - r[0]),
    "spread": (lambda s, x, m: s.broadcast(s.starts), lambda r, x, m, i: r[0]),
    "changed": (lambda s, x, m: s.changed(x), lambda r, x, m, i: i != r[0] and x[i] != x[i - 1]),
    "changed in either": (
        lambda s, x, m: s.changed(x, m),
        lambda r, x, m, i: i != r[0] and (x[i] != x[i - 1] or m[i] != m[i - 1]),
    ),
    "before": (
        lambda s, x, m: s.before(x, -7),
        lambda r, x, m, i: -7 if i == r[0] else x[i - 1],
    ),
    "last_row_before": (
        lambda s, x, m: s.last_row_before(m),
        lambda r, x, m, i: _before(r, m, i, False),
    ),
    "last_row_before or at": (
        lambda s, x, m: s.last_row_before(m, inclusive=True),
        lambda r, x, m, i: _before(r, m, i, True),
    ),
    "next_row_after": (
        lambda s, x, m: s.next_row_after(m),
        lambda r, x, m, i: next((j for j in r if j > i and m[j]), -1),
    ),
    "running_max": (
        lambda s, x, m: s.running_max(x),
        lambda r, x, m, i: max(x[r[0] : i + 1]),
    ),
}


@pytest.mark.parametrize("name", SCANS)
def test_scans(name: str) -> None:
    quick, slow = SCANS[name]

    @LAWS
    @given(segmented())
    def agree(drawn: Rows) -> None:
        segments, rows, x, mask = drawn
        assert quick(segments, x, mask).tolist() == [slow(r, x, mask, i) for r in rows for i in r]

    agree()


@LAWS
@given(segmented(st.integers(-1, 400)))
def test_many_distinct_codes_are_counted_too(drawn: Rows) -> None:
    segments, rows, x, _ = drawn
    assert segments.nunique(x).tolist() == [len(set(x[r].tolist()) - {-1}) for r in rows]


@LAWS
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12))
def test_segments_of_sorted_keys(pairs: list[tuple[int, int]]) -> None:
    first, two = (np.array([p[i] for p in pairs], np.int64) for i in (0, 1))
    order = sorted_by(first, two)
    assert [pairs[i] for i in order] == sorted(pairs)
    assert all(a < b for a, b in pairwise(order) if pairs[a] == pairs[b])
    groups = Groups.of(first[order], two[order])
    assert len(groups) == len(set(pairs))
    assert groups.lengths.tolist() == [pairs.count(p) for p in sorted(set(pairs))]


def test_the_first_row_always_begins_a_segment_and_the_mask_stays_as_it_was() -> None:
    mask = np.array([False, False, True])
    assert Groups.where(mask).starts.tolist() == [0, 2]
    assert not mask[0]
    assert len(Groups.where(mask[:0])) == 0


def test_pick_of_nothing_is_the_fill() -> None:
    x = np.array([5, 6])
    assert pick(x, np.array([1, -1, 0]), 9).tolist() == [6, 9, 5]
    assert pick(x[:0], np.array([-1, -1]), 9).tolist() == [9, 9]
