"""Friction of contacts that lead nowhere: dead ends, abandonment, customers who help themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rejse.transforms.facts import LEAVES_OPEN
from rejse.transforms.rules import SECOND
from tests.bench.perevent.company import WINDOWS
from tests.bench.perevent.evidence import Piece, between, inside
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.visit import Visit, is_same_need

FAILED = ("error", "no_result", "abandoned")


def dead_ends(journey: Journey) -> Iterator[Piece]:
    """Inbound contacts that failed, after which the customer went elsewhere or gave up."""
    came = [visit for visit in journey.visits if visit.is_inbound]
    for place, visit in enumerate(came):
        if visit.told is not None and visit.outcome in FAILED:
            coming = next((v for v in came[place + 1 :] if is_same_need(visit, v)), None)
            if _gives_up(visit, coming, journey):
                yield inside("dead_end", visit.told)


def _gives_up(visit: Visit, coming: Visit | None, journey: Journey) -> bool:
    """The next contact has another channel; without one the journey is closed."""
    if coming is None:
        return journey.close_reason is not None
    return coming.first.channel != visit.first.channel


def abandonments(journey: Journey) -> Iterator[Piece]:
    """Contacts abandoned, but for those that waited too short a time to count."""
    for visit in journey.visits:
        if visit.told is not None and visit.is_contact and visit.outcome == "abandoned":
            wait = visit.wait_s
            if wait is None or wait * SECOND >= WINDOWS.short_abandon:
                yield inside("abandonment", visit.told)


def self_rescues(journey: Journey) -> Iterator[Piece]:
    """A human who left the problem open, then the customer's own search on the web."""
    for one, other in pairwise(visit for visit in journey.visits if visit.is_inbound):
        alone = other.first.channel == "web" and not other.has_human
        same = one.intent is not None and one.intent == other.intent
        if one.has_human and one.outcome in LEAVES_OPEN and alone and same:
            yield between("self_rescue", one, other)
