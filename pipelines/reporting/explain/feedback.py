"""Describe the feedback on a journey: answers to its steps and the whole, the emotion curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rejse.pipelines.reporting import wording
from rejse.pipelines.runtime.text_safety import clean


@dataclass(frozen=True)
class Answer:
    """A survey answer or other feedback record on the journey or one of its steps."""

    respondent_type: str | None
    instrument: str | None
    level: str | None
    occurred_at: datetime
    raw_score: float | None
    scale_min: float | None
    scale_max: float | None
    score01: float | None
    is_solicited: bool
    is_answered: bool
    scored_as: str | None
    has_text: bool
    language: str | None
    sentiment01: float | None
    join_method: str | None
    is_ignored: bool | None


@dataclass(frozen=True)
class Feedback:
    """A row of `journey_experience`, and the answers that belong to no step."""

    n_records: int
    n_invited: int
    n_answered: int
    n_pending: int
    n_uninvited: int
    n_ignored: int | None
    n_scores: int
    experience01: float | None
    touchpoint_score_mean: float | None
    journey_score: float | None
    silo_gap: float | None
    n_emotions: int
    n_emotions_unasked: int
    n_emotions_texts: int
    emotion_first: float | None
    emotion_peak: float | None
    emotion_lowest: float | None
    emotion_end: float | None
    emotion_slope: float | None
    health: float | None
    health_lo: float | None
    health_hi: float | None
    band: str | None
    limiting_component: str | None
    is_relief: bool | None
    answers: tuple[Answer, ...] = ()


def answered(answer: Answer) -> str:
    """Describe an answer."""
    respondent = {"employee": "an employee", "partner": "a partner"}.get(
        answer.respondent_type or "", "the customer"
    )
    about = "" if answer.level == "touchpoint" else f" for the {_level(answer.level)}"
    ignored = "; nobody acted on it in time" if answer.is_ignored else ""
    if not answer.is_answered:
        return f"{respondent} was asked{about} and stayed silent"
    if answer.raw_score is None:
        reaction = "complained" if answer.instrument == "complaint" else "answered without a score"
        return f"{respondent} {reaction}{about}{_written(answer)}{ignored}"
    unasked = "" if answer.is_solicited else ", unasked"
    kind = clean(answer.instrument, 20)
    return (
        f"{respondent} gave {_points(answer)}{about} ({kind}{unasked}){_written(answer)}{ignored}"
    )


def _written(answer: Answer) -> str:
    """Describe the sentiment of an answer's text, if it has one."""
    if answer.sentiment01 is None:
        return ", in words that nothing scores" if answer.has_text else ""
    language = clean(answer.language, 20)
    return f", in words of sentiment {answer.sentiment01:.2f} ({language})"


def emotion(answers: tuple[Answer, ...]) -> float | None:
    """Return the emotion of a step; None where no answer has one.

    It is the mean of the customer's solicited scores, else of validated texts' sentiments, else of
    unsolicited scores, else of other texts. Answers on the whole journey do not count.
    """
    mine = [
        answer
        for answer in answers
        if answer.respondent_type == "customer" and answer.level == "touchpoint"
    ]
    scored = [(answer.is_solicited, answer.score01) for answer in mine]
    written = [
        (answer.scored_as == "step", answer.sentiment01)
        for answer in mine
        if answer.score01 is None
    ]
    for group, first in ((scored, True), (written, True), (scored, False), (written, False)):
        emotions = [u for is_first, u in group if u is not None and is_first == first]
        if emotions:
            return sum(emotions) / len(emotions)
    return None


def _level(level: str | None) -> str:
    return {"journey": "whole", "relationship": "company"}.get(level or "", clean(level, 20))


def _points(answer: Answer) -> str:
    raw, least, most = answer.raw_score, answer.scale_min, answer.scale_max
    if least is None or most is None:
        return f"{raw:g} on a scale that nobody said"
    if answer.score01 is None:
        return f"{raw:g}, which is outside {least:g} to {most:g}"
    return f"{raw:g} of {most:g}" if least in (0, 1) else f"{raw:g} on {least:g} to {most:g}"


def lines(felt: Feedback) -> Iterator[str]:
    """Yield sentences on the whole journey: answers, X, silo gap, emotion curve, health, relief."""
    yield from map(answered, felt.answers)
    if felt.n_invited:
        asked = wording.plural(felt.n_invited, "invitation")
        yield f"{felt.n_answered} of {asked} answered in time"
    if felt.n_pending:
        yield f"{wording.plural(felt.n_pending, 'invitation')} whose window has not passed yet"
    if felt.n_uninvited:
        yield (
            f"{wording.plural(felt.n_uninvited, 'answer')} whose invitation nobody logged:"
            " in no response rate"
        )
    if felt.experience01 is not None:
        yield (
            f"X = {felt.experience01:.3f} from {wording.plural(felt.n_scores, 'score')}:"
            " 0.4 × lowest + 0.4 × last + 0.2 × mean"
        )
    if felt.silo_gap is not None:
        yield (
            f"silo gap {felt.silo_gap:+.2f}: the places {felt.touchpoint_score_mean:.2f},"
            f" the whole {felt.journey_score:.2f}"
        )
    if felt.n_emotions > 1:
        yield (
            f"emotion over {felt.n_emotions} steps{_less_sure(felt)}:"
            f" first {felt.emotion_first:.2f},"
            f" peak {felt.emotion_peak:.2f}, lowest {felt.emotion_lowest:.2f},"
            f" end {felt.emotion_end:.2f}, slope {felt.emotion_slope:+.2f} a step"
        )
    if felt.health is not None:
        weak = f", limited by {felt.limiting_component}" if felt.limiting_component else ""
        yield (
            f"{felt.band}: health {felt.health:.1f}"
            f" ({felt.health_lo:.1f} to {felt.health_hi:.1f}){weak}"
        )
    if felt.is_relief:
        yield "relief after a long failure: the last answer is in the top box, the friction high"
    if felt.n_ignored:
        asking = wording.plural(felt.n_ignored, "complaint or low answer")
        yield f"{asking} that nobody acted on in time"


def _less_sure(felt: Feedback) -> str:
    """Describe how many steps of the curve have no answer to a question."""
    parts = []
    if felt.n_emotions_unasked:
        parts.append(f"{felt.n_emotions_unasked} only said unasked")
    if felt.n_emotions_texts:
        parts.append(f"{felt.n_emotions_texts} by the sentiment of texts")
    return f" ({', '.join(parts)})" if parts else ""
