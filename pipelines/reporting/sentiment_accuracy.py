"""Measure how often the scorers of texts are right, for `rejse sentiment`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.config import texts
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import Settings
from rejse.transforms.feedback import sentiment_accuracy
from rejse.transforms.feedback.sentiment_accuracy import LANGUAGE, SOURCE, Accuracy

HEAD = (
    "language",
    "texts",
    "scored",
    "right",
    "from",
    "to",
    "right of scored",
    "majority",
    "model",
)


@dataclass(frozen=True)
class Row:
    """Accuracy of a language's scorer on texts from `source`."""

    language: str
    model_id: str
    accuracy: Accuracy
    source: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values: shares from 0 to 1, Wilson's interval at 95 %."""
        low, high = self.accuracy.interval
        return {
            "language": self.language, "model_id": self.model_id, "n": self.accuracy.n,
            "scored_share": self.accuracy.coverage, "right_share": self.accuracy.share,
            "right_share_lo": low, "right_share_hi": high,
            "right_of_scored_share": self.accuracy.share_scored,
            "majority_share": self.accuracy.majority, "source": self.source,
        }  # fmt: skip

    def cells(self) -> Sequence[Any]:
        """Return the cells of the columns of `HEAD`."""
        low, high = self.accuracy.interval
        a = self.accuracy
        shares = (a.coverage, a.share, low, high, a.share_scored, a.majority)
        percents = ["" if share is None else f"{share:.0%}" for share in shares]
        return (self.language, a.n, *percents, self.model_id)


def is_there(config: Path) -> bool:
    """Return whether there is a configuration to take scorers from."""
    return (config / "rejse.toml" if config.is_dir() else config).is_file()


def scorers(settings: Settings | None) -> dict[str, Any]:
    """Load scorers by language, of the configuration if there is one. Raises SettingsError."""
    return texts.load(settings.texts.scorers if settings else {})


def of_file(scorers: Mapping[str, Any], file: Path, language: str) -> list[Row]:
    """Measure the accuracy on a user's own labelled texts.

    Raises:
        SettingsError: the language has no scorer.
        LabelledError: the file has no labels.
    """
    if language not in scorers:
        raise SettingsError(
            f"--language: expected one with a scorer, {', '.join(sorted(scorers))}; came"
            f" {language!r}; name one for it under [texts.scorers]"
        )
    scorer = scorers[language]
    measured = sentiment_accuracy.measure(scorer, sentiment_accuracy.read(file))
    return [Row(language, scorer.model_id, measured, file.name)]


def shipped(scorers: Mapping[str, Any]) -> list[Row]:
    """Measure the accuracy on the labelled texts of rejse; none if nothing scores English."""
    if LANGUAGE not in scorers:
        return []
    scorer = scorers[LANGUAGE]
    return [
        Row(
            LANGUAGE,
            scorer.model_id,
            sentiment_accuracy.measure(scorer, sentiment_accuracy.shipped()),
            SOURCE,
        )
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """Return what the numbers mean, and where the texts are from."""
    return [
        "right: of all texts, those on the right side of .5; one without a score is wrong.",
        "from, to: Wilson's 95 %. majority: what always saying the more frequent label reaches.",
        *(f"{row.language}: {row.source}" for row in rows),
        "Your customers write otherwise: label some of their texts and measure again, before"
        " texts.validated names a language.",
        "A language without a scorer has no sentiment: name one under [texts.scorers].",
    ]
