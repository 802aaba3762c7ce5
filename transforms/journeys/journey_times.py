"""Start, end and busy time of journeys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints
from rejse.transforms.columnar.event_table import Events
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema.parameters import SECOND

_FAR = np.iinfo(np.int64).max
#: Fields (seconds) that add up to the handle time of an event.
HANDLED = ("talk_s", "hold_s", "wrap_s")


@dataclass(frozen=True)
class JourneyTimes:
    """Start, end and busy time of each journey, in microseconds."""

    started: Ints
    has_start: Bools
    ended: Ints
    busy: Ints


def journey_times(sessionised: SessionisedEvents) -> JourneyTimes:
    """Return the start, end and busy time of each journey.

    A journey starts with its first need-driven or internal activity, else with its first activity.
    Busy time is the length of the union of its activities' intervals from then on.
    """
    journeys, events = sessionised.journeys, sessionised.events
    drives = event_flags.is_need_driven(events) | events.is_any("direction", "internal")
    begin, end = intervals(sessionised)
    has_start = journeys.any(drives)
    counts = drives | ~journeys.broadcast(has_start)
    started = journeys.min(np.where(counts, begin, _FAR))
    ended = np.maximum(journeys.max(end), started)
    if begin is end:
        return JourneyTimes(started, has_start, ended, np.zeros(len(journeys), np.int64))
    since = journeys.broadcast(started)
    return JourneyTimes(
        started,
        has_start,
        ended,
        _union(journeys, np.maximum(begin, since), np.maximum(end, since)),
    )


def intervals(sessionised: SessionisedEvents) -> tuple[Ints, Ints]:
    """Return the start and end of each event, in microseconds.

    These are its start_time and end_time, else its time. Events of one activity, matched by
    `activity_id` or as start and complete (`_pairs`), share the span of the activity. An event
    without any of these lasts for its handle time: from its time on, or up to it where it is logged
    as complete. Returns the same array twice where no event has a duration.
    """
    events = sessionised.events
    (start, has_start), (stop, has_stop) = events.number("start_time"), events.number("end_time")
    instance, handled = events.coded("activity_id"), _handled(events)
    alone = ~(has_start | has_stop | instance.known)
    begun, done = _pairs(sessionised, alone)
    if alone.all() and not len(begun) and not handled.any():
        return events.time, events.time
    logged = np.where(has_stop, np.minimum(events.time, stop), events.time)
    begin = np.where(has_start, start, logged)
    end = np.where(has_stop, stop, np.maximum(events.time, begin))
    begin[done], end[begun] = begin[begun], end[done]
    if instance.known.any():
        same = sessionised.journeys.ids * (len(instance.names) + 1) + instance.codes
        row = np.arange(events.n) + int(same.max(initial=0)) + 1
        groups = Groups.of(np.where(instance.known, same, row))
        # An activity of one event is treated as an event without an activity_id.
        alone |= (groups.broadcast(groups.lengths) == 1) & ~(has_start | has_stop)
        begin, end = groups.broadcast(groups.min(begin)), groups.broadcast(groups.max(end))
    alone[begun] = alone[done] = False
    taken = np.where(alone, handled, 0)
    before = events.is_any("lifecycle", "complete")
    return begin - np.where(before, taken, 0), end + np.where(before, 0, taken)


def _handled(events: Events) -> Ints:
    """Return the handle time (talk, hold, wrap-up) of each event, in microseconds."""
    out = np.zeros(events.n, np.int64)
    for name in HANDLED:
        value, known = events.number(name)
        out += np.where(known, value, 0)
    return out * SECOND


def _pairs(sessionised: SessionisedEvents, alone: Bools) -> tuple[Ints, Ints]:
    """Return the rows of starts and of the completes that end them, among the events `alone`.

    Starts and completes of one journey, activity, owner and resource are paired in time order, at
    equal times a start first: the first start with the first complete after it. Unpaired events
    have no duration. An event without a lifecycle is complete.
    """
    events = sessionised.events
    starts, lifecycle = events.is_any("lifecycle", "start"), events.coded("lifecycle")
    if not starts.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    completes = events.is_any("lifecycle", "complete") | ~lifecycle.known
    rows = np.flatnonzero(alone & (starts | completes))
    keys = [
        sessionised.journeys.ids,
        events.coded("activity").codes,
        sessionised.owner.codes,
        events.coded("actor_id").codes,
    ]
    rows = rows[
        sorted_by(*(key[rows] for key in (*keys, events.time, completes, sessionised.rank)))
    ]
    if not len(rows):
        return rows, rows
    groups, opens = Groups.of(*(key[rows] for key in keys)), starts[rows]
    # Number of unpaired starts; a complete without one has no effect.
    height = np.cumsum(np.where(opens, 1, -1))
    height -= groups.broadcast(height[groups.starts] - np.where(opens[groups.starts], 1, -1))
    missed = groups.running_max(np.maximum(-height, 0))
    served = ~opens & (missed == groups.before(missed, 0))
    before: Ints = np.cumsum(opens) - opens  # starts so far, in all groups
    number = np.cumsum(served)
    number -= groups.broadcast(number[groups.starts] - served[groups.starts])
    begun = np.flatnonzero(opens)[
        groups.broadcast(before[groups.starts])[served] + number[served] - 1
    ]
    return rows[begun], rows[served]


def _union(journeys: Groups, begin: Ints, end: Ints) -> Ints:
    """Return the length of the union of the intervals of each journey."""
    order = sorted_by(journeys.ids, begin)
    begin, end = begin[order], end[order]
    covered = journeys.before(journeys.running_max(end), np.iinfo(np.int64).min)
    return journeys.sum(np.maximum(end - np.maximum(begin, covered), 0))
