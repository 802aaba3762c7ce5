"""Metrics of experience: scores, health, emotion curve, silo gap, relief
(docs/reference/scores.md#experience).
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals, share
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array, pick
from rejse.transforms.feedback.answers import JourneyFeedback, Scores
from rejse.transforms.feedback.metrics.declarations import answer_count, feedback_score
from rejse.transforms.schema.parameters import BANDS, HEALTH_WEIGHTS
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.metrics.health import COMPONENTS, health_of, losses

PEAK, LAST, MEAN = 0.4, 0.4, 0.2
POINTS = "points of 100"
#: Above the middle of its scale an answer to "were you understood" counts as yes.
UNDERSTOOD = 0.5


@cache
def blom(n: int) -> float:
    """Return the expected largest of n standard normal scores (Blom 1958)."""
    return NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


@cache
def shrinkage(n: int) -> float:
    """Return how much of the lowest score's distance from the mean counts: b(2)/b(n) for n > 2."""
    return blom(2) / blom(n) if n > 2 else 1.0


def experience_of(scores: Scores) -> Reals:
    """Return X = .4 min* + .4 last + .2 mean of each journey's scores; NaN without scores.

    min* = mean - (mean - min) * b(2) / b(n) for n > 2: more answers must not mean worse health by
    noise alone.
    """
    mean, most = scores.mean, int(scores.n.max(initial=0))
    table = np.array([shrinkage(n) for n in range(most + 1)])
    lowest = mean - (mean - scores.least) * table[scores.n]
    experience = PEAK * lowest + LAST * scores.last + MEAN * mean
    return np.asarray(np.clip(experience, 0.0, 1.0))


# One answer.


@metric(
    "experience", pa.float64(), label="Score", unit="1", low=0, high=1, direction="higher_is_better"
)
def score01(feedback: JourneyFeedback) -> Reals:
    """U = (raw - min) / (max - min), flipped where lower is better; null outside the scale, or
    where there is none. Rescaling is not equating (docs/reference/feedback.md#scale).
    """
    return feedback.answers.scaled.u


@metric(
    "experience",
    pa.float64(),
    label="Sentiment",
    unit="1",
    low=0,
    high=1,
    direction="higher_is_better",
    when_empty="null where there is no text, or nothing scores its language",
)
def sentiment01(feedback: JourneyFeedback) -> Reals:
    """Sentiment of the record's text, from 0 (bad) to 1 (good), by its language's scorer. It
    stands beside the scores and is part of none, but for languages that the setting
    texts.validated names (docs/reference/feedback.md#texts).
    """
    return feedback.answers.sentiment


@metric("experience", pa.bool_(), label="Top box", unit="", direction="higher_is_better")
def is_top_box(feedback: JourneyFeedback) -> tuple[Bools, Bools]:
    """The best that could be said: nps from 9 of 10, five points 5, else u from .9
    (docs/reference/scores.md#relief).
    """
    return feedback.answers.scaled.is_top_box, feedback.answers.is_measured


@metric(
    "experience",
    pa.bool_(),
    label="Ignored",
    unit="",
    direction="lower_is_better",
    when_empty="null where nothing had to be done, or it is not known: not yet, or never, where"
    " the source maps no action_time",
    inputs=["action_time"],
)
def is_ignored(feedback: JourneyFeedback) -> tuple[Bools, Bools]:
    """A customer's complaint, or answer of at most .4, without an action within 7 days; false:
    with one. It has weight 0: friction stays free of it
    (docs/reference/scores.md#ignored-feedback).
    """
    return feedback.answers.ignored


# Scores.


@answer_count(label="Scores")
def n_scores(feedback: JourneyFeedback) -> Ints:
    """Scores that experience01 is made of: steps with an answer, and the whole if it was asked."""
    return feedback.scores.n


@answer_count(label="Scores from texts")
def n_scores_texts(feedback: JourneyFeedback) -> Ints:
    """Of these, steps whose score is the sentiment of texts in a validated language: the setting
    texts.validated names it, the company asked, and the step has no other score.
    """
    return feedback.scores.n_of_text


@feedback_score(label="Experience")
def experience01(feedback: JourneyFeedback) -> Reals:
    """X = .4 min* + .4 last + .2 mean of the solicited step scores in step order, the last
    journey-level score appended; min* = mean - (mean - min) b(2)/b(n) beyond two, b(n) Blom's
    expected extreme: more answers must not mean worse by noise alone
    (docs/reference/scores.md#experience).
    """
    return experience_of(feedback.scores)


@feedback_score(label="Touchpoint score")
def touchpoint_score_mean(feedback: JourneyFeedback) -> Reals:
    """Mean of the step scores; a step's score is the mean of its solicited answers
    (docs/reference/scores.md#experience).
    """
    return feedback.step_scores.mean


@feedback_score(label="Journey score")
def journey_score(feedback: JourneyFeedback) -> Reals:
    """Last solicited answer about the whole journey (docs/reference/scores.md#experience)."""
    return np.asarray(pick(feedback.answers.scaled.u, feedback.whole, np.nan))


