"""Explain a journey: its steps, its evidence, the sums of its scores, and what-ifs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import context, lookup, what_if
from rejse.pipelines.reporting.explain.context import JourneyContext
from rejse.pipelines.reporting.explain.feedback import Answer, Feedback
from rejse.pipelines.reporting.explain.what_if import Evidence, Score, WhatIf


@dataclass(frozen=True)
class FieldRequest:
    """A field asked of the customer, and the system that knew it before."""

    field: str
    system_asking: str | None
    system_known: str | None
    known_step_seq: int | None
    known_since: datetime | None
    is_reask: bool
    value_agrees: bool | None
    basis: str | None


@dataclass(frozen=True)
class Handoff:
    """A hand-off into a step, or one requested in it and never received."""

    from_owner: str | None
    to_owner: str | None
    from_team: str | None
    to_team: str | None
    latency_s: int | None
    n_fields_known: int | None
    n_fields_passed: int | None
    context: str | None
    is_dropped: bool | None
    is_ping_pong: bool
    due_at: datetime | None


@dataclass(frozen=True)
class Promise:
    """A promise made in a step, and its delivery."""

    promise_id: str
    kind: str | None
    made_by: str | None
    due_at: datetime | None
    delivered_at: datetime | None
    status: str | None
    lateness_s: int | None
    n_moves: int


@dataclass(frozen=True)
class Step:
    """A step: actor, place, time, its requests, hand-offs, promises, evidence and answers."""

    step_id: str
    seq: int
    touchpoint: str | None
    activity: str | None
    channel: str | None
    direction: str | None
    actor_type: str | None
    actor_id: str | None
    owner: str | None
    team: str | None
    stage: str | None
    system: str | None
    intent: str | None
    outcome: str | None
    started_at: datetime
    ended_at: datetime
    n_events: int
    is_pushed: bool
    is_moment_of_truth: bool | None
    wait_before_s: float | None
    wait_cause: str | None
    queue_s: float | None
    processing_s: float | None
    asked: tuple[FieldRequest, ...] = ()
    handoffs: tuple[Handoff, ...] = ()
    promises: tuple[Promise, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def hazard(self) -> float:
        """Return the hazard of the incident anchored here: the step with the edge into it."""
        return float(sum(piece.hazard for piece in self.evidence))


@dataclass(frozen=True)
class Journey:
    """The row of a journey: its owner, its time, its end, its counts and scores."""

    journey_id: str
    customer_key: str
    journey_type: str | None
    case_id: str | None
    owner: str | None
    product_id: str | None
    started_at: datetime
    ended_at: datetime
    state: str | None
    close_reason: str | None
    is_final: bool
    config_version: str | None
    n_steps: int | None
    n_contacts: int | None
    n_channels: int | None
    n_silos: int | None
    n_handoffs_unknown: int | None
    n_fields_known: int | None
    data_continuity: float | None
    throughput_s: float | None
    customer_wait_s: float | None
    internal_wait_s: float | None
    outcome: str | None
    outcome01: float | None
    friction_hazard: float | None
    friction_score: float | None
    friction_score_lo: float | None
    friction_score_hi: float | None
    friction_edge_share: float | None
    delivery01: float | None
    health_ops: float | None
    health_ops_lo: float | None
    health_ops_hi: float | None
    limiting_component: str | None
    evidence_coverage: float | None


@dataclass(frozen=True)
class Explanation:
    """A journey with its steps, its score recomputed from the evidence, and the what-ifs."""

    journey: Journey
    steps: tuple[Step, ...]
    score: Score
    what_ifs: tuple[WhatIf, ...]
    not_measured: tuple[str, ...]
    felt: Feedback | None = None
    around: JourneyContext | None = None
    #: Remark on the choice of this journey, where `worst` was asked for.
    note: str = ""

    @property
    def adds_up(self) -> bool:
        """Return whether the evidence sums to the published hazard (to 1e-9)."""
        published = self.journey.friction_hazard
        return published is None or abs(published - self.score.hazard) <= 1e-9

    def text(self) -> str:
        """Return the whole explanation as plain text."""
        from rejse.pipelines.reporting.explain import text as explain_text

        return explain_text.text(self)

    def json(self) -> str:
        """Return the explanation as JSON text; times are ISO 8601 in UTC, null is not measured."""
        document = {**asdict(self), "adds_up": self.adds_up}
        return json.dumps(document, default=datetime.isoformat, ensure_ascii=False, indent=2)


def explain(con: Any, wanted: str) -> Explanation:
    """Explain the journey that `wanted` names (id, its beginning, case id, or `worst`).

    `con` is a catalogue session with the views v_journeys, v_steps, v_friction_evidence,
    v_handoffs, v_info_requests, v_promises, v_sessions, v_experience, v_journey_experience,
    v_ranked_journeys and the table owned_products.

    Raises:
        UnknownJourneyError: no journey matches, or several do; it has near matches.
    """
    if not lookup.is_worst(wanted):
        return explain_all(con, [lookup.find(con, wanted)])[0]
    journey_id, note = lookup.the_worst(con)
    return replace(explain_all(con, [journey_id])[0], note=note)


def explain_all(con: Any, journey_ids: list[str]) -> list[Explanation]:
    """Explain these journeys, in this order, with one query a view; raises as `explain`."""
    journeys = {
        journey_id: journey
        for journey_id, _, journey in _records(con, Journey, "v_journeys", journey_ids)
    }
    steps = _steps(con, journey_ids)
    felt, around = _felt(con, journey_ids), context.contexts(con, journey_ids)
    return [
        _explained(journeys[id_], steps.get(id_, ()), felt.get(id_), around.get(id_))
        for id_ in journey_ids
    ]


def _explained(
    journey: Journey, steps: tuple[Step, ...], felt: Feedback | None, around: JourneyContext | None
) -> Explanation:
    evidence = tuple(piece for step in steps for piece in step.evidence)
    return Explanation(
        journey=journey,
        steps=steps,
        score=what_if.score(evidence, journey.outcome01),
        what_ifs=_what_ifs(journey, evidence),
        not_measured=tuple(_not_measured(journey, evidence, felt)),
        felt=felt,
        around=around,
    )


def _what_ifs(journey: Journey, evidence: tuple[Evidence, ...]) -> tuple[WhatIf, ...]:
    return () if journey.friction_score is None else what_if.what_ifs(evidence, journey.outcome01)


_TIMES = {"started_at", "ended_at", "occurred_at", "due_at", "delivered_at", "known_since"}
_NESTED = {"asked", "handoffs", "promises", "evidence", "answers"}
#: Relation and order of each view.
_SOURCES: dict[str, tuple[str, str]] = {
    "v_journeys": ("(select null as step_id, * from v_journeys)", "journey_id"),
    "v_steps": ("v_steps", "seq"),
    "v_friction_evidence": (
        "v_friction_evidence",
        "hazard desc, kind, occurred_at, evidence_id",
    ),
    "v_handoffs": (
        "(select coalesce(to_step, from_step) as step_id, * from v_handoffs)",
        "occurred_at, handoff_id",
    ),
    "v_info_requests": (
        """(
            select asked.*, known.seq as known_step_seq
            from v_info_requests as asked left join v_steps as known
                on known.journey_id = asked.journey_id and known.step_id = asked.known_step_id
        )""",
        "is_reask, field",
    ),
    "v_promises": ("v_promises", "made_at, promise_id"),
    "v_experience": ("v_experience", "occurred_at, x_id"),
    "v_journey_experience": (
        "(select null as step_id, * from v_journey_experience)",
        "journey_id",
    ),
}


def _records(con: Any, shape: Any, view: str, journey_ids: list[str]) -> list[tuple[str, str, Any]]:
    """Read a view as (journey id, step id, `shape`), only the columns of the shape."""
    names = [field.name for field in fields(shape) if field.name not in _NESTED]
    columns = [f"timezone('UTC', {n}) as {n}" if n in _TIMES else n for n in names]
    source, order = _SOURCES[view]
    query = (
        f"select journey_id as of_journey, step_id as of_step, {', '.join(columns)}"
        f" from {source} as found where journey_id in (select unnest($1)) order by {order}"
    )
    records = []
    for row in lookup.rows(con, query, [journey_ids]):
        place = row.pop("of_journey"), row.pop("of_step")
        listed = {n: tuple(v) if isinstance(v, list) else v for n, v in row.items()}
        records.append((*place, shape(**listed)))
    return records


def _by_step(
    con: Any, shape: Any, view: str, journey_ids: list[str]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    by_step: dict[tuple[str, str], list[Any]] = {}
    for journey_id, step_id, record in _records(con, shape, view, journey_ids):
        by_step.setdefault((journey_id, step_id), []).append(record)
    return {place: tuple(records) for place, records in by_step.items()}


def _steps(con: Any, journey_ids: list[str]) -> dict[str, tuple[Step, ...]]:
    """Return the steps of each journey in order, each with its requests, evidence and answers."""
    asked = _by_step(con, FieldRequest, "v_info_requests", journey_ids)
    handoffs = _by_step(con, Handoff, "v_handoffs", journey_ids)
    promises = _by_step(con, Promise, "v_promises", journey_ids)
    evidence = _by_step(con, Evidence, "v_friction_evidence", journey_ids)
    answers = _by_step(con, Answer, "v_experience", journey_ids)
    by_journey: dict[str, list[Step]] = {}
    for journey_id, step_id, step in _records(con, Step, "v_steps", journey_ids):
        place = (journey_id, step_id)
        whole = replace(
            step,
            asked=asked.get(place, ()),
            handoffs=handoffs.get(place, ()),
            promises=promises.get(place, ()),
            evidence=evidence.get(place, ()),
            answers=answers.get(place, ()),
        )
        by_journey.setdefault(journey_id, []).append(whole)
    return {journey_id: tuple(steps) for journey_id, steps in by_journey.items()}


def _felt(con: Any, journey_ids: list[str]) -> dict[str, Feedback]:
    """Return the feedback on journeys; answers on a step are with the step."""
    whole: dict[str, list[Answer]] = {}
    for journey_id, step_id, answer in _records(con, Answer, "v_experience", journey_ids):
        if step_id is None:
            whole.setdefault(journey_id, []).append(answer)
    return {
        journey_id: replace(felt, answers=tuple(whole.get(journey_id, ())))
        for journey_id, _, felt in _records(con, Feedback, "v_journey_experience", journey_ids)
    }


def _not_measured(
    journey: Journey, evidence: tuple[Evidence, ...], felt: Feedback | None
) -> list[str]:
    """Return what could not be measured for a journey: null is never shown as zero."""
    gaps = []
    if journey.friction_score is None:
        gaps.append(
            "friction, delivery and health: too little of what the detectors need was logged"
            " and nothing was found; nothing logged is not nothing wrong"
        )
    if journey.state == "open":
        gaps.append("outcome and health: the journey is still open; this is the friction so far")
    elif journey.outcome01 is None:
        gaps.append("outcome, and so health: no event says how it ended")
    if journey.data_continuity is None:
        gaps.append("data continuity: no field is known to have been given and needed again")
    if journey.customer_wait_s is None:
        gaps.append("waiting of the customer: no waiting was logged")
    if journey.n_handoffs_unknown:
        hand = wording.plural(journey.n_handoffs_unknown, "hand-off")
        gaps.append(f"context of {hand}: nothing says which known fields went along")
    if any(piece.kind == "customer_wait" and piece.expected_value is None for piece in evidence):
        gaps.append("how long a wait was expected at some touchpoints")
    if felt is None:
        gaps.append("experience: nobody was asked or spoke of it, so this is health_ops only")
    elif felt.experience01 is None:
        gaps.append("experience: nobody who was asked gave a score, so this is health_ops only")
    return gaps
