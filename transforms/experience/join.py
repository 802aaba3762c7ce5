"""Which event, step and journey an X-record is about: five ways, tried in order (9-rules)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rejse.transforms import facts, schema
from rejse.transforms.arrays import NULL, Bools, Ints, arrow
from rejse.transforms.events import Coded, Events
from rejse.transforms.order import sorted_by
from rejse.transforms.rules import SECOND, Windows
from rejse.transforms.segments import Array, distinct, pick
from rejse.transforms.sessionise import Spine

METHODS = ("event", "correlation", "case", "touchpoint", "journey")


@dataclass(frozen=True)
class Scored:
    """Scored events of the customers who said something, in total order, and where each is.

    `step` and `journey` are rows of the published tables `steps` and `journeys`.
    """

    events: Events
    step: Ints
    journey: Ints
    journey_type: Coded

    @classmethod
    def of(cls, spine: Spine, customers: Coded, kind: Coded) -> Scored:
        """The events of some customers; `kind` is the type of each journey."""
        people = customers.names.take(arrow(distinct(customers.codes[customers.known])))
        theirs = spine.events.coded(schema.CUSTOMER_KEY).within(people).known
        in_order = np.empty(spine.events.n, np.int64)
        in_order[spine.rank] = np.arange(spine.events.n)
        rows = in_order[theirs[in_order]]
        journey = spine.journeys.ids[rows]
        return cls(spine.events.rows(rows), spine.steps.ids[rows], journey, kind.rows(journey))


@dataclass(frozen=True)
class Joined:
    """What each X-record is about: rows of events, steps and journeys, -1 if nothing was found.

    `method` is the place in METHODS; `gap_s` counts from the event to the record, and is negative
    where the target lies after it. A record that was joined by `journey` has no step.
    """

    method: Ints
    event: Ints
    step: Ints
    journey: Ints
    gap_s: Ints

    @property
    def found(self) -> Bools:
        """Records that are about something known."""
        return np.asarray(self.event != NULL)


def join(answers: Events, scored: Scored, windows: Windows) -> Joined:
    """Join X-records to events: by target event, correlation, case, touchpoint, journey.

    Each takes the latest matching event at or before the record, at most `x_limit` before it (by
    touchpoint `x_touchpoint`, by journey `survey`); a target event is the one it names and may lie
    after. A target may also name a correlation or a touchpoint. By journey means: the customer's
    latest event that is no pushed message, of the journey type that the record names, if it names
    one; its journey was open then, or had ended last.
    """
    n, time, when = answers.n, scored.events.time, answers.time
    event, method = np.full(n, NULL, np.int64), np.full(n, NULL, np.int64)
    reach = {"touchpoint": windows.x_touchpoint, "journey": windows.survey}
    for name, found in _candidates(answers, scored):
        gap = when - pick(time, found, 0)
        new = (event == NULL) & (found != NULL) & (gap <= reach.get(name, windows.x_limit))
        event[new], method[new] = found[new], METHODS.index(name)
    whole = method == METHODS.index("journey")
    return Joined(
        method=method,
        event=event,
        step=np.where(whole, NULL, pick(scored.step, event)),
        journey=pick(scored.journey, event),
        gap_s=(when - pick(time, event, 0)) // SECOND,
    )


def _candidates(answers: Events, scored: Scored) -> Iterator[tuple[str, Ints]]:
    """Method by method the event found for each record, -1 if none."""
    events, match = scored.events, Match.of(answers, scored.events)
    target = answers.coded("target")
    for text in (events.refs(), events.column("id")):
        yield "event", match.first(Coded.among(text, target.names), target)
    for method, name in (
        ("correlation", "correlationid"), ("case", "case_id"), ("touchpoint", "touchpoint"),
    ):  # fmt: skip
        of_event = events.coded(name)
        yield method, match.latest(of_event, answers.coded(name))
        if method != "case":
            yield method, match.latest(of_event, target)
    kept, kind = ~facts.is_pushed(events), answers.coded("journey_type")
    everyone = Coded.named(np.where(kept, 0, NULL), ["anybody's"])
    any_type = Coded.named(np.where(kind.known, NULL, 0), ["anybody's"])
    of_type = scored.journey_type.recode(np.where(kept, scored.journey_type.codes, NULL))
    yield "journey", match.latest(of_type, kind)
    yield "journey", match.latest(everyone, any_type)


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
        mine, theirs = events.coded(schema.CUSTOMER_KEY).aligned(answers.coded(schema.CUSTOMER_KEY))
        by_time = sorted_by(events.time)  # of equal times as they are, in total order
        moment = np.empty(events.n, np.int64)
        moment[by_time] = np.arange(events.n)
        until = np.searchsorted(events.time[by_time], answers.time, side="right")
        return cls(mine.astype(np.int64), theirs.astype(np.int64), moment, until)

    def latest(self, texts: Coded, wanted: Coded) -> Ints:
        """Last event in total order at or before each record with its text, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        width = len(self.moment) + 1
        keys = mine * width + self.moment[rows] + 1
        order = sorted_by(keys)
        at = np.searchsorted(keys[order], theirs * width + self.until, side="right") - 1
        return self._same(mine[order], theirs, rows[order], at)

    def first(self, texts: Coded, wanted: Coded) -> Ints:
        """First event in total order with each record's text, whenever, -1 if none."""
        mine, theirs, rows = self._keys(texts, wanted)
        order = sorted_by(mine)
        at = np.searchsorted(mine[order], theirs, side="left")
        return self._same(mine[order], theirs, rows[order], at)

    def _keys(self, texts: Coded, wanted: Coded) -> tuple[Ints, Ints, Ints]:
        """Codes of (customer, text): of the events that may be found, of the records; and rows."""
        mine, theirs = texts.aligned(wanted)
        width = int(max(mine.max(initial=0), theirs.max(initial=0))) + 1
        sought = np.zeros(width + 1, bool)  # the last for null
        sought[theirs[theirs != NULL]] = True
        rows = np.flatnonzero(sought[mine])
        own = self.customer[rows] * width + mine[rows]
        asked = (theirs != NULL) & (self.asking != NULL)
        return own, np.where(asked, self.asking * width + theirs, NULL), rows

    @staticmethod
    def _same(mine: Array, theirs: Array, rows: Ints, at: Ints) -> Ints:
        inside = (at >= 0) & (at < len(mine)) & (theirs != NULL)
        if not len(mine):
            return np.full(len(theirs), NULL, np.int64)
        here = np.where(inside, at, 0)
        return np.where(inside & (mine[here] == theirs), rows[here], NULL)
