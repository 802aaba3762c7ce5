"""A journey's row: state, counts, durations, friction, outcome, health."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from rejse.transforms.rules import COMPONENT_FLOOR, HEALTH_WEIGHTS, SECOND
from tests.bench.perevent.company import WINDOWS, Company
from tests.bench.perevent.event import Event
from tests.bench.perevent.fields import DECLARED, OBSERVED
from tests.bench.perevent.intake import Row
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.visit import added

MOST = math.nextafter(100.0, 0.0)
STAGES = ("before", "during", "after")
CONTEXTS = ("full", "part", "none", "unknown")
FATES = ("kept", "late", "broken", "open")


@dataclass(slots=True)
class State:
    """Where a journey stands; `decided` is the event that gave its outcome."""

    reason: str | None
    started: int
    is_measured: bool
    decided: Event | None
    outcome: str | None
    outcome01: float | None


def journey_row(journey: Journey, company: Company, passed: int) -> Row:
    """The row of a journey whose parts are all known; the journey learns whether it is final."""
    state = _state(journey, company, passed)
    first_owner = next((e.owner for e in journey.events if e.owner is not None), None)
    return {
        "journey_id": journey.id, "customer_key": journey.customer,
        "journey_type": journey.kind.name, "owner": journey.kind.owner or first_owner,
        "started_at": state.started, "ended_at": journey.events[-1].us,
        "state": "closed" if state.reason else "open", "close_reason": state.reason,
        "is_final": journey.is_final,
        **_sizes(journey), **_durations(journey, state), **_contacts(journey),
        **_handoffs(journey), **_fields(journey), **_promises(journey),
        **_friction(journey), **_health(journey, state),
    }  # fmt: skip


def _state(journey: Journey, company: Company, passed: int) -> State:
    events, reason = journey.events, journey.close_reason
    waits = [one.end for one in journey.promises]
    waits += [ask.due for ask in journey.asks]
    last = max(journey.deadline, events[-1].us + company.largest_gap, *waits)
    journey.is_final = last + WINDOWS.identity_wait < passed
    needed = [e.us for e in events if e.is_internal or e.is_need_driven]
    started = min(needed) if needed else events[0].us
    return State(reason, started, bool(needed), *_outcome(journey, reason is not None))


def _outcome(journey: Journey, is_closed: bool) -> tuple[Event | None, str | None, float | None]:
    """The last end, else the last mapped outcome; what was only sent after an end says nothing."""
    if not is_closed:
        return None, None, None
    for event in reversed(journey.events):
        sent_after = event.direction == "outbound" and event.last_end is not None
        if event.is_end or (event.value is not None and not sent_after):
            return event, event.outcome, event.value
    expects = journey.kind.expects_outcome
    return (None, "unresolved", 0.0) if expects else (None, None, None)


def _sizes(journey: Journey) -> Row:
    stages = Counter(step.first.place.stage for step in journey.steps)
    silos = {step.silo for step in journey.steps} - {None}
    inner = [event.activity for event in journey.events if event.is_internal]
    return {
        "n_events": len(journey.events), "n_steps": len(journey.steps),
        "n_sessions": len(journey.visits),
        **{f"n_steps_{stage}": stages[stage] for stage in STAGES},
        "n_channels": len({event.channel for event in journey.events}),
        "n_silos": len(silos), "silos_crossed": len(silos) - 1 if silos else None,
        "rework": len(inner) - len(set(inner)) if inner else None,
    }  # fmt: skip


def _durations(journey: Journey, state: State) -> Row:
    """Seconds; null where the customer's need never began."""
    last, decided = journey.events[-1].us, state.decided
    throughput = resolution = waited = None
    if state.is_measured:
        throughput = max(last - state.started, 0) // SECOND
        if decided is not None and decided.is_end:
            resolution = max(decided.us - state.started, 0) // SECOND
    for event in journey.events:
        waited = added(waited, event.wait_s)
    return {
        "throughput_s": throughput, "busy_s": 0 if state.is_measured else None,
        "idle_s": throughput, "time_to_resolution_s": resolution, "customer_wait_s": waited,
    }  # fmt: skip


