"""All kinds of friction, each found by walking over visits, events or what they gave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from rejse.transforms.facts import SELF_SERVICE
from rejse.transforms.rules import DAY, LATE_PROMISE_WEIGHT, REASK_CONFIDENCE
from tests.bench.perevent.company import WINDOWS
from tests.bench.perevent.conflicts import info_conflicts
from tests.bench.perevent.dead_ends import abandonments, dead_ends, self_rescues
from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece, between, step_of
from tests.bench.perevent.fields import BASES, DECLARED, by_system, knowing
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.passing import passed_on, ping_pongs
from tests.bench.perevent.promises import Promise
from tests.bench.perevent.pushing import over_pressure, upsells_in_problem
from tests.bench.perevent.visit import Visit, is_same_need
from tests.bench.perevent.work import internal_waits, rework

SATISFIED = ("resolved", "sold", "informed")
HALF_SURE = 0.5
REASK_SCALE = 4
MINUTE_S = 60


def friction(journeys: list[Journey], promises: list[Promise]) -> list[Piece]:
    """All pieces of a customer, not ranked yet."""
    found: list[Piece] = []
    for journey in journeys:
        found += _switches(journey)
        found += _fallbacks(journey)
        found += _fallbacks_inside(journey)
        found += _reasks(journey)
        found += _without_context(journey)
        found += _dropped(journey)
        found += _waits(journey)
        found += _reopenings(journey)
        found += passed_on(journey)
        found += ping_pongs(journey)
        found += info_conflicts(journey)
        found += dead_ends(journey)
        found += abandonments(journey)
        found += self_rescues(journey)
        found += internal_waits(journey)
        found += rework(journey)
        found += upsells_in_problem(journey)
    found += over_pressure(journeys)
    found += _repeats(journeys)
    found += _broken(promises)
    return found


def _switches(journey: Journey) -> Iterator[Piece]:
    """Consecutive personal contacts of different channel families."""
    for one, other in pairwise(visit for visit in journey.visits if visit.is_personal):
        if one.first.family != other.first.family:
            yield between("channel_switch", one, other)


def _fallbacks(journey: Journey) -> Iterator[Piece]:
    """Self-service that did not help, followed by a human."""
    for one, other in pairwise(visit for visit in journey.visits if visit.is_inbound):
        alone = not one.has_human and one.first.channel in SELF_SERVICE
        unsolved = one.outcome not in SATISFIED
        if alone and other.has_human and unsolved and is_same_need(one, other):
            yield between("channel_fallback", one, other, 1.0 if one.outcome else HALF_SURE)


def _fallbacks_inside(journey: Journey) -> Iterator[Piece]:
    """A chatbot that gives over to a human within a visit, before anything was solved."""
    for visit in journey.visits:
        events = visit.events
        at = next((i for i, event in enumerate(events) if event.is_by_human), 0)
        before = events[:at]
        if not visit.is_inbound or not any(event.channel == "chatbot" for event in before):
            continue
        human, said = events[at], next((e.outcome for e in reversed(before) if e.outcome), None)
        if said not in SATISFIED:
            step = next((e.step for e in reversed(before) if e.step is not human.step), None)
            yield Piece(
                "channel_fallback", step_of(human), step, human, before[-1], human.us,
                confidence=1.0 if said else HALF_SURE,
            )  # fmt: skip


def _repeats(journeys: list[Journey]) -> Iterator[Piece]:
    """Inbound contacts of an intent within the window of the last; the journey counts them all."""
    came = [
        (visit.first.order, visit, journey)
        for journey in journeys
        for visit in journey.visits
        if visit.is_inbound and visit.intent
    ]
    latest: dict[str | None, Visit] = {}
    for _, visit, journey in sorted(came, key=lambda one: one[0]):
        before, latest[visit.intent] = latest.get(visit.intent), visit
        if before is not None and visit.first.us - before.first.us <= WINDOWS.repeat:
            journey.n_repeats += 1
            if before.outcome not in (None, "informed"):
                yield between("repeat_contact", before, visit)


def _reasks(journey: Journey) -> Iterator[Piece]:
    """Fields asked again: one piece a step, basis and system that knew them."""
    for again in by_system(journey.requests):
        first = min(again, key=lambda r: (r.event.n, r.known.n if r.known else -1))
        n, event, step = len(again), first.event, first.step
        yield Piece(
            "reasked_info", step, step.previous, event, first.known, event.us, float(n),
            intensity=-math.expm1(-n / REASK_SCALE),
            confidence=REASK_CONFIDENCE[BASES[first.basis]],
            basis=first.basis, detail=knowing(first),
        )  # fmt: skip


def _without_context(journey: Journey) -> Iterator[Piece]:
    """Hand-offs on which not all that was known went over."""
    for one in journey.handoffs:
        context, event = one.context, one.receiver.first
        if context.name in ("none", "part"):
            n, sure = context.n_known, REASK_CONFIDENCE[BASES[int(context.is_declared)]]
            yield Piece(
                "handoff_without_context", one.receiver, one.giver, event, one.giver.last,
                event.us, float(n - context.n_passed), float(n),
                confidence=(1 - context.n_passed / n) * sure,
                basis=DECLARED if context.is_declared else 0,
            )  # fmt: skip


def _dropped(journey: Journey) -> Iterator[Piece]:
    """Hand-offs asked for that nobody took up in time."""
    for ask in journey.asks:
        if ask.is_dropped:
            step, receiver = ask.step, ask.event.to_owner
            yield Piece("handoff_dropped", step, step, ask.event, None, ask.due, detail=receiver)


def _waits(journey: Journey) -> Iterator[Piece]:
    """Waiting beyond what the touchpoint lets expect."""
    for event in journey.events:
        wait, usual = event.wait_s, event.place.expected_wait_s
        if wait is not None and usual is not None and wait > usual:
            excess = (wait - usual) / max(usual, 1.0)
            yield Piece(
                "customer_wait", step_of(event), None, event, None, event.us, excess, usual,
                intensity=-math.expm1(-excess), minutes=wait / MINUTE_S,
            )  # fmt: skip


def _broken(promises: list[Promise]) -> Iterator[Piece]:
    """Promises kept late or not at all."""
    for one in promises:
        if one.status not in ("late", "broken"):
            continue
        event, us = one.made, one.made.us if one.due is None else one.due
        days = (one.delivered.us - us) / DAY if one.delivered and one.due is not None else None
        weight = LATE_PROMISE_WEIGHT if one.status == "late" else 0.0
        yield Piece(
            "promise_broken", step_of(event), None, event, None, us, 1.0, days,
            detail=one.status, weight=weight,
        )  # fmt: skip


def _reopenings(journey: Journey) -> Iterator[Piece]:
    """The customer comes back with the same need after an end: once an end."""
    ends: set[int] = set()
    for event in journey.events:
        end = event.last_end
        if end is not None and end.n not in ends and _reopens(event, end):
            ends.add(end.n)
            judged = any(later.is_judgement for later in journey.events[end.n + 1 :])
            yield Piece(
                "reopened", step_of(event), None, event, end, event.us,
                confidence=1.0 if judged else HALF_SURE,
            )  # fmt: skip


def _reopens(event: Event, end: Event) -> bool:
    if event.direction != "inbound" or event.is_end:
        return False
    visit, ended = event.visit, end.visit
    near = WINDOWS.session_gap < event.us - end.us <= event.kind.reopen_window
    assert visit is not None and ended is not None
    return near and visit is not ended and is_same_need(visit, ended)
