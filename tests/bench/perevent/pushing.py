"""Friction of a company that wants to sell: upsell in a problem, too many messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import attrgetter

from rejse.transforms.facts import LEAVES_OPEN
from tests.bench.perevent.company import WINDOWS
from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece, inside
from tests.bench.perevent.journey import Journey


def upsells_in_problem(journey: Journey) -> Iterator[Piece]:
    """Upsell after the customer came and before the first end, or while a problem is open."""
    has_come = is_open = False
    for event in journey.events:
        if event.message_kind == "upsell":
            unended = event.last_end is None
            in_need = has_come and not event.is_end
            if is_open or (unended and (in_need or journey.kind.is_problem)) or _is_quick(event):
                yield inside("upsell_in_problem", event)
        has_come = has_come or event.direction == "inbound"
        is_open = not event.is_end and (is_open or event.outcome in LEAVES_OPEN)


def _is_quick(event: Event) -> bool:
    """In a contact with a stated quick need."""
    return event.visit is not None and event.visit.intent in WINDOWS.quick_intents


def over_pressure(journeys: list[Journey]) -> Iterator[Piece]:
    """Messages that nobody asked for beyond the cap in the window, over all journeys."""
    sent = [event for journey in journeys for event in journey.events if event.is_unasked]
    cap = WINDOWS.pressure_cap
    if len(sent) <= cap:
        return
    sent.sort(key=attrgetter("order"))
    since = until = 0
    for event in sent:
        while sent[since].us <= event.us - WINDOWS.pressure_window:
            since += 1
        while until < len(sent) and sent[until].us <= event.us:
            until += 1
        if until - since > cap:
            excess = (until - since) / cap - 1
            yield inside("over_pressure", event, excess, float(cap), -math.expm1(-excess))