def _contacts(journey: Journey) -> Row:
    contacts = [visit for visit in journey.visits if visit.is_contact]
    needed = sum(visit.is_need_driven for visit in contacts)
    driven = len(contacts) - needed + sum(v.n_sales for v in contacts if v.is_inbound)
    found = Counter(piece.kind for piece in journey.pieces)
    return {
        "need_driven_share": needed / (needed + driven) if needed + driven else None,
        "n_contacts": len(contacts), "n_need_driven": needed, "n_company_driven": driven,
        "n_channel_switches": found["channel_switch"], "n_repeat_contacts": journey.n_repeats,
        "n_fallbacks": found["channel_fallback"], "n_reopens": found["reopened"],
        "n_transfers": found["transfer"], "n_escalations": found["escalation"],
        "n_dead_ends": found["dead_end"], "n_abandoned": found["abandonment"],
        "n_info_conflicts": found["info_conflict"],
    }  # fmt: skip


def _handoffs(journey: Journey) -> Row:
    contexts = Counter(one.context.name for one in journey.handoffs)
    return {
        "n_handoffs": len(journey.handoffs),
        **{f"n_handoffs_{name}": contexts[name] for name in CONTEXTS},
        "n_handoffs_dropped": sum(ask.is_dropped for ask in journey.asks),
        "n_ping_pong": sum(one.is_ping_pong for one in journey.handoffs),
    }


def _fields(journey: Journey) -> Row:
    """Re-asks, and the share of the fields needed again that nobody asked again."""
    assert journey.fields is not None
    again = [request for request in journey.requests if request.known is not None]
    first, known, needed = journey.fields.first_observed, set(), set()
    for entries in journey.fields.of_step.values():
        for entry in entries:
            seen = entry.basis == OBSERVED and entry.op != "verify"
            if seen and entry.field in first:
                known.add(entry.field)
                if first[entry.field] < entry.n:
                    needed.add(entry.field)
    reasked = {request.field for request in again if request.basis == OBSERVED}
    return {
        "n_reasked_observed": sum(request.basis == OBSERVED for request in again),
        "n_reasked_declared": sum(request.basis == DECLARED for request in again),
        "n_fields_known": len(known),
        "data_continuity": 1 - len(reasked) / len(needed) if needed else None,
    }


def _promises(journey: Journey) -> Row:
    fates = Counter(promise.status for promise in journey.promises)
    return {
        "n_promises": len(journey.promises),
        **{f"n_promises_{fate}": fates[fate] for fate in FATES},
    }


def _friction(journey: Journey) -> Row:
    pieces = journey.pieces
    journey.hazard = sum(step.hazard for step in journey.steps)
    edges = sum(piece.hazard for piece in pieces if piece.locus == "edge")
    return {
        "n_evidence": len(pieces), "friction_hazard": journey.hazard,
        "friction_score": friction(journey.hazard),
        "friction_score_lo": friction(sum(piece.hazard_lo for piece in pieces)),
        "friction_score_hi": friction(sum(piece.hazard_hi for piece in pieces)),
        "friction_edge_share": edges / journey.hazard if pieces else None,
    }  # fmt: skip


def friction(hazard: float) -> float:
    """F, from 0 to below 100."""
    return min(-100 * math.expm1(-hazard), MOST)


def _health(journey: Journey, state: State) -> Row:
    """Outcome, delivery and their weighted harmonic mean; lo and hi by those of the weights."""
    outcome, delivery = state.outcome01, math.exp(-journey.hazard)
    lighter = math.exp(-sum(piece.hazard_lo for piece in journey.pieces))
    heavier = math.exp(-sum(piece.hazard_hi for piece in journey.pieces))
    return {
        "outcome": state.outcome, "outcome01": outcome, "delivery01": delivery,
        "health_ops": _mean(outcome, delivery), "health_ops_lo": _mean(outcome, heavier),
        "health_ops_hi": _mean(outcome, lighter),
        "limiting_component": _limiting(outcome, delivery),
    }  # fmt: skip


def _mean(outcome: float | None, delivery: float) -> float | None:
    if outcome is None:
        return None
    mine, theirs = HEALTH_WEIGHTS["outcome"], HEALTH_WEIGHTS["delivery"]
    found: float = 100 * (mine + theirs) / (
        mine / max(outcome, COMPONENT_FLOOR) + theirs / max(delivery, COMPONENT_FLOOR)
    )  # fmt: skip
    return found


def _limiting(outcome: float | None, delivery: float) -> str | None:
    """The component that takes more away; none where the outcome is 1 and nothing rubbed."""
    if outcome is None:
        return None
    by_outcome = HEALTH_WEIGHTS["outcome"] * (1 / max(outcome, COMPONENT_FLOOR) - 1)
    by_delivery = HEALTH_WEIGHTS["delivery"] * (1 / max(delivery, COMPONENT_FLOOR) - 1)
    if by_outcome < by_delivery:
        return "delivery"
    return "outcome" if outcome < 1 else None
