"""Build the published rows: scored journeys in the columns that `tables` declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, arrow, take, text_list
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.field_requests import BASES
from rejse.transforms.features.handoffs import CONTEXTS
from rejse.transforms.features.promises import STATUS
from rejse.transforms.features.slas import STATUS as SLA_STATUS
from rejse.transforms.features.steps import systems
from rejse.transforms.journeys.journey_times import intervals
from rejse.transforms.journeys.split import REASONS
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.schema.registry import Needs, Table, metrics
from rejse.transforms.scoring.friction.assess import ScoredJourneys
from rejse.transforms.scoring.friction.kinds import KINDS
from rejse.transforms.scoring.output_tables import MINUTE_BASES, tables

RULE_VERSION = "1"
Columns = Mapping[str, Any]


def rows(scored: ScoredJourneys) -> dict[str, pa.Table]:
    """Return every table of `output_tables.tables()` for scored journeys."""
    builders = {
        "journeys": _journeys, "steps": _steps, "sessions": _sessions,
        "friction_evidence": _evidence, "handoffs": _handoffs,
        "info_requests": _info_requests, "promises": _promises,
        "sla_results": _sla_results,
    }  # fmt: skip
    return {name: table_of(table, builders[name](scored)) for name, table in tables().items()}


def table_of(table: Table, columns: Columns) -> pa.Table:
    """Return an Arrow table of the declared columns, in their order and type."""
    arrays = [_column(columns[c.name], c.type) for c in table.columns]
    return pa.Table.from_arrays(arrays, names=[c.name for c in table.columns])


def _column(value: Any, kind: pa.DataType) -> pa.Array:
    """Return the Arrow array of what a metric or builder returns.

    Codes become dictionary arrays, which Parquet writes as text; a pair is values and their mask;
    NaN is null.
    """
    if isinstance(value, Categorical):
        return value.arrow()
    if isinstance(value, tuple):
        return arrow(value[0], kind, value[1])
    if isinstance(value, np.ndarray):
        return arrow(value, kind)
    return value


def _time(micros: Array, ok: Array | None = None) -> tuple[Array, Array]:
    return micros, (micros != FAR) if ok is None else ok


def _at(scored: ScoredJourneys, event: Array) -> tuple[Array, Array]:
    """Return the time of an event, null where the event is -1."""
    return pick(scored.ctx.sessionised.events.time, event, 0), event != NULL


def _measured(scored: ScoredJourneys, grain: str) -> dict[str, Any]:
    """Compute the metrics; null in journeys, and their steps, that do not carry the inputs."""
    journey = scored.ctx.sessionised.step_journey if grain == "step" else slice(None)
    return measured(grain, scored, lambda needs: scored.carried.any(needs)[journey])


def measured(grain: str, of: Any, carried: Callable[[Needs], Array]) -> dict[str, Any]:
    """Compute the metrics of a grain by name; null in rows that do not carry their inputs."""
    return {
        m.name: _known(m.compute(of), carried(m.inputs)) if m.inputs else m.compute(of)
        for m in metrics(grain)
    }


def _known(value: Any, known: Array) -> Any:
    """Set what a metric returns to null where it is not known."""
    if isinstance(value, Categorical):
        return value.recode(np.where(known, value.codes, NULL))
    if isinstance(value, tuple):
        return value[0], value[1] & known
    return (value, known) if value.dtype.kind != "f" else np.where(known, value, np.nan)


def _owned(scored: ScoredJourneys, journey: Array) -> dict[str, Any]:
    """Return the columns of every table: journey, customer, and whether the journey is final."""
    sessionised = scored.ctx.sessionised
    return {
        "journey_id": take(sessionised.journey_id, journey),
        CUSTOMER_KEY: sessionised.customer.rows(journey),
        "is_final": scored.ctx.final[journey],
    }


def _journeys(scored: ScoredJourneys) -> Columns:
    sessionised, journeys = scored.ctx.sessionised, scored.ctx.journeys
    events = sessionised.events

    def first(column: Categorical) -> Categorical:
        return column.recode(journeys.first_valid(column.codes[sessionised.by_time]))

    step_owner = scored.ctx.steps.owner
    owner = step_owner.recode(sessionised.journey_steps.first_valid(step_owner.codes))
    started = scored.journey_times.started  # an activity may be logged before it starts
    kind = sessionised.journey_kind.fallback(Categorical.named(np.zeros(len(journeys)), ["other"]))
    state = Categorical.named(np.where(scored.ctx.closed, 0, 1), ["closed", "open"])
    reason = Categorical.named(
        np.where(scored.ctx.closed, sessionised.bounds.reason, NULL), REASONS
    )
    return {
        **_owned(scored, np.arange(len(journeys))),
        "journey_type": kind,
        "case_id": sessionised.journey_case,
        "owner": scored.ctx.type_owner.fallback(owner),
        "product_id": first(scored.ctx.product),
        "lifecycle_stage": first(scored.ctx.lifecycle_stage),
        "segment": first(scored.ctx.segment),
        "started_at": started,
        "ended_at": np.maximum(journeys.max(events.time), started),
        "state": state,
        "close_reason": reason,
        **_measured(scored, "journey"),
    }


def _steps(scored: ScoredJourneys) -> Columns:
    sessionised, steps = scored.ctx.sessionised, scored.ctx.steps
    events, seg = sessionised.events, sessionised.steps
    place = sessionised.place[steps.first]
    begin, end = intervals(sessionised)

    def first(name: str) -> Categorical:
        return events.coded(name).rows(steps.first)

    def first_known(column: Categorical) -> Categorical:
        known = column.known.any()
        return column.recode(seg.first_valid(column.codes)) if known else column.rows(steps.first)

    return {
        **_owned(scored, steps.journey),
        "step_id": sessionised.step_id,
        "seq": sessionised.journey_steps.row_number + 1,
        "session_id": take(sessionised.session_id, sessionised.session[steps.first]),
        "event_ids": text_list(events.refs(), seg.starts, seg.n),
        "touchpoint": steps.touchpoint,
        "activity": first("activity"),
        "channel": steps.channel,
        "direction": first("direction"),
        "actor_type": first("actor_type"),
        "actor_id": first_known(events.coded("actor_id")),
        "stage": steps.stage,
        "owner": steps.owner,
        "team": steps.team,
        "silo": steps.silo,
        "system": steps.system,
        "intent": first_known(events.coded("intent")),
        "product_id": first_known(scored.ctx.product),
        "site_id": first_known(events.coded("site_id")),
        "started_at": seg.min(begin),
        "ended_at": seg.max(end),
        "n_events": seg.lengths,
        "outcome": steps.outcome,
        "is_moment_of_truth": scored.ctx.data.touchpoints.number("is_moment_of_truth", place),
        "is_pushed": steps.is_pushed,
        **_measured(scored, "step"),
    }


def _sessions(scored: ScoredJourneys) -> Columns:
    sessionised, contacts = scored.ctx.sessionised, scored.ctx.contacts
    events, order, seg = sessionised.events, sessionised.session_order, sessionised.sessions

    def logged_sum(name: str) -> tuple[Array, Array]:
        value, known = events.number(name)
        value, known = value[order], known[order]
        return seg.sum(np.where(known, value, 0)), seg.any(known)

    flag, flagged = events.number("fcr_flag")
    agreed = seg.any(flagged[order] & flag.astype(bool)[order])
    time = events.time[order]
    return {
        **_owned(scored, contacts.journey),
        "session_id": sessionised.session_id,
        "seq": sessionised.journey_sessions.row_number + 1,
        "source": events.coded("source").rows(seg.first(order)),
        "channel_family": contacts.family,
        "channel": contacts.channel,
        "is_contact": contacts.is_contact,
        "is_message": contacts.is_message,
        "direction": contacts.direction,
        "is_need_driven": contacts.is_need_driven,
        "intent": contacts.intent,
        "outcome": contacts.outcome,
        "has_human": contacts.has_human,
        "has_machine": contacts.has_machine,
        "started_at": seg.min(time),
        "ended_at": seg.max(time),
        "n_events": contacts.n_events,
        **{name: logged_sum(name) for name in ("talk_s", "hold_s", "wrap_s", "wait_s")},
        "fcr_flag": (agreed, seg.any(flagged[order])),
    }


def _evidence(scored: ScoredJourneys) -> Columns:
    sessionised, steps, evidence = scored.ctx.sessionised, scored.ctx.steps, scored.evidence
    step_id = take(sessionised.step_id, evidence.step)
    whole, price = scored.hazard[scored.journey], scored.costs
    return {
        **_owned(scored, scored.journey),
        "evidence_id": _evidence_ids(scored, step_id),
        "step_id": step_id,
        "prev_step_id": take(sessionised.step_id, evidence.previous),
        "kind": scored.kinds,
        "locus": _of_kind(scored, "locus"),
        "owner": evidence.owner,
        "owner_to": evidence.owner_to,
        "touchpoint": steps.touchpoint.rows(evidence.step),
        "occurred_at": evidence.time,
        "basis": Categorical.named(evidence.basis, BASES),
        "raw_value": evidence.raw,
        "unit": _of_kind(scored, "unit"),
        "expected_value": evidence.expected,
        "base_weight": evidence.weight,
        "intensity": evidence.intensity,
        "confidence": evidence.confidence,
        "severity": scored.hazards.severity,
        "kind_rank": scored.hazards.rank,
        "hazard": scored.hazards.hazard,
        "share": scored.hazards.hazard / whole,
        "minutes_customer": price.minutes_customer,
        "minutes_customer_basis": Categorical.named(price.basis_customer, MINUTE_BASES),
        "minutes_company": price.minutes_company,
        "minutes_company_basis": Categorical.named(price.basis_company, MINUTE_BASES),
        "cost": price.cost,
        "is_cost_whole": (price.n_priced == 2, price.n_priced > 0),
        "currency": price.currency,
        "event_ids": _proof(scored),
        "detail": evidence.detail,
        "rule": scored.kinds,
        "rule_version": Categorical.named(np.zeros(len(evidence)), [RULE_VERSION]),
    }


def _of_kind(scored: ScoredJourneys, attribute: str) -> Categorical:
    """Return a text of each piece's kind; several kinds may have the same."""
    texts = [getattr(KINDS[name], attribute) for name in sorted(KINDS)]
    distinct = list(dict.fromkeys(texts))  # Parquet writes no other dictionary as one
    return Categorical.named(np.array(list(map(distinct.index, texts)))[scored.kind], distinct)


