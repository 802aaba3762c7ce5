"""Score the sentiment of texts: the scorer protocol, and scoring by language.

A language without a scorer has no sentiment, and no language is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Reals
from rejse.transforms.errors import DataError


class ScorerError(DataError):
    """A scorer failed, or returned what no sentiment can be."""


@dataclass(frozen=True)
class Sentiment:
    """Result of a scorer, one a text in their order.

    `value` is from 0 (bad) over .5 to 1 (good), `confidence` from 0 to 1; NaN where the scorer
    cannot tell.
    """

    value: Reals
    confidence: Reals


@runtime_checkable
class Scorer(Protocol):
    """Scorer of texts of one language. Each text counts alone, whatever its order or neighbours."""

    @property
    def model_id(self) -> str:
        """Name and version; it differs for another model, word list or version."""

    def score(self, texts: pa.StringArray) -> Sentiment:
        """Return the sentiment of the texts; none of them is null."""


def language_of(tag: str | None) -> str | None:
    """Return the primary language of a BCP 47 tag in lower case: `da` for `da-DK`."""
    return (tag or "").replace("_", "-").split("-")[0].strip().lower() or None


def _attempt(call: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return the result of a call, or None and the class of its exception.

    The message of an exception may hold a text, so it is dropped. All exceptions of a scorer are
    caught, SystemExit too; only the user may interrupt.
    """
    try:
        return call(), None
    except KeyboardInterrupt:
        raise
    except BaseException as fault:
        return None, type(fault).__name__


def model_of(scorer: Scorer) -> str:
    """Return name and version of a scorer. Raises ScorerError where it has none."""
    model, fault = _attempt(lambda: scorer.model_id)
    if isinstance(model, str) and model.strip():
        return model
    raise ScorerError(
        f"scorer {type(scorer).__name__}: expected a model_id, name and version as text, came"
        f" {fault or type(model).__name__}; correct the scorer"
    ) from None


def _reals(value: object, n: int) -> Reals | None:
    """Return n numbers from 0 to 1, or NaN; None for any other value."""
    reals = np.array(value, np.float64)
    outside = reals.shape != (n,) or bool(((reals < 0) | (reals > 1)).any())
    return None if outside else reals


def checked(scorer: Scorer, texts: pa.StringArray) -> Sentiment:
    """Score the texts and check the result.

    Raises ScorerError where it is not one value and one confidence from 0 to 1, or NaN, a text,
    or where the scorer fails; it repeats no text.
    """
    model, n = model_of(scorer), len(texts)
    answer, fault = _attempt(lambda: scorer.score(texts))
    if fault:
        raise ScorerError(
            f"scorer {model}: expected a sentiment of {n} texts, came"
            f" {fault}; call its score(texts) on some of them to see why"
        ) from None
    parts: list[Reals] = []
    for name in ("value", "confidence"):
        reals, fault = _attempt(
            partial(lambda attribute: _reals(getattr(answer, attribute, None), n), name)
        )
        if reals is None:
            raise ScorerError(
                f"scorer {model}: expected a {name} from 0 to 1, or NaN, for each of"
                f" {n} texts, came {fault or 'something else'}; correct the scorer"
            ) from None
        parts.append(reals)
    return Sentiment(*parts)


def sentiments(
    texts: list[str | None], languages: list[str | None], scorers: Mapping[str, Scorer]
) -> tuple[Sentiment, list[str | None]]:
    """Return the sentiment of each text by the scorer of its language, and the `model_id`.

    NaN and null where there is no text, no language, no scorer of it, or the scorer cannot tell.
    """
    from rejse.transforms.columnar.string_arrays import text

    value, confidence = np.full((2, len(texts)), np.nan)
    models: list[str | None] = [None] * len(texts)
    rows_by_language: dict[str, list[int]] = {}
    for row, (content, tag) in enumerate(zip(texts, languages, strict=True)):
        language = language_of(tag)
        if language and language in scorers and content and content.strip():
            rows_by_language.setdefault(language, []).append(row)
    for language, rows in rows_by_language.items():
        scorer = scorers[language]
        model = model_of(scorer)
        scored = checked(scorer, text([texts[row] for row in rows]))
        value[rows] = scored.value
        confidence[rows] = np.where(np.isnan(scored.value), np.nan, scored.confidence)
        for row, known in zip(rows, ~np.isnan(scored.value), strict=True):
            models[row] = model if known else None
    return Sentiment(value, confidence), models
