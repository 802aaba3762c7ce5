"""Metrics of responses: the denominator of a rate is the invitations
(docs/reference/feedback.md#invitations).
"""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals, share
from rejse.transforms.feedback.answers import JourneyFeedback
from rejse.transforms.feedback.metrics.declarations import answer_count
from rejse.transforms.schema.registry import metric

# One record.


@metric("experience", pa.bool_(), label="Invited", unit="", nullable=False)
def is_invited(feedback: JourneyFeedback) -> Bools:
    """The company asked, whoever the respondent is: the invitation was logged, or the one asked
    stayed silent; false: unasked, or an answer without a logged invitation.
    """
    return feedback.answers.is_invited


@metric(
    "experience",
    pa.bool_(),
    label="Answered in time",
    unit="",
    when_empty="null where not invited, or the window has not passed yet",
)
def is_in_time(feedback: JourneyFeedback) -> tuple[Bools, Bools]:
    """Answered within the survey window (14 days) of the invitation, else of the record; false:
    later or never. Known once the record's own source is complete beyond the window
    (docs/reference/feedback.md#invitations).
    """
    return feedback.answers.in_time


# One journey.


@answer_count(label="Records")
def n_records(feedback: JourneyFeedback) -> Ints:
    """Feedback records about the journey, of all respondents and levels, silent ones too."""
    return feedback.count(feedback.place != NULL)


@answer_count(label="Invitations")
def n_invited(feedback: JourneyFeedback) -> Ints:
    """Invitations of the customer whose survey window has passed: the denominator of the rate."""
    return feedback.count(feedback.answers.is_customer & feedback.answers.in_time[1])


@answer_count(label="Answers in time")
def n_answered(feedback: JourneyFeedback) -> Ints:
    """Of these invitations, those answered within the window."""
    answered, matured = feedback.answers.in_time
    return feedback.count(feedback.answers.is_customer & matured & answered)


@metric("journey_experience", pa.float64(), label="Response rate", unit="1", low=0, high=1)
def response_share(feedback: JourneyFeedback) -> Reals:
    """Invitations answered within the window / invitations whose window has passed; null where
    there is none (the silent are part of it, answers to no logged invitation are not).
    """
    return share(n_answered(feedback), n_invited(feedback))


@answer_count(label="Pending invitations")
def n_pending(feedback: JourneyFeedback) -> Ints:
    """Invitations of the customer whose survey window has not passed yet, answered or not."""
    answers = feedback.answers
    return feedback.count(answers.is_customer & answers.is_invited & ~answers.in_time[1])


@answer_count(label="Answers without a logged invitation")
def n_uninvited(feedback: JourneyFeedback) -> Ints:
    """The customer's solicited answers without a logged invitation: in no rate."""
    return feedback.count(_unlogged(feedback) & feedback.answers.solicited)


@answer_count(label="Unasked answers")
def n_unasked(feedback: JourneyFeedback) -> Ints:
    """What the customer said unasked: reviews, complaints, sentiment of texts."""
    return feedback.count(_unlogged(feedback) & ~feedback.answers.solicited)


@answer_count(label="Answers of employees and partners")
def n_inside(feedback: JourneyFeedback) -> Ints:
    """Answers of employees and partners; they make no score of the customer's."""
    return feedback.count(~feedback.answers.is_customer & feedback.answers.is_answered)


@metric(
    "journey_experience",
    pa.int32(),
    label="Ignored complaints and low answers",
    unit="1",
    low=0,
    direction="lower_is_better",
    inputs=["action_time"],
)
def n_ignored(feedback: JourneyFeedback) -> Ints:
    """Complaints and low answers of the customer that are known to have been ignored, among those
    whose source maps action_time (docs/reference/scores.md#ignored-feedback).
    """
    ignored, known = feedback.answers.ignored
    return feedback.count(ignored & known)


def _unlogged(feedback: JourneyFeedback) -> Bools:
    """Return customers' answers without a known invitation."""
    return (
        feedback.answers.is_customer & feedback.answers.is_answered & ~feedback.answers.is_invited
    )
