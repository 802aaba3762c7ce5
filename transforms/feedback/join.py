"""Join feedback to an event, step and journey by five methods, tried in order
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
#: Methods by an id that the record gives; the others match by touchpoint or type, and time.
NAMED = ("event", "correlation", "case")
#: Why a record is not joined, the first that holds: its customer has no event; it names an event, a
#: conversation or a case that no event of the customer has; matching events are too long ago; no
#: matching event is at or before it.
UNJOINED = ("no_event", "unknown_name", "window_passed", "nothing_before")


@dataclass(frozen=True)
class Scored:
    """Events of customers with feedback, in total order, with their step and journey.

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
        """Select the events of some customers; `kind` is the type of each journey."""
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
    """Event, step and journey row of each feedback record, -1 if it is not joined.

    `method` is the place in METHODS, `unjoined` that in UNJOINED, -1 where joined. `gap_s` is the
    time from event to record in seconds, negative where the event is later. A record joined by
    `journey` has no step.
    """

    method: Ints
    event: Ints
    step: Ints
    journey: Ints
    gap_s: Ints
    unjoined: Ints

    @property
    def is_joined(self) -> Bools:
        """Records joined to an event."""
        return np.asarray(self.event != NULL)


def join(answers: Events, scored: Scored, windows: Windows) -> Joined:
    """Join feedback to events: by target event, correlation, case, touchpoint, journey.

    An id that a record names is followed however old the event: the first event of its target, else
    the latest event of its correlation or case at or before it, else the first after it. A target
    may also name a correlation or a touchpoint. The other methods take the latest matching event at
    or before the record: by touchpoint at most `x_touchpoint` before it, by journey at most
    `survey`. By journey matches events that are no pushed messages, of the journey type that the
    record names, if it names one.
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
    """Yield, method by method, the matching event of each record, -1 if none."""
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
    """Return one text for all events and all records."""
    events, answers = (np.zeros(n, np.int64) for n in (n_events, n_answers))
    return Categorical.named(events, ["anybody's"]), Categorical.named(answers, ["anybody's"])


def _unknown_name(answers: Events, events: Events, match: Match) -> Bools:
    """Return records that name an event, correlation or case; a touchpoint is none of these."""
    target = answers.coded("target")
    place = match.first(events.coded("touchpoint"), target) != NULL
    given = answers.coded("correlationid").known | answers.coded("case_id").known
    return np.asarray(given | (target.known & ~place))


@dataclass(frozen=True)
class Match:
    """Search of events by customer and text in sorted keys."""

    customer: Ints  # of each event
    asking: Ints  # of each record, in the same codes
    moment: Ints  # place of each event among all by their times
    until: Ints  # number of events at or before each record

    @classmethod
    def of(cls, answers: Events, events: Events) -> Match:
        """Encode customers and times of both sides alike."""
        mine, theirs = events.coded(contract.CUSTOMER_KEY).aligned(
            answers.coded(contract.CUSTOMER_KEY)
        )
        by_time = sorted_by(events.time)  # of equal times as they are, in total order
        moment = np.empty(events.n, np.int64)
        moment[by_time] = np.arange(events.n)
        until = np.searchsorted(events.time[by_time], answers.time, side="right")
        return cls(mine.astype(np.int64), theirs.astype(np.int64), moment, until)

    def latest(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the last event at or before each record with its text, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        width = len(self.moment) + 1
        keys = mine * width + self.moment[rows] + 1
        order = sorted_by(keys)
        at = np.searchsorted(keys[order], theirs * width + self.until, side="right") - 1
        return self._same(mine[order], theirs, rows[order], at)

    def named(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the last event up to each record with its text, else the first after it."""
        before = self.latest(texts, wanted)
        return np.where(before != NULL, before, self.first(texts, wanted))

    def first(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the first event with each record's text at any time, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        order = sorted_by(mine)
        at = np.searchsorted(mine[order], theirs, side="left")
        return self._same(mine[order], theirs, rows[order], at)

    def _keys(self, texts: Categorical, wanted: Categorical) -> tuple[Ints, Ints, Ints]:
        """Return (customer, text) codes of candidate events and of records, and event rows."""
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