@metric(
    "journey_experience",
    pa.float64(),
    label="Silo gap",
    unit="1",
    low=-1,
    high=1,
    direction="lower_is_better",
)
def silo_gap(feedback: JourneyFeedback) -> Reals:
    """Touchpoint_score_mean - journey_score: 8 at the page and 7 for the whole is .1; null where
    one of them is not known (docs/reference/scores.md#silo-gap).
    """
    return np.asarray(touchpoint_score_mean(feedback) - journey_score(feedback))


# Emotion curve.


@metric("journey_experience", pa.int32(), label="Emotions", unit="steps", low=0, nullable=False)
def n_emotions(feedback: JourneyFeedback) -> Ints:
    """Steps with an emotion: a solicited score, else one given unasked, else sentiment of texts;
    never invented (docs/reference/scores.md#emotion-curve).
    """
    return feedback.emotions.n


@metric(
    "journey_experience",
    pa.int32(),
    label="Emotions given unasked",
    unit="steps",
    low=0,
    nullable=False,
)
def n_emotions_unasked(feedback: JourneyFeedback) -> Ints:
    """Steps of the emotion curve whose score was only given unasked (reviews, stars)."""
    scored = feedback.step_scores.n - feedback.step_scores.n_of_text
    return feedback.emotions.n - feedback.emotions.n_of_text - scored


@metric(
    "journey_experience",
    pa.int32(),
    label="Emotions from texts",
    unit="steps",
    low=0,
    nullable=False,
)
def n_emotions_texts(feedback: JourneyFeedback) -> Ints:
    """Steps of the emotion curve whose emotion is the sentiment of texts: no score was given."""
    return feedback.emotions.n_of_text


@metric(
    "journey_experience",
    pa.float64(),
    label="Share of emotions from texts",
    unit="1",
    low=0,
    high=1,
)
def emotion_texts_share(feedback: JourneyFeedback) -> Reals:
    """N_emotions_texts / n_emotions: how much of the curve comes from texts."""
    return share(feedback.emotions.n_of_text, feedback.emotions.n)


@feedback_score(label="First emotion")
def emotion_first(feedback: JourneyFeedback) -> Reals:
    """Emotion of the first step that has one (docs/reference/scores.md#emotion-curve)."""
    return feedback.emotions.first


@feedback_score(label="Highest emotion")
def emotion_peak(feedback: JourneyFeedback) -> Reals:
    """Highest emotion of a step (docs/reference/scores.md#emotion-curve)."""
    return feedback.emotions.most


@feedback_score(label="Lowest emotion")
def emotion_lowest(feedback: JourneyFeedback) -> Reals:
    """Lowest emotion of a step (docs/reference/scores.md#emotion-curve)."""
    return feedback.emotions.least


@feedback_score(label="Last emotion")
def emotion_end(feedback: JourneyFeedback) -> Reals:
    """Emotion of the last step that has one (docs/reference/scores.md#emotion-curve)."""
    return feedback.emotions.last


@metric(
    "journey_experience",
    pa.float64(),
    label="Slope of the emotions",
    unit="1 a step",
    low=-1,
    high=1,
    direction="higher_is_better",
)
def emotion_slope(feedback: JourneyFeedback) -> Reals:
    """Least-squares slope over the steps with an emotion, as 0, 1, …; from two on
    (docs/reference/scores.md#emotion-curve).
    """
    return feedback.emotions.slope


# Health: outcome and delivery with experience.


def _outcome(feedback: JourneyFeedback) -> Reals:
    return feedback.real("outcome01")


def _health(feedback: JourneyFeedback, delivery: Reals) -> Reals:
    experience, outcome = experience01(feedback), _outcome(feedback)
    both = health_of(delivery=delivery, experience=experience)
    whole = health_of(outcome=outcome, delivery=delivery, experience=experience)
    return np.where(feedback.is_closed, np.where(np.isnan(outcome), both, whole), np.nan)


@metric(
    "journey_experience",
    pa.float64(),
    label="Health",
    unit=POINTS,
    low=0,
    high=100,
    direction="higher_is_better",
)
def health(feedback: JourneyFeedback) -> Reals:
    """Weighted harmonic mean of outcome (.35, where known), delivery (.40) and experience (.25),
    floored at .10, times 100; of closed journeys with delivery and experience
    (docs/reference/scores.md#health).
    """
    return _health(feedback, feedback.real("delivery01"))


@metric(
    "journey_experience",
    pa.float64(),
    label="Health at one and a half weights",
    unit=POINTS,
    low=0,
    high=100,
    direction="higher_is_better",
)
def health_lo(feedback: JourneyFeedback) -> Reals:
    """Health with all weights of friction times 1.5 (docs/reference/scores.md#health)."""
    return _health(feedback, 1.0 - feedback.real("friction_score_hi") / 100.0)


