"""Settings `[texts]`: the scorers of answers' texts, and whether and how long texts are kept.

The table `texts` is private: only the owner can read its files (0600), no view shows it, and texts
older than `texts.keep_for` are removed, from earlier publications too.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from rejse.pipelines.config.field_types import Duration, Frozen, Ingest, SettingsError
from rejse.transforms.schema.parameters import DAY

#: Switches off a default scorer; only English has one.
NONE = "none"


class TextSettings(Frozen):
    """Texts of answers. `keep_for` is microseconds, `scorers` module:name by language."""

    #: Whether texts are dropped or kept redacted in the table `texts`.
    keep: Ingest[Literal["dropped", "redacted"]] = "dropped"
    #: How long redacted texts are kept.
    keep_for: Ingest[Duration] = 90 * DAY
    #: Languages whose sentiment may enter X.
    validated: Ingest[tuple[str, ...]] = ()
    #: Scorer by language, `module:name`; `none` switches a default off.
    scorers: Ingest[dict[str, str]] = Field(default_factory=dict)

    @field_validator("validated")
    @classmethod
    def _languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for language in value:
            _plain(language)
        return value

    @field_validator("scorers")
    @classmethod
    def _places(cls, value: dict[str, str]) -> dict[str, str]:
        for language, place in value.items():
            _plain(language)
            module, _, name = place.partition(":")
            if place != NONE and not (module and name.isidentifier()):
                raise ValueError(
                    f"{language}: expected module:name of a scorer, or none, came {place!r}"
                )
        return value

    def text_scoring(self) -> Any:
        """Load the scorers and return how ingestion scores and keeps texts.

        Raises:
            SettingsError: a scorer cannot be loaded.
        """
        from rejse.transforms.feedback.text_scoring import TextScoring

        return TextScoring(load(self.scorers), frozenset(self.validated), self.keep == "redacted")

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Return what can change a result: models by name and version, and what is kept."""
        models = {name: scorer.model_id for name, scorer in sorted(load(self.scorers).items())}
        return {
            "keep": self.keep,
            "keep_for": self.keep_for,
            "validated": sorted(self.validated),
            "models": models,
        }

    def kept_from(self, now: int) -> int | None:
        """Return the time from which texts are kept, in microseconds; None where all are dropped.

        It moves once a day, at midnight UTC, so that two runs of a day publish the same.
        """
        if self.keep == "dropped":
            return None
        return (now // DAY + 1) * DAY - self.keep_for


def _plain(language: str) -> None:
    from rejse.transforms.feedback.sentiment import language_of

    if language_of(language) != language:
        raise ValueError(f"expected a language such as da, came {language!r}")


def load(scorers: Mapping[str, str]) -> dict[str, Any]:
    """Load scorers by language: the configured ones, and VADER for English by default.

    Raises:
        SettingsError: a scorer cannot be imported or is none.
    """
    from rejse.transforms.feedback.vader import Vader

    loaded: dict[str, Any] = {} if "en" in scorers else {"en": Vader()}
    for language, place in scorers.items():
        if place != NONE:
            loaded[language] = _loaded(language, place)
    return loaded


def _loaded(language: str, place: str) -> Any:
    from rejse.transforms.feedback.sentiment import Scorer, ScorerError, model_of

    module, _, name = place.partition(":")
    try:
        scorer = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as fault:
        raise SettingsError(
            f"texts.scorers.{language}: expected {place} to be importable, came"
            f" {type(fault).__name__}: {fault};"
            " name an object as module:name and put its module on PYTHONPATH"
        ) from None
    try:
        is_scorer = not isinstance(scorer, type) and isinstance(scorer, Scorer)
    except (Exception, SystemExit):  # before Python 3.12 the look at its model_id runs it
        is_scorer = False
    if not is_scorer:
        raise SettingsError(
            f"texts.scorers.{language}: expected {place} to have model_id and score(texts),"
            f" came {type(scorer).__name__}; see rejse.transforms.feedback.sentiment.Scorer"
        )
    try:
        model_of(scorer)
    except ScorerError as fault:
        raise SettingsError(f"texts.scorers.{language}: {place}: {fault}") from None
    return scorer
