"""Sentiment of texts: what a scorer is, and which one scores a language.

A language without a scorer has no sentiment, and no language is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from rejse.transforms.arrays import Reals


class ScorerError(ValueError):
    """A scorer failed, or returned what no sentiment can be."""

    exit_code = 1


@dataclass(frozen=True)
class Sentiment:
    """Answer of a scorer, one a text in their order.

    `value` is from 0 (bad) over .5 to 1 (good), `confidence` from 0 to 1; NaN where the scorer
    cannot tell.
    """

    value: Reals
    confidence: Reals


@runtime_checkable
class Scorer(Protocol):
    """Scores texts of one language. Each text alone: neither order nor neighbours may matter."""

    @property
    def model_id(self) -> str:
        """Name and version: another model, word list or version has another one."""

    def score(self, texts: pa.StringArray) -> Sentiment:
        """Sentiment of the texts; none of them is null."""


def language_of(tag: str | None) -> str | None:
    """Primary language of a BCP 47 tag in lower case: `da` of `da-DK`; null of null."""
    return (tag or "").replace("_", "-").split("-")[0].strip().lower() or None


def checked(scorer: Scorer, texts: pa.StringArray) -> Sentiment:
    """What the scorer says of the texts.

    Raises ScorerError where it is not one value and one confidence from 0 to 1, or NaN, a text,
    or where the scorer fails.
    """
    try:
        said = scorer.score(texts)
    except Exception as fault:  # its words may hold a text: they are not repeated
        raise ScorerError(
            f"scorer {scorer.model_id}: expected a sentiment of {len(texts)} texts, came"
            f" {type(fault).__name__}; call its score(texts) on some of them to see why"
        ) from None
    for name in ("value", "confidence"):
        found = np.asarray(getattr(said, name, None), np.float64)
        outside = found.shape != (len(texts),) or bool(((found < 0) | (found > 1)).any())
        if outside:
            raise ScorerError(
                f"scorer {scorer.model_id}: expected a {name} from 0 to 1, or NaN, for each of"
                f" {len(texts)} texts, came something else; correct the scorer"
            )
    return Sentiment(np.asarray(said.value, np.float64), np.asarray(said.confidence, np.float64))


def sentiments(
    texts: list[str | None], languages: list[str | None], scorers: Mapping[str, Scorer]
) -> tuple[Sentiment, list[str | None]]:
    """Sentiment of each text by the scorer of its language, and that scorer's `model_id`.

    NaN and null where there is no text, no language, no scorer of it, or the scorer cannot tell.
    """
    from rejse.transforms.texts import text

    value, confidence = np.full((2, len(texts)), np.nan)
    models: list[str | None] = [None] * len(texts)
    spoken: dict[str, list[int]] = {}
    for row, (said, tag) in enumerate(zip(texts, languages, strict=True)):
        language = language_of(tag)
        if language and language in scorers and said and said.strip():
            spoken.setdefault(language, []).append(row)
    for language, rows in spoken.items():
        scorer = scorers[language]
        found = checked(scorer, text([texts[row] for row in rows]))
        value[rows] = found.value
        confidence[rows] = np.where(np.isnan(found.value), np.nan, found.confidence)
        for row, known in zip(rows, ~np.isnan(found.value), strict=True):
            models[row] = scorer.model_id if known else None
    return Sentiment(value, confidence), models
