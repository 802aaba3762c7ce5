"""Which event, step and journey an X-record is about: five ways, tried in order
(docs/reference/feedback.md#joins).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, arrow
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Array, distinct, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import SECOND, Windows

METHODS = ("event", "correlation", "case", "touchpoint", "journey")
#: Ways that follow a name the record gives; the others guess by place and time.
NAMED = ("event", "correlation", "case")
#: Why a record joins nothing, the first that holds: its customer has no event; it names an event, a
#: conversation or a case that no event of the customer has; what is near enough in kind is too long
#: ago; nothing of its kind lies at or before it.
UNJOINED = ("no_event", "unknown_name", "window_passed", "nothing_before")


@dataclass(frozen=True)
class Scored:
    """Scored events of the customers who said something, in total order, and where each is.

    `step` and `journey` are rows of the published tables `steps` and `journeys`.
    """

    events: Events
    step: Ints
    journey: Ints
    journey_type: Categorical

    @classmethod
    def of(
        cls, sessionised: SessionisedEvents, customers: Categorical, kind: Categorical
    ) -> Scored:
        """The events of some customers; `kind` is the type of each journey."""
        people = customers.names.take(arrow(distinct(customers.codes[customers.known])))
        theirs = sessionised.events.coded(contract.CUSTOMER_KEY).within(people).known
        in_order = np.empty(sessionised.events.n, np.int64)
        in_order[sessionised.rank] = np.arange(sessionised.events.n)
        rows = in_order[theirs[in_order]]
        journey = sessionised.journeys.ids[rows]
        return cls(
            sessionised.events.rows(rows), sessionised.steps.ids[rows], journey, kind.rows(journey)
        )


@dataclass(frozen=True)
class Joined:
    """What each X-record is about: rows of events, steps and journeys, -1 if nothing was found.

    `method` is the place in METHODS; `gap_s` counts from the event to the record, and is negative
    where the target lies after it. A record that was joined by `journey` has no step. `unjoined` is
    the place in UNJOINED of the reason why nothing was found, -1 where something was.
    """

    method: Ints
    event: Ints
    step: Ints
    journey: Ints
    gap_s: Ints
    unjoined: Ints

    @property
    def is_joined(self) -> Bools:
        """Records that are about something known."""
        return np.asarray(self.event != NULL)


def join(answers: Events, scored: Scored, windows: Windows) -> Joined:
    """Join X-records to events: by target event, correlation, case, touchpoint, journey.

    What a record names it is about however long ago that was: the first event of the name of its
    target, else the latest event of its correlation or case at or before it, else the first after.
    Guesses take the latest matching event at or before the record, by touchpoint at most
    `x_touchpoint` before it, by journey `survey`. A target may also name a correlation or a
    touchpoint. By journey means: the customer's latest event that is no pushed message, of the
    journey type that the record names, if it names one; its journey was open then, or had ended
    last.
    """
    n, time, record_time = answers.n, scored.events.time, answers.time
    event, method = np.full(n, NULL, np.int64), np.full(n, NULL, np.int64)
    has_passed = np.zeros(n, bool)
    reach = {"touchpoint": windows.x_touchpoint, "journey": windows.survey}
    match = Match.of(answers, scored.events)
    for name, candidate in _candidates(answers, scored, match):
        near = np.asarray(
            (name in NAMED) | (record_time - pick(time, candidate, 0) <= reach.get(name, 0))
        )
        new = (event == NULL) & (candidate != NULL) & near
        has_passed |= (candidate != NULL) & ~near
        event[new], method[new] = candidate[new], METHODS.index(name)
    whole = method == METHODS.index("journey")
    reasons = [
        match.first(*_constant(scored.events.n, n)) == NULL,
        _unknown_name(answers, scored.events, match),
        has_passed,
    ]
    return Joined(
        method=method,
        event=event,
        step=np.where(whole, NULL, pick(scored.step, event)),
        journey=pick(scored.journey, event),
        gap_s=(record_time - pick(time, event, 0)) // SECOND,
        unjoined=np.where(event == NULL, np.select(reasons, [0, 1, 2], 3), NULL),
    )


def _candidates(answers: Events, scored: Scored, match: Match) -> Iterator[tuple[str, Ints]]:
    """Method by method the event found for each record, -1 if none."""
    events = scored.events
    target = answers.coded("target")
    for text in (events.refs(), events.column("id")):
        yield "event", match.first(Categorical.among(text, target.names), target)
    thread = events.coded("correlationid")
    yield "correlation", match.named(thread, answers.coded("correlationid"))
    yield "correlation", match.named(thread, target)
    yield "case", match.named(events.coded("case_id"), answers.coded("case_id"))
    place = events.coded("touchpoint")
    yield "touchpoint", match.latest(place, answers.coded("touchpoint"))
    yield "touchpoint", match.latest(place, target)
    kept, kind = ~event_flags.is_pushed(events), answers.coded("journey_type")
    any_customer = Categorical.named(np.where(kept, 0, NULL), ["anybody's"])
    any_type = Categorical.named(np.where(kind.known, NULL, 0), ["anybody's"])
    of_type = scored.journey_type.recode(np.where(kept, scored.journey_type.codes, NULL))
    yield "journey", match.latest(of_type, kind)
    yield "journey", match.latest(any_customer, any_type)


def _constant(n_events: int, n_answers: int) -> tuple[Categorical, Categorical]:
    """One text for all events and all records."""
    events, answers = (np.zeros(n, np.int64) for n in (n_events, n_answers))
    return Categorical.named(events, ["anybody's"]), Categorical.named(answers, ["anybody's"])


def _unknown_name(answers: Events, events: Events, match: Match) -> Bools:
    """Records not joined by a name though they give one; a touchpoint is none."""
    target = answers.coded("target")
    place = match.first(events.coded("touchpoint"), target) != NULL
    given = answers.coded("correlationid").known | answers.coded("case_id").known
    return np.asarray(given | (target.known & ~place))


@dataclass(frozen=True)
class Match:
    """Looks up events of the same customer and text, by one search in sorted keys."""

    customer: Ints  # of each event
    asking: Ints  # of each record, in the same codes
    moment: Ints  # place of each event among all by their times
    until: Ints  # how many of them lie at or before each record

    @classmethod
    def of(cls, answers: Events, events: Events) -> Match:
        """Put customers and times of both sides on common codes."""
        mine, theirs = events.coded(contract.CUSTOMER_KEY).aligned(
            answers.coded(contract.CUSTOMER_KEY)
        )
        by_time = sorted_by(events.time)  # of equal times as they are, in total order
        moment = np.empty(events.n, np.int64)
        moment[by_time] = np.arange(events.n)
        until = np.searchsorted(events.time[by_time], answers.time, side="right")
        return cls(mine.astype(np.int64), theirs.astype(np.int64), moment, until)

    def latest(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Last event in total order at or before each record with its text, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        width = len(self.moment) + 1
        keys = mine * width + self.moment[rows] + 1
        order = sorted_by(keys)
        at = np.searchsorted(keys[order], theirs * width + self.until, side="right") - 1
        return self._same(mine[order], theirs, rows[order], at)

    def named(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Last event at or before each record with its text, else the first after it."""
        before = self.latest(texts, wanted)
        return np.where(before != NULL, before, self.first(texts, wanted))

    def first(self, texts: Categorical, wanted: Categorical) -> Ints:
        """First event in total order with each record's text, whenever, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        order = sorted_by(mine)
        at = np.searchsorted(mine[order], theirs, side="left")
        return self._same(mine[order], theirs, rows[order], at)

    def _keys(self, texts: Categorical, wanted: Categorical) -> tuple[Ints, Ints, Ints]:
        """Codes of (customer, text): of the events that may be found, of the records; and rows."""
        mine, theirs = texts.aligned(wanted)
        width = int(max(mine.max(initial=0), theirs.max(initial=0))) + 1
        sought = np.zeros(width + 1, bool)  # the last for null
        sought[theirs[theirs != NULL]] = True
        rows = np.flatnonzero(sought[mine])
        own = self.customer[rows] * width + mine[rows]
        has_key = (theirs != NULL) & (self.asking != NULL)
        return own, np.where(has_key, self.asking * width + theirs, NULL), rows

    @staticmethod
    def _same(mine: Array, theirs: Array, rows: Ints, at: Ints) -> Ints:
        inside = (at >= 0) & (at < len(mine)) & (theirs != NULL)
        if not len(mine):
            return np.full(len(theirs), NULL, np.int64)
        here = np.where(inside, at, 0)
        return np.where(inside & (mine[here] == theirs), rows[here], NULL)