@metric(
    "journey_experience",
    pa.float64(),
    label="Health at half weights",
    unit=POINTS,
    low=0,
    high=100,
    direction="higher_is_better",
)
def health_hi(feedback: JourneyFeedback) -> Reals:
    """Health with all weights of friction times .5 (docs/reference/scores.md#health)."""
    return _health(feedback, 1.0 - feedback.real("friction_score_lo") / 100.0)


@metric(
    "journey_experience",
    pa.float64(),
    label="Health coverage",
    unit="1",
    low=0,
    high=1,
    nullable=False,
)
def health_coverage(feedback: JourneyFeedback) -> Reals:
    """Sum of the weights of the components that were observed (docs/reference/scores.md#health)."""
    components = (_outcome(feedback), feedback.real("delivery01"), experience01(feedback))
    weights = HEALTH_WEIGHTS.values()
    return np.asarray(
        np.sum([w * ~np.isnan(c) for w, c in zip(weights, components, strict=True)], axis=0)
    )


@metric(
    "journey_experience",
    pa.string(),
    label="Health band",
    unit="",
    when_empty="null where health is",
)
def band(feedback: JourneyFeedback) -> Categorical:
    """Good from 80, fair from 60, else poor: health as reports show it first."""
    points = health(feedback)
    names = [name for name, _ in BANDS]
    least = np.array([floor for _, floor in BANDS])
    below = np.sum(np.nan_to_num(points)[:, None] < least[None, :], axis=1)
    return Categorical.named(np.where(np.isnan(points), NULL, below), names)


def _lost(feedback: JourneyFeedback) -> Array:
    """Return each component's share of the lost health; an unknown component loses none."""
    outcome = _outcome(feedback)
    return losses(
        outcome=np.where(np.isnan(outcome), 1.0, outcome),
        delivery=feedback.real("delivery01"),
        experience=experience01(feedback),
    )


def _lost_by(feedback: JourneyFeedback, name: str) -> Reals:
    lost = _lost(feedback)[COMPONENTS.index(name)]
    known = ~np.isnan(health(feedback)) & ~(np.isnan(_outcome(feedback)) & (name == "outcome"))
    return np.where(known, lost, np.nan)


@metric("journey_experience", pa.float64(), label="Health lost by outcome", unit="1", low=0, high=1)
def lost_by_outcome(feedback: JourneyFeedback) -> Reals:
    """Share of the lost health that the outcome lost: w(1/C - 1) over its sum
    (docs/reference/scores.md#health).
    """
    return _lost_by(feedback, "outcome")


@metric(
    "journey_experience", pa.float64(), label="Health lost by delivery", unit="1", low=0, high=1
)
def lost_by_delivery(feedback: JourneyFeedback) -> Reals:
    """Share of the lost health that the delivery lost (docs/reference/scores.md#health)."""
    return _lost_by(feedback, "delivery")


@metric(
    "journey_experience", pa.float64(), label="Health lost by experience", unit="1", low=0, high=1
)
def lost_by_experience(feedback: JourneyFeedback) -> Reals:
    """Share of the lost health that the experience lost (docs/reference/scores.md#health)."""
    return _lost_by(feedback, "experience")


@metric("journey_experience", pa.string(), label="Limiting component", unit="")
def limiting_component(feedback: JourneyFeedback) -> Categorical:
    """Component with the largest share of the lost health; null where nothing is lost or health
    is not measured (docs/reference/scores.md#health).
    """
    lost = _lost(feedback)
    measured = ~np.isnan(health(feedback)) & (np.nan_to_num(lost).sum(axis=0) > 0)
    worst = np.argmax(np.nan_to_num(lost), axis=0)
    return Categorical.named(np.where(measured, worst, NULL), COMPONENTS)


@metric("journey_experience", pa.bool_(), label="Relief", unit="", direction="lower_is_better")
def is_relief(feedback: JourneyFeedback) -> tuple[Bools, Bools]:
    """Gratitude after a long failure: the last score's latest answer is in its top box, and
    friction is at least 50; null where either is not measured (docs/reference/scores.md#relief).
    """
    last, friction = feedback.scores.deciding, feedback.real("friction_score")
    top = pick(feedback.answers.is_top_box, last, False)
    known = (last != NULL) & ~np.isnan(friction)
    return top & (np.nan_to_num(friction) >= feedback.answers.windows.relief_friction), known


@answer_count(label="Answers on being understood")
def n_asked_understood(feedback: JourneyFeedback) -> Ints:
    """Customer's answers to the question whether they felt understood (instrument empathy)."""
    return feedback.count(_asked_understood(feedback))


@feedback_score(label="Felt understood")
def empathy_share(feedback: JourneyFeedback) -> Reals:
    """Share of these answers above the middle of their scale: the customer felt understood."""
    yes = np.nan_to_num(feedback.answers.scaled.u) > UNDERSTOOD
    return share(feedback.count(_asked_understood(feedback) & yes), n_asked_understood(feedback))


def _asked_understood(feedback: JourneyFeedback) -> Bools:
    asked = feedback.answers.events.is_any("instrument", "empathy")
    return feedback.answers.is_customer & feedback.answers.is_measured & asked
