"""Attach feedback to scored journeys. Late feedback changes only the tables of this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, arrow, flat, take, valid, values
from rejse.transforms.columnar.event_table import Categorical, Events, total_order
from rejse.transforms.columnar.groups import pick
from rejse.transforms.feedback import pending
from rejse.transforms.feedback.answers import Answers, JourneyFeedback
from rejse.transforms.feedback.join import METHODS, UNJOINED, Scored, join
from rejse.transforms.feedback.output_tables import tables
from rejse.transforms.journeys import watermarks
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.output_rows import measured, table_of
from rejse.transforms.scoring.pending import PENDING

#: Columns of `journeys` repeated in `journey_experience`.
CARRIED = ("journey_id", contract.CUSTOMER_KEY, "journey_type", "owner", "started_at", "ended_at",
           "state", "outcome01", "delivery01", "friction_score")  # fmt: skip


def attach(
    records: pa.Table,
    sessionised: SessionisedEvents,
    scored: Mapping[str, pa.Table],
    rules: Rules,
    event_watermarks: Mapping[str, int],
    answer_watermarks: Mapping[str, int],
) -> dict[str, pa.Table]:
    """Build the tables `experience`, `texts`, `journey_experience`, `pending` of whole customers.

    Args:
        records: feedback with the columns of `EXPERIENCE.pseudonymous` (absent optional ones are
            null), each record once, in any order.
        sessionised: events of these customers, and possibly of others. Without events no record has
            a journey.
        scored: the tables `steps` and `journeys` of these events.
        rules: windows of joins and answers.
        event_watermarks: watermark of each source of events, microseconds.
        answer_watermarks: watermark of each source of feedback, microseconds.
    """
    answers = total_order(records)
    steps, journeys = scored["steps"], scored["journeys"]
    customer = answers.coded(contract.CUSTOMER_KEY)
    kind = Categorical.of(journeys.column("journey_type"))
    joined = join(answers, Scored.of(sessionised, customer, kind), rules.windows)
    sorted_answers = Answers(answers, joined, rules.windows, answer_watermarks, rules.sources)
    feedback = JourneyFeedback(sorted_answers, journeys, steps)
    watermark = watermarks.least(event_watermarks)
    final = _final(feedback, watermark)
    columns = {"experience": _records(feedback), "journey_experience": _journeys(feedback)}
    columns["experience"]["is_final"] = final
    columns["journey_experience"]["is_final"] = feedback.count(~final) == 0
    rows = {n: table_of(table, columns[n]) for n, table in tables().items() if n in columns}
    deadlines = pending.of_answers(feedback.answers, watermark)
    return rows | {"texts": _texts(rows["experience"], answers), PENDING.name: deadlines}


def _texts(experience: pa.Table, answers: Events) -> pa.Table:
    """Return the redacted texts of records, with their journey and step."""
    text = answers.column("text_redacted") if answers.has("text_redacted") else None
    table = tables()["texts"]
    if text is None:
        return table_of(table, {c.name: pa.nulls(0, c.type) for c in table.columns})
    with_text = experience.append_column("text_redacted", text)
    return with_text.filter(arrow(valid(text))).select([column.name for column in table.columns])


def _final(feedback: JourneyFeedback, until: int) -> Bools:
    """Return the records whose join no event within the allowed lateness can change.

    Their journey is final, all events up to them are known, and they are joined by event or name no
    target.
    """
    answers = feedback.answers
    known = watermarks.passed(
        answers.events.time + answers.windows.identity_wait, until, answers.windows.lateness
    )
    journey = answers.joined.journey
    final = pick(values(flat(feedback.journeys.column("is_final"))), journey, True)
    by_event = answers.joined.method == METHODS.index("event")
    return np.asarray(known & final & (by_event | ~answers.events.coded("target").known))


def _records(feedback: JourneyFeedback) -> dict[str, Any]:
    answers, events = feedback.answers, feedback.answers.events
    joined, scaled = answers.joined, answers.scaled
    scored_as = np.where(answers.of_whole, 1, NULL)
    scored_as[feedback.step_answers] = 0

    def of_step(name: str) -> Categorical:
        return Categorical.of(feedback.steps.column(name)).rows(joined.step)

    def of_journey(name: str) -> Categorical:
        return Categorical.of(feedback.journeys.column(name)).rows(joined.journey)

    return {
        "x_id": events.refs(),
        contract.CUSTOMER_KEY: events.coded(contract.CUSTOMER_KEY),
        "journey_id": take(flat(feedback.journeys.column("journey_id")), joined.journey),
        "step_id": take(flat(feedback.steps.column("step_id")), joined.step),
        "respondent_type": events.coded("respondent_type"),
        "respondent": events.coded("actor_id"),
        "instrument": events.coded("instrument"),
        "level": events.coded("level"),
        "occurred_at": events.time,
        "journey_type": events.coded("journey_type").fallback(of_journey("journey_type")),
        "touchpoint": events.coded("touchpoint").fallback(of_step("touchpoint")),
        "owner": of_step("owner"),
        "survey_id": events.coded("survey_id"),
        "question_id": events.coded("question_id"),
        "topics": _topics(feedback),
        "raw_score": scaled.raw,
        "scale_min": scaled.least,
        "scale_max": scaled.most,
        "confidence": _real(feedback, "confidence"),
        "model_id": events.coded("model_id"),
        "has_text": answers.has_text,
        "language": events.coded("language"),
        "sentiment_confidence": _real(feedback, "sentiment_confidence"),
        "sentiment_model_id": events.coded("sentiment_model_id"),
        "is_solicited": answers.solicited,
        "is_answered": answers.is_answered,
        "scored_as": Categorical.named(scored_as, ["step", "whole"]),
        "invited_at": events.number("invited_time"),
        "responded_at": events.number("responded_time"),
        "acted_at": events.number("action_time"),
        "join_method": Categorical.named(joined.method, METHODS),
        "join_gap_s": (joined.gap_s, joined.is_joined),
        "unjoined": Categorical.named(joined.unjoined, UNJOINED),
        **measured("experience", feedback, answers.carry),
    }


def _journeys(feedback: JourneyFeedback) -> dict[str, Any]:
    carried: dict[str, Any] = {}
    for name in CARRIED:
        column = feedback.of_journey(name)
        text = pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)
        carried[name] = Categorical.of(column) if text else (values(column), valid(column))
    return carried | measured("journey_experience", feedback, feedback.carry)


def _topics(feedback: JourneyFeedback) -> pa.Array:
    events = feedback.answers.events
    if events.has("topics"):
        return events.column("topics")
    return pa.nulls(events.n, pa.list_(pa.string()))


def _real(feedback: JourneyFeedback, name: str) -> Any:
    value, known = feedback.answers.events.number(name)
    return value.astype(np.float64), known
