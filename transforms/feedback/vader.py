"""English sentiment by VADER: words of judgement, turned and strengthened by their neighbours.

The words and the rules are those of the package vaderSentiment (Hutto and Gilbert 2014, MIT). How
often it is right: `rejse sentiment`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # settings ask for the model's name where nothing is scored
    import pyarrow as pa

    from rejse.transforms.feedback.sentiment import Sentiment

#: Characters of a text that are scored: VADER is made for short texts, and its time grows with the
#: square of their length (5,000 emoji take half a minute).
MOST = 1_000


class Vader:
    """The scorer of English unless the settings name another."""

    @property
    def model_id(self) -> str:
        """Name and version of the package."""
        return f"vader-{version('vaderSentiment')}"

    def score(self, texts: pa.StringArray) -> Sentiment:
        """Sentiment of each text; NaN where it has no word of judgement.

        VADER gives no confidence, so that it is NaN.
        """
        import numpy as np

        from rejse.transforms.feedback.sentiment import Sentiment

        return Sentiment(
            np.array([_value(text[:MOST]) for text in texts.to_pylist()], np.float64),
            np.full(len(texts), np.nan),
        )


def _value(text: str) -> float:
    polarity = _analyzer().polarity_scores(text)
    is_silent = polarity["pos"] == polarity["neg"] == 0
    return float("nan") if is_silent else (1 + polarity["compound"]) / 2


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
