"""Published rows of a customer's story: (table, row), times in microseconds."""

from __future__ import annotations

from collections.abc import Iterator

from rejse.transforms.rules import SECOND
from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece
from tests.bench.perevent.fields import BASES, Request
from tests.bench.perevent.handoffs import Ask, Handoff
from tests.bench.perevent.intake import Row
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.promises import Promise
from tests.bench.perevent.scores import friction
from tests.bench.perevent.step import Step
from tests.bench.perevent.story import Story
from tests.bench.perevent.visit import Visit


def rows(customer: str, events: list[Row], story: Story) -> Iterator[tuple[str, Row]]:
    """All rows of a customer, each with the name of its table."""
    for event in events:
        yield "events", {"customer_key": customer, **event}
    for row in story.rows:
        yield "journeys", row
    for journey in story.journeys:
        for step in journey.steps:
            yield "steps", _step(step)
        for visit in journey.visits:
            yield "sessions", _session(journey, visit)
        yield from _handoffs(journey)
        for request in journey.requests:
            yield "info_requests", _request(request)
    for piece in story.pieces:
        yield "friction_evidence", _evidence(piece)
    for promise in story.promises:
        yield "promises", _promise(promise)


def _of(journey: Journey) -> Row:
    """What every row says of its journey."""
    return {
        "journey_id": journey.id, "customer_key": journey.customer, "is_final": journey.is_final,
    }  # fmt: skip


def _id(step: Step | None) -> str | None:
    return None if step is None else step.id


def _step(step: Step) -> Row:
    first, last, before = step.first, step.last, step.previous
    return {
        **_of(step.journey), "step_id": step.id, "seq": step.seq,
        "session_id": first.visit.id if first.visit else None,
        "event_ids": [event.name for event in step.events], "touchpoint": first.touchpoint,
        "activity": first.activity, "channel": first.channel, "direction": first.direction,
        "actor_type": first.actor_type, "stage": first.place.stage, "owner": step.owner,
        "team": step.team, "silo": step.silo, "system": first.system,
        "intent": step.intent, "started_at": first.us, "ended_at": last.us,
        "n_events": len(step.events), "outcome": step.outcome,
        "is_moment_of_truth": first.place.is_moment_of_truth, "is_pushed": first.is_pushed,
        "wait_before_s": max(first.us - before.last.us, 0) // SECOND if before else None,
        "queue_s": step.queue_s, "processing_s": (last.us - first.us) // SECOND,
        "n_reasked": step.n_reasked, "hazard": step.hazard, "friction": friction(step.hazard),
    }  # fmt: skip


def _session(journey: Journey, visit: Visit) -> Row:
    first = visit.first
    return {
        **_of(journey), "session_id": visit.id, "seq": visit.seq, "channel_family": first.family,
        "is_contact": visit.is_contact, "is_message": first.is_message,
        "direction": visit.direction, "is_need_driven": visit.is_need_driven,
        "channel": first.channel, "intent": visit.intent, "outcome": visit.outcome,
        "has_human": visit.has_human, "has_machine": visit.has_machine,
        "n_events": len(visit.events), "talk_s": visit.talk_s, "wait_s": visit.wait_s,
        "started_at": first.us, "ended_at": visit.last.us,
    }  # fmt: skip


def _evidence(piece: Piece) -> Row:
    step, before = piece.step, piece.previous
    # Where no step follows, the edge ends where it begins, and leads to whom was asked.
    receiver = piece.event.to_owner if before is step else step.owner if before else None
    proof = [piece.event.name] if piece.earlier is None else [piece.earlier.name, piece.event.name]
    number = f"-{piece.number}" if piece.number > 1 else ""
    owner = step.owner if before is None else before.owner
    return {
        **_of(step.journey), "evidence_id": f"{step.id}-{piece.kind}{number}", "step_id": step.id,
        "prev_step_id": _id(before), "kind": piece.kind, "locus": piece.locus,
        "owner": owner, "owner_to": receiver, "touchpoint": step.touchpoint,
        "occurred_at": piece.us, "basis": BASES[piece.basis],
        "raw_value": piece.raw, "expected_value": piece.expected, "base_weight": piece.weight,
        "intensity": piece.intensity, "confidence": piece.confidence, "severity": piece.severity,
        "kind_rank": piece.rank, "hazard": piece.hazard,
        "share": piece.hazard / step.journey.hazard, "minutes_customer": piece.minutes,
        "event_ids": proof, "detail": piece.detail,
    }  # fmt: skip


