"""Join feedback to an event, step and journey by five methods, tried in order
(docs/reference/feedback.md#joins).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    def left(wanted: Categorical) -> Categorical:
        return wanted.recode(np.where(event == NULL, wanted.codes, NULL))

    for name, candidate in _candidates(answers, scored, match, left):
        near = np.asarray(
            (name in NAMED) | (record_time - pick(time, candidate, 0) <= reach.get(name, 0))
        )
        new = (candidate != NULL) & near
        has_passed |= (candidate != NULL) & ~near
        event[new], method[new] = candidate[new], METHODS.index(name)
    whole = method == METHODS.index("journey")
    reasons = [
        ~match.has_events,
        _unknown_name(answers, scored.events, match, left),
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


def _candidates(
    answers: Events, scored: Scored, match: Match, left: Callable[[Categorical], Categorical]
) -> Iterator[tuple[str, Ints]]:
    """Yield, method by method, the matching event of each record, -1 if none.

    Only what is `left` to be joined then is looked for.
    """
    events = scored.events
    target = answers.coded("target")
    for text in (events.refs(), events.column("id")):
        yield "event", match.first(Categorical.among(text, target.names), left(target))
    thread = events.coded("correlationid")
    yield "correlation", match.named(thread, left(answers.coded("correlationid")))
    yield "correlation", match.named(thread, left(target))
    yield "case", match.named(events.coded("case_id"), left(answers.coded("case_id")))
    place = events.coded("touchpoint")
    yield "touchpoint", match.latest(place, left(answers.coded("touchpoint")))
    yield "touchpoint", match.latest(place, left(target))
    kept, kind = ~event_flags.is_pushed(events), answers.coded("journey_type")
    any_customer = Categorical.named(np.where(kept, 0, NULL), ["anybody's"])
    any_type = Categorical.named(np.where(kind.known, NULL, 0), ["anybody's"])
    of_type = scored.journey_type.recode(np.where(kept, scored.journey_type.codes, NULL))
    yield "journey", match.latest(of_type, left(kind))
    yield "journey", match.latest(any_customer, left(any_type))


def _unknown_name(
    answers: Events, events: Events, match: Match, left: Callable[[Categorical], Categorical]
) -> Bools:
    """Return records that name an event, correlation or case; a touchpoint is none of these."""
    target = left(answers.coded("target"))
    place = match.first(events.coded("touchpoint"), target) != NULL
    given = answers.coded("correlationid").known | answers.coded("case_id").known
    return np.asarray(given | (target.known & ~place))


@dataclass(frozen=True)
class Match:
    """Search of events, in total order, by customer and text."""

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

    @property
    def has_events(self) -> Bools:
        """Mask of the records whose customer has events."""
        return np.isin(self.asking, self.customer)

    def latest(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the last event at or before each record with its text, -1 if none."""
        return self._latest(self._candidates(texts, wanted))

    def named(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the last event up to each record with its text, else the first after it."""
        candidates = self._candidates(texts, wanted)
        before = self._latest(candidates)
        return np.where(before != NULL, before, self._first(candidates))

    def first(self, texts: Categorical, wanted: Categorical) -> Ints:
        """Return the first event with each record's text at any time, -1 if none."""
        return self._first(self._candidates(texts, wanted))

    def _candidates(self, texts: Categorical, wanted: Categorical) -> Candidates:
        """Return the events of the customers and texts that records ask for."""
        asking = np.flatnonzero(wanted.known & (self.asking != NULL))
        if not len(asking):
            nothing = np.zeros(0, np.int64)
            return Candidates(nothing, nothing, asking, nothing)
        mine, theirs = texts.aligned(wanted)
        customers, sought = (
            _members(codes, among[asking])
            for codes, among in ((self.customer, self.asking), (mine, theirs))
        )
        rows = np.flatnonzero(sought[mine] & customers[self.customer])
        width = len(sought)
        keys = self.customer[rows] * width + mine[rows]
        order = sorted_by(keys)  # of equal keys in total order, so by time
        theirs_keys = self.asking[asking] * width + theirs[asking]
        return Candidates(keys[order], rows[order], asking, theirs_keys)

    def _latest(self, candidates: Candidates) -> Ints:
        width = len(self.moment) + 1
        keys = candidates.keys * width + self.moment[candidates.rows] + 1
        wanted = candidates.wanted * width + self.until[candidates.asking]
        return self._events(candidates, np.searchsorted(keys, wanted, side="right") - 1)

    def _first(self, candidates: Candidates) -> Ints:
        return self._events(candidates, np.searchsorted(candidates.keys, candidates.wanted))

    def _events(self, candidates: Candidates, at: Ints) -> Ints:
        """Return the event of each record, given the place among candidates where it may be."""
        events = np.full(len(self.asking), NULL, np.int64)
        inside = np.flatnonzero((at >= 0) & (at < len(candidates.keys)))
        same = inside[candidates.keys[at[inside]] == candidates.wanted[inside]]
        events[candidates.asking[same]] = candidates.rows[at[same]]
        return events


@dataclass(frozen=True)
class Candidates:
    """Events in the order of their keys, of customer and text, then of time.

    Attributes:
        keys: Key of each candidate.
        rows: Event of each candidate.
        asking: Records that look for one.
        wanted: Key that each of those looks for.
    """

    keys: Ints
    rows: Ints
    asking: Ints
    wanted: Ints


def _members(codes: Array, among: Array) -> Bools:
    """Return whether each code is one of `among`; the last is that of null, and false."""
    mask = np.zeros(int(max(codes.max(initial=0), among.max(initial=0))) + 2, bool)
    mask[among] = True
    return mask
