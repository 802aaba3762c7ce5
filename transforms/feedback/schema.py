"""The contract of a feedback record: an answer or text about a journey, a step or the company.

The identity is that of the customer it is about, `actor_id` the respondent. Invitations without an
answer are rows too, without score and `responded_time`: response rates need them.
"""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.schema.contract import (
    ENVELOPE,
    HEARTBEAT,
    TEXT,
    TIME,
    Contract,
    Field,
    code,
    enum,
)

RESPONDENTS = ("customer", "employee", "partner")
INSTRUMENTS = (
    "nps", "csat", "ces", "star", "sentiment", "emotion", "effort", "empathy", "enps", "review",
    "complaint", "other",
)  # fmt: skip
LEVELS = ("touchpoint", "journey", "relationship", "product")

BODY: tuple[Field, ...] = (
    enum("respondent_type", "R", RESPONDENTS, "Who answered; without it the customer."),
    code("actor_id", "The respondent, as a keyed pseudonym."),
    Field("case_id", TEXT, "O", "Case that it is about."),
    code("touchpoint", "Place of contact that it is about."),
    code("journey_type", "Kind of journey that it is about."),
    enum("instrument", "R", INSTRUMENTS, "How it was asked or measured."),
    enum("level", "R", LEVELS, "What was judged: a touchpoint, the journey, all of it, a product."),
    Field("target", TEXT, "O", "Event (id or source/id), correlationid or touchpoint judged."),
    Field("raw_score", pa.float64(), "C", "Answer as given; null: none.",
          unit="points of its scale"),
    Field("scale_min", pa.float64(), "O", "Least answer; else the instrument's.",
          unit="points of its scale"),
    Field("scale_max", pa.float64(), "O", "Greatest answer; else the instrument's.",
          unit="points of its scale"),
    Field("higher_is_better", pa.bool_(), "O", "False: the least answer is the best."),
    Field("text", TEXT, "O", "What was written. Scored at the edge, then dropped or redacted."),
    code("language", "Language of the text (BCP 47); without it the text has no sentiment."),
    Field("confidence", pa.float64(), "O", "Of a score that a model gave.", unit="1"),
    code("model_id", "Model that gave the score."),
    Field("solicited", pa.bool_(), "O", "The company asked; else by the instrument."),
    Field("invited_time", TIME, "O", "When the company asked.", unit="UTC"),
    Field("responded_time", TIME, "O", "When it was answered; null: never.", unit="UTC"),
    code("survey_id", "Survey."),
    code("question_id", "Question of the survey."),
    Field("topics", pa.list_(TEXT), "O", "What it is about, in words of the source."),
    Field("action_time", TIME, "O", "When the company acted on it.", unit="UTC"),
    Field("attrs", pa.map_(TEXT, TEXT), "O", "Whatever else the source says."),
)  # fmt: skip

#: Fields logged only when present, as `contract.LOGGED_WHEN_PRESENT` of interactions.
LOGGED_WHEN_PRESENT = frozenset({"action_time"})

#: Fields that `text_scoring` makes of `text`; no mapping gives them.
MADE: tuple[Field, ...] = (
    Field("has_text", pa.bool_(), "O", "Something was written."),
    Field("sentiment01", pa.float64(), "O", "Sentiment of the text, from 0 to 1.", unit="1"),
    Field("sentiment_confidence", pa.float64(), "O", "Confidence of that sentiment.", unit="1"),
    code("sentiment_model_id", "Model that gave that sentiment."),
    Field("sentiment_validated", pa.bool_(), "O", "Its language's model is validated."),
    Field("text_redacted", TEXT, "O", "The text without what names or reaches a person."),
)

EXPERIENCE = Contract(
    "experience",
    (*ENVELOPE, *BODY, HEARTBEAT),
    needed=("time", "identity", "instrument", "level"),
    dropped=("text", HEARTBEAT.name),
    made=MADE,
)
