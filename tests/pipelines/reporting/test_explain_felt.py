"""The emotion of a step as `explain` tells it: scores first, then texts."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from rejse.pipelines.reporting.explain.feedback import Answer, answered, emotion


def spoken(**own: Any) -> Answer:
    blank = dict.fromkeys(field.name for field in fields(Answer))
    return Answer(**{**blank, "respondent_type": "customer", "is_solicited": False,
                     "level": "touchpoint", **own})  # fmt: skip


ORDER = [
    spoken(score01=0.8, is_solicited=True, scored_as="step"),
    spoken(sentiment01=0.7, is_solicited=True, scored_as="step"),
    spoken(score01=0.6, sentiment01=0.1),
    spoken(sentiment01=0.5, is_solicited=True),
]


@pytest.mark.parametrize("first", range(len(ORDER) + 1))
def test_a_score_goes_before_texts_and_what_was_asked_before_what_was_not(first: int) -> None:
    expected = [0.8, 0.7, 0.6, 0.5, None][first]
    assert emotion((*ORDER[first:], spoken(respondent_type="employee", score01=0.0))) == expected


@pytest.mark.parametrize("level", ["journey", "relationship", "product", None])
def test_what_was_said_of_more_than_the_step_is_no_emotion_of_it(level: str | None) -> None:
    whole = spoken(score01=0.2, is_solicited=True, scored_as="whole", level=level)
    words = spoken(sentiment01=0.1, level=level)
    assert emotion((whole, words)) is None
    assert emotion((whole, words, ORDER[0])) == 0.8


@pytest.mark.parametrize(
    ("ignored", "ending"), [(True, "; nobody acted on it in time"), (False, ""), (None, "")]
)
def test_only_what_is_known_to_be_ignored_is_told_to_be(ignored: bool | None, ending: str) -> None:
    complaint = spoken(instrument="complaint", is_answered=True, is_ignored=ignored)
    assert answered(complaint) == f"the customer complained{ending}"
