"""Score and drop the texts of feedback before anything is written.

By configuration the redacted text is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.columnar.string_arrays import coded, text
from rejse.transforms.feedback.redact import redact
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.feedback.sentiment import Scorer, language_of, sentiments

#: Fields of a record that may hold a person's name.
NAMING = ("identity", "previousidentity", "actor_id")
#: Words in the key of an attribute that say that its value is a name.
NAMED = ("name", "navn", "imie", "imię", "nazwisko", "email", "mail", "phone", "telefon")


@dataclass(frozen=True)
class TextScoring:
    """Settings of texts: scorers by language, languages validated on own data, kept or dropped."""

    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    validated: frozenset[str] = frozenset()
    keeps: bool = False


def score_texts(batch: pa.RecordBatch, scoring: TextScoring) -> pa.RecordBatch:
    """Replace `text` of canonical feedback records by the fields made of it (`schema.MADE`).

    `text_redacted` only where texts are kept. A batch without texts is returned unchanged. Raises
    ScorerError where a scorer returns no sentiment.
    """
    if "text" not in batch.schema.names:
        return batch
    texts = batch.column("text").to_pylist()
    tags = _column(batch, "language")
    sentiment, models = sentiments(texts, tags, scoring.scorers)
    known = ~np.isnan(sentiment.value)
    trusted = np.array([language_of(tag) in scoring.validated for tag in tags], bool)
    made = {
        "has_text": arrow(np.array([bool(content and content.strip()) for content in texts], bool)),
        "sentiment01": arrow(sentiment.value),
        "sentiment_confidence": arrow(sentiment.confidence),
        "sentiment_model_id": coded(text(models)),
        "sentiment_validated": arrow(trusted, ok=known),
    }
    if scoring.keeps:
        made["text_redacted"] = text(list(_redacted(batch, texts)))
    rest = batch.drop_columns(["text"])
    fields = [EXPERIENCE.carried[name].arrow for name in made]
    schema = pa.schema([*rest.schema, *fields], rest.schema.metadata)
    return pa.RecordBatch.from_arrays([*rest.columns, *made.values()], schema=schema)


def _column(batch: pa.RecordBatch, name: str) -> list[str | None]:
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    column: list[str | None] = batch.column(name).to_pylist()
    return column


def _redacted(batch: pa.RecordBatch, texts: list[str | None]) -> Iterator[str | None]:
    naming = zip(*(_column(batch, name) for name in NAMING), strict=True)
    attrs = _column(batch, "attrs")
    for content, identifiers, attributes in zip(texts, naming, attrs, strict=True):
        names = [*identifiers, *_of_attrs(attributes)]
        yield None if content is None or not content.strip() else redact(content, names)


def _of_attrs(attributes: object) -> Iterator[str | None]:
    """Yield the values of attributes whose key marks a name."""
    for key, value in attributes if isinstance(attributes, list) else ():
        if any(word in key.casefold() for word in NAMED):
            yield value