def _evidence_ids(scored: ScoredJourneys, step_id: pa.Array) -> pa.Array:
    """Return `<step_id>-<kind>`, with `-2`, `-3` … where a step has more than one of a kind."""
    order = sorted_by(scored.evidence.step, scored.kind, scored.hazards.rank)
    same = np.zeros(len(order), dtype=bool)
    same[1:] = np.diff(scored.kind[order]) == 0
    same[1:] &= np.diff(scored.evidence.step[order]) == 0
    start = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order)) - start + 1
    several = [""] + [f"-{i}" for i in range(2, int(number.max(initial=1)) + 1)]
    suffix = Categorical.named(number - 1, several).arrow().cast(pa.string())
    kinds = scored.kinds.arrow().cast(pa.string())
    return pc.binary_join_element_wise(step_id, "-", kinds, suffix, "")


def _proof(scored: ScoredJourneys) -> pa.Array:
    """Return the earlier event, where there is one, and the event that proves the evidence."""
    both = np.stack([scored.evidence.earlier, scored.evidence.row], axis=1)
    kept = both >= 0
    starts = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))[:-1]
    return text_list(
        take(scored.ctx.sessionised.events.refs(), both[kept]), starts, int(kept.sum())
    )


def _handoffs(scored: ScoredJourneys) -> Columns:
    """Return the observed hand-offs, then the requested ones that were not taken up."""
    sessionised, steps, handoffs, requests = (
        scored.ctx.sessionised,
        scored.ctx.steps,
        scored.ctx.handoffs,
        scored.ctx.handoff_requests,
    )
    events, waiting = sessionised.events, requests.waiting
    n_seen, n_waiting = len(handoffs.giver), len(waiting.row)
    giver = np.concatenate([handoffs.giver, sessionised.steps.ids[waiting.row]])
    receiver = np.concatenate([handoffs.receiver, np.full(n_waiting, NULL)])
    row = np.concatenate([np.full(n_seen, NULL), waiting.row])
    arrived = events.time[steps.first[handoffs.receiver]]
    latency = arrived - events.time[steps.last[handoffs.giver]]
    due = _due_of_steps(scored)[handoffs.receiver]

    def counted(x: Array) -> tuple[Array, Array]:
        return np.concatenate([x, np.zeros(n_waiting, np.int64)]), row == NULL

    wanted = events.coded("to_owner").rows(row)
    dropped = np.concatenate([np.zeros(n_seen, bool), waiting.is_dropped])
    return {
        **_owned(scored, steps.journey[giver]),
        "handoff_id": _handoff_ids(scored, giver, receiver, row),
        "from_step": take(sessionised.step_id, giver),
        "to_step": take(sessionised.step_id, receiver),
        "from_owner": steps.owner.rows(giver),
        "to_owner": steps.owner.rows(receiver).fallback(wanted),
        "from_team": steps.team.rows(giver),
        "to_team": steps.team.rows(receiver).fallback(events.coded("to_team").rows(row)),
        "from_channel": steps.channel.rows(giver),
        "to_channel": steps.channel.rows(receiver).fallback(events.coded("to_channel").rows(row)),
        "occurred_at": np.concatenate([arrived, events.time[waiting.row]]),
        "latency_s": counted(np.maximum(latency, 0) // SECOND),
        "n_fields_known": counted(handoffs.n_known),
        "n_fields_passed": counted(handoffs.n_passed),
        "n_fields_reasked": counted(handoffs.n_reasked),
        "context": Categorical.named(
            np.append(handoffs.context, np.full(n_waiting, NULL)), CONTEXTS
        ),
        "basis": Categorical.named(np.append(handoffs.basis, np.zeros(n_waiting)), BASES),
        "is_dropped": (dropped, dropped | np.append(due != FAR, np.zeros(n_waiting, bool))),
        "is_ping_pong": np.append(handoffs.is_ping_pong, np.zeros(n_waiting, bool)),
        "due_at": _time(np.append(due, waiting.due)),
    }


def _due_of_steps(scored: ScoredJourneys) -> Array:
    """Return when the hand-off that each step took up was due; FAR where none was requested."""
    requests, due = scored.ctx.handoff_requests, np.full(len(scored.ctx.steps), FAR)
    taken = requests.received >= 0
    step = scored.ctx.sessionised.steps.ids[requests.received[taken]]
    np.minimum.at(due, step, requests.due[taken])
    return due


def _handoff_ids(scored: ScoredJourneys, giver: Array, receiver: Array, row: Array) -> pa.Array:
    """Return the receiving step; of a request the giving step and the requesting event."""
    sessionised = scored.ctx.sessionised
    asked = pc.binary_join_element_wise(
        take(sessionised.step_id, giver), "to", take(sessionised.events.refs(), row), "-"
    )
    return pc.coalesce(take(sessionised.step_id, receiver), asked)


def _info_requests(scored: ScoredJourneys) -> Columns:
    sessionised, steps, requests = (
        scored.ctx.sessionised,
        scored.ctx.steps,
        scored.ctx.field_requests.requests,
    )
    known_step = np.where(
        requests.known_row >= 0, pick(sessionised.steps.ids, requests.known_row), NULL
    )
    return {
        **_owned(scored, steps.journey[requests.step]),
        "step_id": take(sessionised.step_id, requests.step),
        "field": requests.field,
        "touchpoint": steps.touchpoint.rows(requests.step),
        "owner": steps.owner.rows(requests.step),
        "system_asking": systems(sessionised, scored.ctx.data).rows(requests.row),
        "system_known": systems(sessionised, scored.ctx.data).rows(requests.known_row),
        "known_step_id": take(sessionised.step_id, known_step),
        "known_since": _at(scored, requests.known_row),
        "occurred_at": sessionised.events.time[requests.row],
        "is_reask": requests.is_reask,
        "value_agrees": (requests.value_agrees == 1, requests.value_agrees != NULL),
        "basis": Categorical.named(requests.basis, BASES),
    }


def _promises(scored: ScoredJourneys) -> Columns:
    sessionised, promises = scored.ctx.sessionised, scored.ctx.promises
    step = sessionised.steps.ids[promises.made]
    delivered, known = _at(scored, promises.delivered)
    late = known & (promises.due != FAR) & (delivered > promises.due)
    lateness = (delivered - np.where(late, promises.due, delivered)) // SECOND
    return {
        **_owned(scored, sessionised.journeys.ids[promises.made]),
        "promise_id": promises.name,
        "step_id": take(sessionised.step_id, step),
        "kind": promises.kind,
        "made_by": sessionised.events.coded("actor_type").rows(promises.made),
        "owner": scored.ctx.owed_by(promises.made, promises.owner),
        "made_at": sessionised.events.time[promises.made],
        "due_at": _time(promises.due),
        "delivered_at": (delivered, known),
        "status": Categorical.named(promises.status, STATUS),
        "lateness_s": (lateness, late),
        "n_moves": promises.n_moves,
    }


def _sla_results(scored: ScoredJourneys) -> Columns:
    levels, sessionised = scored.ctx.slas, scored.ctx.sessionised
    met, known = _at(scored, levels.met)
    return {
        **_owned(scored, levels.journey),
        "sla": levels.sla,
        "kind": levels.kind,
        "owner": scored.ctx.owed_by(levels.row),
        "started_at": sessionised.events.time[levels.row],
        "due_at": _time(levels.due),
        "met_at": (met, known),
        "elapsed_s": (levels.elapsed // SECOND, known & (levels.status != NULL)),
        "status": Categorical.named(levels.status, SLA_STATUS),
    }
