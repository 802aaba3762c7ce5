"""X-records to scored journeys: pure, whenever they come; nothing but two tables depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, arrow, flat, take, valid, values
from rejse.transforms.columnar.event_table import Categorical, Events, total_order
from rejse.transforms.columnar.segments import pick
from rejse.transforms.feedback import pending
from rejse.transforms.feedback.answers import Answers, Felt
from rejse.transforms.feedback.join import METHODS, UNJOINED, Scored, join
from rejse.transforms.feedback.output_tables import tables
from rejse.transforms.journeys import watermarks
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.output_rows import measured, table_of
from rejse.transforms.scoring.pending import PENDING

#: Columns of a journey's row that stand beside its experience as they are.
CARRIED = ("journey_id", contract.CUSTOMER_KEY, "journey_type", "owner", "started_at", "ended_at",
           "state", "outcome01", "delivery01", "friction_score")  # fmt: skip


def attach(
    records: pa.Table,
    sessionised: SessionisedEvents,
    scored: Mapping[str, pa.Table],
    rules: Rules,
    frontiers: Mapping[str, int],
    x_frontiers: Mapping[str, int],
) -> dict[str, pa.Table]:
    """Tables `experience`, `texts`, `journey_experience`, `pending` of whole customers.

    `records` has the columns of `EXPERIENCE.pseudonymous` (absent optional ones are null), each
    record once, in any order; `spine` has the events of these customers, and may have others', and
    `scored` the `steps` and `journeys` that `advance` makes of them. `frontiers` are those of the
    events' sources, `x_frontiers` those of the records'. Without events no record has a journey.
    """
    answers = total_order(records)
    steps, journeys = scored["steps"], scored["journeys"]
    who = answers.coded(contract.CUSTOMER_KEY)
    kind = Categorical.of(journeys.column("journey_type"))
    joined = join(answers, Scored.of(sessionised, who, kind), rules.windows)
    about = Answers(answers, joined, rules.windows, x_frontiers, rules.sources)
    felt = Felt(about, journeys, steps)
    until = watermarks.least(frontiers)
    final = _final(felt, until)
    columns = {"experience": _records(felt), "journey_experience": _journeys(felt)}
    columns["experience"]["is_final"] = final
    columns["journey_experience"]["is_final"] = felt.count(~final) == 0
    found = {n: table_of(table, columns[n]) for n, table in tables().items() if n in columns}
    waits = pending.of_answers(felt.answers, until)
    return found | {"texts": _texts(found["experience"], answers), PENDING.name: waits}


def _texts(experience: pa.Table, answers: Events) -> pa.Table:
    """Redacted texts of the records that have one, with what they are about."""
    said = answers.column("text_redacted") if answers.has("text_redacted") else None
    table = tables()["texts"]
    if said is None:
        return table_of(table, {c.name: pa.nulls(0, c.type) for c in table.columns})
    rows = experience.append_column("text_redacted", said)
    return rows.filter(arrow(valid(said))).select([column.name for column in table.columns])


def _final(felt: Felt, until: int) -> Bools:
    """Records whose join no event can change any more within the allowed lateness.

    Their journey is final, all events up to them are known, and no target is still looked for.
    """
    answers = felt.answers
    known = watermarks.passed(
        answers.events.time + answers.windows.identity_wait, until, answers.windows.lateness
    )
    journey = answers.joined.journey
    final = pick(values(flat(felt.journeys.column("is_final"))), journey, True)
    by_event = answers.joined.method == METHODS.index("event")
    return np.asarray(known & final & (by_event | ~answers.events.coded("target").known))


def _records(felt: Felt) -> dict[str, Any]:
    answers, events = felt.answers, felt.answers.events
    joined, scaled = answers.joined, answers.scaled
    scored_as = np.where(answers.of_whole, 1, NULL)
    scored_as[felt.asked] = 0

    def of_step(name: str) -> Categorical:
        return Categorical.of(felt.steps.column(name)).rows(joined.step)

    def of_journey(name: str) -> Categorical:
        return Categorical.of(felt.journeys.column(name)).rows(joined.journey)

    return {
        "x_id": events.refs(),
        contract.CUSTOMER_KEY: events.coded(contract.CUSTOMER_KEY),
        "journey_id": take(flat(felt.journeys.column("journey_id")), joined.journey),
        "step_id": take(flat(felt.steps.column("step_id")), joined.step),
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
        "topics": _topics(felt),
        "raw_score": scaled.raw,
        "scale_min": scaled.least,
        "scale_max": scaled.most,
        "confidence": _real(felt, "confidence"),
        "model_id": events.coded("model_id"),
        "has_text": answers.has_text,
        "language": events.coded("language"),
        "sentiment_confidence": _real(felt, "sentiment_confidence"),
        "sentiment_model_id": events.coded("sentiment_model_id"),
        "is_solicited": answers.solicited,
        "is_answered": answers.is_answered,
        "scored_as": Categorical.named(scored_as, ["step", "whole"]),
        "invited_at": events.number("invited_time"),
        "responded_at": events.number("responded_time"),
        "acted_at": events.number("action_time"),
        "join_method": Categorical.named(joined.method, METHODS),
        "join_gap_s": (joined.gap_s, joined.found),
        "unjoined": Categorical.named(joined.unjoined, UNJOINED),
        **measured("experience", felt, answers.carry),
    }


def _journeys(felt: Felt) -> dict[str, Any]:
    carried: dict[str, Any] = {}
    for name in CARRIED:
        column = felt.of_journey(name)
        text = pa.types.is_dictionary(column.type) or pa.types.is_string(column.type)
        carried[name] = Categorical.of(column) if text else (values(column), valid(column))
    return carried | measured("journey_experience", felt, felt.carry)


def _topics(felt: Felt) -> pa.Array:
    events = felt.answers.events
    if events.has("topics"):
        return events.column("topics")
    return pa.nulls(events.n, pa.list_(pa.string()))


def _real(felt: Felt, name: str) -> Any:
    value, known = felt.answers.events.number(name)
    return value.astype(np.float64), known
