"""The published rows: what the core computed, in the columns that `tables` declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, arrow, take, text_list
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.columnar.segments import Array, pick
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
from rejse.transforms.scoring.friction.evidence import KINDS
from rejse.transforms.scoring.output_tables import MINUTE_BASES, tables

RULE_VERSION = "1"
Columns = Mapping[str, Any]


def rows(a: ScoredJourneys) -> dict[str, pa.Table]:
    """Every table of `tables.tables()` for the journeys of an assessment."""
    builders = {
        "journeys": _journeys, "steps": _steps, "sessions": _sessions,
        "friction_evidence": _evidence, "handoffs": _handoffs,
        "info_requests": _info_requests, "promises": _promises,
        "sla_results": _sla_results,
    }  # fmt: skip
    return {name: table_of(table, builders[name](a)) for name, table in tables().items()}


def table_of(table: Table, columns: Columns) -> pa.Table:
    """Arrow table of the declared columns, in their order and type."""
    arrays = [_column(columns[c.name], c.type) for c in table.columns]
    return pa.Table.from_arrays(arrays, names=[c.name for c in table.columns])


def _column(found: Any, kind: pa.DataType) -> pa.Array:
    """Arrow array of what a metric or builder returns.

    Codes become dictionary arrays, which Parquet writes as text; a pair is values and their mask;
    NaN is null.
    """
    if isinstance(found, Categorical):
        return found.arrow()
    if isinstance(found, tuple):
        return arrow(found[0], kind, found[1])
    if isinstance(found, np.ndarray):
        return arrow(found, kind)
    return found


def _time(micros: Array, ok: Array | None = None) -> tuple[Array, Array]:
    return micros, (micros != FAR) if ok is None else ok


def _at(a: ScoredJourneys, event: Array) -> tuple[Array, Array]:
    """Time of an event; null where the event is -1."""
    return pick(a.ctx.sessionised.events.time, event, 0), event != NULL


def _measured(a: ScoredJourneys, grain: str) -> dict[str, Any]:
    """Values of the metrics, null in journeys (and their steps) that do not carry the inputs."""
    journey = a.ctx.sessionised.step_journey if grain == "step" else slice(None)
    return measured(grain, a, lambda needs: a.carried.any(needs)[journey])


def measured(grain: str, of: Any, carried: Callable[[Needs], Array]) -> dict[str, Any]:
    """Values of the metrics of a grain by name, null in rows that do not carry their inputs."""
    return {
        m.name: _known(m.compute(of), carried(m.inputs)) if m.inputs else m.compute(of)
        for m in metrics(grain)
    }


def _known(found: Any, known: Array) -> Any:
    """What a metric returns, null where it is not known."""
    if isinstance(found, Categorical):
        return found.recode(np.where(known, found.codes, NULL))
    if isinstance(found, tuple):
        return found[0], found[1] & known
    return (found, known) if found.dtype.kind != "f" else np.where(known, found, np.nan)


def _owned(a: ScoredJourneys, journey: Array) -> dict[str, Any]:
    """Columns that every table has: whose journey, and whether it is final."""
    sessionised = a.ctx.sessionised
    return {
        "journey_id": take(sessionised.journey_id, journey),
        CUSTOMER_KEY: sessionised.customer.rows(journey),
        "is_final": a.ctx.final[journey],
    }


def _journeys(a: ScoredJourneys) -> Columns:
    sessionised, journeys = a.ctx.sessionised, a.ctx.journeys
    events = sessionised.events

    def first(column: Categorical) -> Categorical:
        return column.recode(journeys.first_valid(column.codes[sessionised.by_time]))

    step_owner = a.ctx.steps.owner
    owner = step_owner.recode(sessionised.journey_steps.first_valid(step_owner.codes))
    kind = sessionised.journey_kind.fallback(Categorical.named(np.zeros(len(journeys)), ["other"]))
    state = Categorical.named(np.where(a.ctx.closed, 0, 1), ["closed", "open"])
    reason = Categorical.named(np.where(a.ctx.closed, sessionised.cut.reason, NULL), REASONS)
    return {
        **_owned(a, np.arange(len(journeys))),
        "journey_type": kind,
        "case_id": sessionised.journey_case,
        "owner": a.ctx.type_owner.fallback(owner),
        "product_id": first(a.ctx.product),
        "lifecycle_stage": first(a.ctx.lifecycle_stage),
        "segment": first(a.ctx.segment),
        "started_at": a.clock.started,
        "ended_at": journeys.max(events.time),
        "state": state,
        "close_reason": reason,
        **_measured(a, "journey"),
    }


def _steps(a: ScoredJourneys) -> Columns:
    sessionised, steps = a.ctx.sessionised, a.ctx.steps
    events, seg = sessionised.events, sessionised.steps
    place = sessionised.place[steps.first]
    begin, end = intervals(sessionised)

    def first(name: str) -> Categorical:
        return events.coded(name).rows(steps.first)

    def first_known(column: Categorical) -> Categorical:
        known = column.known.any()
        return column.recode(seg.first_valid(column.codes)) if known else column.rows(steps.first)

    return {
        **_owned(a, steps.journey),
        "step_id": sessionised.step_id,
        "seq": sessionised.journey_steps.places + 1,
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
        "product_id": first_known(a.ctx.product),
        "site_id": first_known(events.coded("site_id")),
        "started_at": seg.min(begin),
        "ended_at": seg.max(end),
        "n_events": seg.lengths,
        "outcome": steps.outcome,
        "is_moment_of_truth": a.ctx.data.places.number("is_moment_of_truth", place),
        "is_pushed": steps.is_pushed,
        **_measured(a, "step"),
    }


def _sessions(a: ScoredJourneys) -> Columns:
    sessionised, met = a.ctx.sessionised, a.ctx.contacts
    events, order, seg = sessionised.events, sessionised.session_order, sessionised.sessions

    def logged_sum(name: str) -> tuple[Array, Array]:
        value, known = events.number(name)
        value, known = value[order], known[order]
        return seg.sum(np.where(known, value, 0)), seg.any(known)

    flag, said = events.number("fcr_flag")
    agreed = seg.any(said[order] & flag.astype(bool)[order])
    time = events.time[order]
    return {
        **_owned(a, met.journey),
        "session_id": sessionised.session_id,
        "seq": sessionised.journey_sessions.places + 1,
        "source": events.coded("source").rows(seg.first(order)),
        "channel_family": met.family,
        "channel": met.channel,
        "is_contact": met.is_contact,
        "is_message": met.is_message,
        "direction": met.direction,
        "is_need_driven": met.is_need_driven,
        "intent": met.intent,
        "outcome": met.outcome,
        "has_human": met.has_human,
        "has_machine": met.has_machine,
        "started_at": seg.min(time),
        "ended_at": seg.max(time),
        "n_events": met.n_events,
        **{name: logged_sum(name) for name in ("talk_s", "hold_s", "wrap_s", "wait_s")},
        "fcr_flag": (agreed, seg.any(said[order])),
    }


def _evidence(a: ScoredJourneys) -> Columns:
    sessionised, steps, found = a.ctx.sessionised, a.ctx.steps, a.found
    step_id = take(sessionised.step_id, found.step)
    names = sorted(KINDS)
    edge, unit = (
        Categorical.named(a.kind, [getattr(KINDS[name], what) for name in names])
        for what in ("locus", "unit")
    )
    whole, price = a.hazard[a.journey], a.costs
    return {
        **_owned(a, a.journey),
        "evidence_id": _evidence_ids(a, step_id),
        "step_id": step_id,
        "prev_step_id": take(sessionised.step_id, found.previous),
        "kind": a.kinds,
        "locus": edge,
        "owner": found.owner,
        "owner_to": found.owner_to,
        "touchpoint": steps.touchpoint.rows(found.step),
        "occurred_at": found.time,
        "basis": Categorical.named(found.basis, BASES),
        "raw_value": found.raw,
        "unit": unit,
        "expected_value": found.expected,
        "base_weight": found.weight,
        "intensity": found.intensity,
        "confidence": found.confidence,
        "severity": a.hazards.severity,
        "kind_rank": a.hazards.rank,
        "hazard": a.hazards.hazard,
        "share": a.hazards.hazard / whole,
        "minutes_customer": price.minutes_customer,
        "minutes_customer_basis": Categorical.named(price.basis_customer, MINUTE_BASES),
        "minutes_company": price.minutes_company,
        "minutes_company_basis": Categorical.named(price.basis_company, MINUTE_BASES),
        "cost": price.cost,
        "is_cost_whole": (price.n_priced == 2, price.n_priced > 0),
        "currency": price.currency,
        "event_ids": _proof(a),
        "detail": found.detail,
        "rule": a.kinds,
        "rule_version": Categorical.named(np.zeros(len(found)), [RULE_VERSION]),
    }


def _evidence_ids(a: ScoredJourneys, step_id: pa.Array) -> pa.Array:
    """`<step_id>-<kind>`, and `-2`, `-3` … where a step has more than one of a kind."""
    order = sorted_by(a.found.step, a.kind, a.hazards.rank)
    same = np.zeros(len(order), dtype=bool)
    same[1:] = np.diff(a.kind[order]) == 0
    same[1:] &= np.diff(a.found.step[order]) == 0
    start = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order)) - start + 1
    several = [""] + [f"-{i}" for i in range(2, int(number.max(initial=1)) + 1)]
    suffix = Categorical.named(number - 1, several).arrow().cast(pa.string())
    kinds = a.kinds.arrow().cast(pa.string())
    return pc.binary_join_element_wise(step_id, "-", kinds, suffix, "")


def _proof(a: ScoredJourneys) -> pa.Array:
    """The earlier event, where there is one, and the event that proves it."""
    both = np.stack([a.found.earlier, a.found.row], axis=1)
    kept = both >= 0
    starts = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))[:-1]
    return text_list(take(a.ctx.sessionised.events.refs(), both[kept]), starts, int(kept.sum()))


def _handoffs(a: ScoredJourneys) -> Columns:
    """Seen hand-offs, then those asked for that nobody took up."""
    sessionised, steps, seen, asked = a.ctx.sessionised, a.ctx.steps, a.ctx.handoffs, a.ctx.asked
    events, waiting = sessionised.events, asked.waiting
    n_seen, n_waiting = len(seen.giver), len(waiting.row)
    giver = np.concatenate([seen.giver, sessionised.steps.ids[waiting.row]])
    receiver = np.concatenate([seen.receiver, np.full(n_waiting, NULL)])
    row = np.concatenate([np.full(n_seen, NULL), waiting.row])
    arrived = events.time[steps.first[seen.receiver]]
    latency = arrived - events.time[steps.last[seen.giver]]
    due = _due_of_steps(a)[seen.receiver]

    def counted(x: Array) -> tuple[Array, Array]:
        return np.concatenate([x, np.zeros(n_waiting, np.int64)]), row == NULL

    wanted = events.coded("to_owner").rows(row)
    dropped = np.concatenate([np.zeros(n_seen, bool), waiting.is_dropped])
    return {
        **_owned(a, steps.journey[giver]),
        "handoff_id": _handoff_ids(a, giver, receiver, row),
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
        "n_fields_known": counted(seen.n_known),
        "n_fields_passed": counted(seen.n_passed),
        "n_fields_reasked": counted(seen.n_reasked),
        "context": Categorical.named(np.append(seen.context, np.full(n_waiting, NULL)), CONTEXTS),
        "basis": Categorical.named(np.append(seen.basis, np.zeros(n_waiting)), BASES),
        "is_dropped": (dropped, dropped | np.append(due != FAR, np.zeros(n_waiting, bool))),
        "is_ping_pong": np.append(seen.is_ping_pong, np.zeros(n_waiting, bool)),
        "due_at": _time(np.append(due, waiting.due)),
    }


def _due_of_steps(a: ScoredJourneys) -> Array:
    """When the hand-off that each step took up was due; FAR where none was asked for."""
    asked, due = a.ctx.asked, np.full(len(a.ctx.steps), FAR)
    taken = asked.received >= 0
    step = a.ctx.sessionised.steps.ids[asked.received[taken]]
    np.minimum.at(due, step, asked.due[taken])
    return due


def _handoff_ids(a: ScoredJourneys, giver: Array, receiver: Array, row: Array) -> pa.Array:
    """The receiving step; of one asked for, the giving step and the event that asked."""
    sessionised = a.ctx.sessionised
    asked = pc.binary_join_element_wise(
        take(sessionised.step_id, giver), "to", take(sessionised.events.refs(), row), "-"
    )
    return pc.coalesce(take(sessionised.step_id, receiver), asked)


def _info_requests(a: ScoredJourneys) -> Columns:
    sessionised, steps, asked = a.ctx.sessionised, a.ctx.steps, a.ctx.told.requests
    known_step = np.where(asked.known_row >= 0, pick(sessionised.steps.ids, asked.known_row), NULL)
    return {
        **_owned(a, steps.journey[asked.step]),
        "step_id": take(sessionised.step_id, asked.step),
        "field": asked.field,
        "touchpoint": steps.touchpoint.rows(asked.step),
        "owner": steps.owner.rows(asked.step),
        "system_asking": systems(sessionised, a.ctx.data).rows(asked.row),
        "system_known": systems(sessionised, a.ctx.data).rows(asked.known_row),
        "known_step_id": take(sessionised.step_id, known_step),
        "known_since": _at(a, asked.known_row),
        "occurred_at": sessionised.events.time[asked.row],
        "is_reask": asked.is_reask,
        "value_agrees": (asked.value_agrees == 1, asked.value_agrees != NULL),
        "basis": Categorical.named(asked.basis, BASES),
    }


def _promises(a: ScoredJourneys) -> Columns:
    sessionised, made = a.ctx.sessionised, a.ctx.promises
    step = sessionised.steps.ids[made.made]
    delivered, known = _at(a, made.delivered)
    late = known & (made.due != FAR) & (delivered > made.due)
    lateness = (delivered - np.where(late, made.due, delivered)) // SECOND
    return {
        **_owned(a, sessionised.journeys.ids[made.made]),
        "promise_id": made.name,
        "step_id": take(sessionised.step_id, step),
        "kind": made.kind,
        "made_by": sessionised.events.coded("actor_type").rows(made.made),
        "owner": a.ctx.owed_by(made.made, made.owner),
        "made_at": sessionised.events.time[made.made],
        "due_at": _time(made.due),
        "delivered_at": (delivered, known),
        "status": Categorical.named(made.status, STATUS),
        "lateness_s": (lateness, late),
        "n_moves": made.n_moves,
    }


def _sla_results(a: ScoredJourneys) -> Columns:
    levels, sessionised = a.ctx.slas, a.ctx.sessionised
    met, known = _at(a, levels.met)
    return {
        **_owned(a, levels.journey),
        "sla": levels.sla,
        "kind": levels.kind,
        "owner": a.ctx.owed_by(levels.row),
        "started_at": sessionised.events.time[levels.row],
        "due_at": _time(levels.due),
        "met_at": (met, known),
        "elapsed_s": (levels.elapsed // SECOND, known & (levels.status != NULL)),
        "status": Categorical.named(levels.status, SLA_STATUS),
    }
