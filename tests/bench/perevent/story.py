"""One customer's story: all parts in the order in which they rest on each other."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from tests.bench.perevent.company import WINDOWS, Company
from tests.bench.perevent.event import Event
from tests.bench.perevent.evidence import Piece, rank
from tests.bench.perevent.fields import fields, requests
from tests.bench.perevent.friction import friction
from tests.bench.perevent.handoffs import asks, handoffs
from tests.bench.perevent.intake import Row
from tests.bench.perevent.journey import Journey, journeys
from tests.bench.perevent.promises import Promise, promises
from tests.bench.perevent.scores import journey_row
from tests.bench.perevent.step import steps
from tests.bench.perevent.visit import visits


@dataclass(slots=True)
class Story:
    """All that is published of a customer; `rows` are the journeys, scored."""

    journeys: list[Journey]
    promises: list[Promise]
    pieces: list[Piece]
    rows: list[Row]


def tell(customer: str, rows: list[Row], company: Company, frontier: int) -> Story:
    """The story of a customer's rows, each id once; `frontier` is the latest time of the log."""
    passed = frontier - WINDOWS.lateness
    events = sorted((Event.of(row, company) for row in rows), key=attrgetter("us", "id"))
    found = journeys(customer, events)
    for journey in found:
        journey.close(passed)
        journey.visits = visits(journey)
        journey.steps = steps(journey)
        journey.fields = fields(journey, company)
        journey.requests = requests(journey, journey.fields)
        journey.handoffs = handoffs(journey, journey.fields)
        journey.asks = asks(journey, passed)
    made = promises(found, passed)
    for promise in made:
        promise.journey.promises.append(promise)
    pieces = rank(friction(found, made))
    return Story(found, made, pieces, [journey_row(one, company, passed) for one in found])