def _handoffs(journey: Journey) -> Iterator[tuple[str, Row]]:
    """Hand-offs seen, with the due time of what they take up; those asked for and not taken."""
    due_of: dict[int, int] = {}
    for ask in journey.asks:
        if ask.received is None or ask.received.step is None:
            yield "handoffs", _asked(journey, ask)
        else:
            taken = ask.received.step.seq
            due_of[taken] = min(ask.due, due_of.get(taken, ask.due))
    for one in journey.handoffs:
        yield "handoffs", _seen(journey, one, due_of.get(one.receiver.seq))


def _asked(journey: Journey, ask: Ask) -> Row:
    giver, event = ask.step, ask.event
    return {
        **_of(journey), "handoff_id": f"{giver.id}-to-{event.name}", "from_step": giver.id,
        "from_owner": giver.owner, "to_owner": event.to_owner, "from_team": giver.team,
        "from_channel": giver.first.channel, "occurred_at": event.us, "basis": BASES[0],
        "is_dropped": True if ask.is_dropped else None, "is_ping_pong": False, "due_at": ask.due,
    }  # fmt: skip


def _seen(journey: Journey, one: Handoff, due: int | None) -> Row:
    giver, receiver, context = one.giver, one.receiver, one.context
    return {
        **_of(journey), "handoff_id": receiver.id, "from_step": giver.id, "to_step": receiver.id,
        "from_owner": giver.owner, "to_owner": receiver.owner, "from_team": giver.team,
        "to_team": receiver.team, "from_channel": giver.first.channel,
        "to_channel": receiver.first.channel, "occurred_at": receiver.first.us,
        "latency_s": max(receiver.first.us - giver.last.us, 0) // SECOND,
        "n_fields_known": context.n_known, "n_fields_passed": context.n_passed,
        "n_fields_reasked": context.n_again, "context": context.name,
        "basis": BASES[int(context.is_declared)], "is_dropped": None if due is None else False,
        "is_ping_pong": one.is_ping_pong, "due_at": due,
    }  # fmt: skip


def _request(request: Request) -> Row:
    step, event, known = request.step, request.event, request.known
    return {
        **_of(step.journey), "step_id": step.id, "field": request.field,
        "touchpoint": step.touchpoint, "owner": step.owner, "system_asking": event.system,
        **_source(known), "occurred_at": event.us, "is_reask": known is not None,
        "value_agrees": request.agrees, "basis": BASES[request.basis],
    }  # fmt: skip


def _source(known: Event | None) -> Row:
    if known is None:
        return {}
    return {
        "system_known": known.system, "known_step_id": _id(known.step), "known_since": known.us,
    }  # fmt: skip


def _promise(promise: Promise) -> Row:
    made, due, delivered = promise.made, promise.due, promise.delivered
    at = None if delivered is None else delivered.us
    late = at is not None and due is not None and at > due
    return {
        **_of(promise.journey), "promise_id": promise.id, "step_id": _id(made.step),
        "kind": promise.kind, "made_by": made.actor_type, "owner": made.owner,
        "made_at": made.us, "due_at": due, "delivered_at": at, "status": promise.status,
        "lateness_s": (at - due) // SECOND if late and at and due is not None else None,
        "n_moves": promise.n_moves,
    }  # fmt: skip
