"""The nearest candidate within reach against a loop over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.nearest_match import Candidates
from tests.support.law import examples

LAWS = settings(max_examples=examples(200))


@LAWS
@given(st.data())
def test_earlier_and_later(data: Any) -> None:
    n = data.draw(st.integers(1, 14))
    group = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), np.int64)
    some = st.sets(st.integers(0, n - 1)).map(lambda places: np.array(sorted(places), np.int64))
    rows, asking = data.draw(some), data.draw(some)
    barred = data.draw(st.sets(st.tuples(st.integers(0, n), st.integers(0, n))))

    def within(q: Any, c: Any) -> Any:
        return np.array([(a, b) not in barred for a, b in zip(q, c, strict=True)], bool)

    index = Candidates.of(rows[::-1], group[rows[::-1]], n)
    for row, before, after in zip(
        asking,
        index.earlier(asking, group[asking], within),
        index.later(asking, group[asking], within),
        strict=True,
    ):
        fit = [c for c in rows if group[c] == group[row] and (row, c) not in barred]
        assert before == max([c for c in fit if c < row], default=-1)
        assert after == min([c for c in fit if c > row], default=-1)


def test_no_candidates_and_no_questions() -> None:
    none = np.zeros(0, np.int64)
    asking = np.array([0, 3])
    everything = lambda q, c: np.ones(len(q), bool)  # noqa: E731
    assert Candidates.of(none, none, 5).earlier(asking, asking * 0, everything).tolist() == [-1, -1]
    assert Candidates.of(asking, asking * 0, 5).later(none, none, everything).tolist() == []
