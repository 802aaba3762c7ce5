"""The published tables of feedback: records with their joins, journeys with feedback, texts."""

from __future__ import annotations

from functools import cache

from rejse.transforms.feedback import metrics
from rejse.transforms.feedback.join import METHODS, UNJOINED
from rejse.transforms.feedback.schema import INSTRUMENTS, LEVELS, RESPONDENTS
from rejse.transforms.schema.contract import CUSTOMER_KEY, TIME
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.schema.registry import metrics as declared
from rejse.transforms.scoring import output_tables as core
from rejse.transforms.scoring.output_tables import CUSTOMER, FINAL, FLAG, LONG, REAL, TEXT, TEXTS


def _text(name: str, about: str, values: tuple[str, ...] = ()) -> Column:
    return Column(name, TEXT, about, values=values)


def _id(name: str, about: str) -> Column:
    return Column(name, TEXT, about, nullable=False)


def _time(name: str, about: str, nullable: bool = True) -> Column:
    return Column(name, TIME, about, unit="UTC", nullable=nullable)


def _real(name: str, about: str, unit: str) -> Column:
    return Column(name, REAL, about, unit=unit)


SCALE = "points of its scale"

EXPERIENCE_BASE: tuple[Column, ...] = (
    _id("x_id", "Feedback record, as source/id."), CUSTOMER,
    _text("journey_id", "Journey that it is about; null: none was found."),
    _text("step_id", "Step that it is about; null: none, or the whole journey was found."),
    _text("respondent_type", "Who answered.", RESPONDENTS),
    _text("respondent", "The respondent, as a keyed pseudonym."),
    _text("instrument", "How it was asked or measured.", INSTRUMENTS),
    _text("level", "What was judged.", LEVELS),
    _time("occurred_at", "Time of the record.", False),
    _text("journey_type", "Its own, else the journey's."),
    _text("touchpoint", "Its own, else the step's."),
    _text("owner", "Owner of the step."),
    _text("survey_id", "Survey."), _text("question_id", "Question of the survey."),
    Column("topics", TEXTS, "What it is about, in words of the source."),
    _real("raw_score", "Answer as given.", SCALE),
    _real("scale_min", "Least answer: given, else the instrument's.", SCALE),
    _real("scale_max", "Greatest answer: given, else the instrument's.", SCALE),
    Column("confidence", REAL, "Of a score that a model gave.", "1", 0, 1),
    _text("model_id", "Model that gave the score."),
    Column("has_text", FLAG, "Something was written.", nullable=False),
    _text("language", "Language of its text."),
    Column("sentiment_confidence", REAL, "Of sentiment01, if given: not calibrated.", "1", 0, 1),
    _text("sentiment_model_id", "Model that gave sentiment01."),
    Column("is_solicited", FLAG, "The company asked for it.", nullable=False),
    Column("is_answered", FLAG, "It has an answer; false: invited and silent.",
           nullable=False),
    _text("scored_as", "What it goes into: the step's score, the whole's, or nothing (null).",
          ("step", "whole")),
    _time("invited_at", "When the company asked."), _time("responded_at", "When it was answered."),
    _time("acted_at", "When the company acted on it."),
    _text("join_method", "How its journey was found; null: not.", METHODS),
    Column("join_gap_s", LONG, "From the event it was joined to, to the record; negative: before.",
           "s"),
    _text("unjoined", "Why no journey was found: the customer has no event; the event, conversation"
          " or case that it names is not known; all that fits is too long ago; nothing that fits"
          " lies at or before it. Null: one was found.", UNJOINED),
)  # fmt: skip

JOURNEY_BASE: tuple[Column, ...] = (
    _id("journey_id", "Journey with feedback."),
    CUSTOMER,
    _text("journey_type", "Type of the journey."),
    _text("owner", "Owner of the journey."),
    _time("started_at", "Start of the journey.", False),
    _time("ended_at", "Last event of the journey.", False),
    _text("state", "closed, or open.", ("closed", "open")),
    Column("outcome01", REAL, "O of the journey.", "1", 0, 1),
    Column("delivery01", REAL, "D of the journey.", "1", 0, 1),
    Column("friction_score", REAL, "F of the journey.", "points of 100", 0, 100),
)


TEXT_COLUMNS: tuple[Column, ...] = (
    _id("x_id", "Feedback record of the text."),
    CUSTOMER,
    _text("journey_id", "Journey that it is about; null: none was found."),
    _text("step_id", "Step that it is about; null: none, or the whole journey was found."),
    _time("occurred_at", "Time of the record.", False),
    _text("language", "Language of the text."),
    _text("text_redacted", "The text without addresses, numbers and names that the record holds."),
)


assert metrics.__all__  # importing the package declares them


@cache
def tables() -> dict[str, Table]:
    """Return the tables by name, without stamps and `_live` twins."""

    def measured(grain: str) -> tuple[Column, ...]:
        return tuple(m.column for m in declared(grain))

    declared_tables = (
        Table("experience", "feedback record: an answer, a review or a text, with what it is about",
              (CUSTOMER_KEY, "x_id"), (*EXPERIENCE_BASE, *measured("experience"), FINAL)),
        Table("journey_experience", "journey with feedback",
              ("journey_id",), (*JOURNEY_BASE, *measured("journey_experience"), FINAL)),
        Table("texts", "text of a feedback record, redacted: kept apart, and for a limited time",
              (CUSTOMER_KEY, "x_id"), (*TEXT_COLUMNS, FINAL)),
    )  # fmt: skip
    return {table.name: table for table in declared_tables}


def all_tables() -> dict[str, Table]:
    """Return all derived tables of a publication by name: of journeys, then of feedback."""
    return {**core.tables(), **tables()}
