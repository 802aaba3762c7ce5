"""Friction of words that do not agree: other answers to one question."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.bench.perevent.evidence import Piece
from tests.bench.perevent.journey import Journey


def info_conflicts(journey: Journey) -> Iterator[Piece]:
    """Fields given with another answer than their last, in a later step."""
    assert journey.fields is not None
    for field, given in journey.fields.answers.items():
        for one, other in pairwise(given):
            if one.value != other.value and one.step is not other.step:
                event, earlier = journey.events[other.n], journey.events[one.n]
                yield Piece(
                    "info_conflict", other.step, one.step, event, earlier, event.us, detail=field
                )
