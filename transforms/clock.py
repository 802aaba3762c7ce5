"""When a journey starts and ends, and for how long somebody was at work on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms import facts
from rejse.transforms.arrays import Bools, Ints
from rejse.transforms.order import sorted_by
from rejse.transforms.segments import Segments
from rejse.transforms.sessionise import Spine


@dataclass(frozen=True)
class Clock:
    """Begin of each journey, and its busy time, in microseconds."""

    started: Ints
    has_start: Bools
    ended: Ints
    busy: Ints


def clock(spine: Spine) -> Clock:
    """When journeys start and end, and for how long somebody was at work on them.

    They start at the first need-driven or internal event; busy time is the union of the intervals
    of their activities from then on.
    """
    journeys, events = spine.journeys, spine.events
    drives = facts.is_need_driven(events) | events.is_one("direction", "internal")
    first = journeys.first_row(drives)
    begin, end = intervals(spine)
    opening = np.where(first >= 0, first, journeys.starts)
    started = begin[opening]
    ended = np.maximum(journeys.max(end), started)
    if begin is end:
        return Clock(started, first >= 0, ended, np.zeros(len(journeys), np.int64))
    since = journeys.spread(started)
    return Clock(
        started, first >= 0, ended,
        _union(journeys, np.maximum(begin, since), np.maximum(end, since)),
    )  # fmt: skip


def intervals(spine: Spine) -> tuple[Ints, Ints]:
    """Begin and end of each event: its start_time and end_time, else its time; events of one
    activity instance span it together. The same array twice where every event is a point.
    """
    events = spine.events
    (start, has_start), (stop, has_stop) = events.number("start_time"), events.number("end_time")
    instance = events.coded("activity_id")
    if not (has_start.any() or has_stop.any() or instance.known.any()):
        return events.time, events.time
    logged = np.where(has_stop, np.minimum(events.time, stop), events.time)
    begin = np.where(has_start, start, logged)
    end = np.where(has_stop, stop, np.maximum(events.time, begin))
    if instance.known.any():
        same = spine.journeys.ids * (len(instance.names) + 1) + instance.codes
        row = np.arange(events.n) + int(same.max(initial=0)) + 1
        groups = Segments.of(np.where(instance.known, same, row))
        begin, end = groups.spread(groups.min(begin)), groups.spread(groups.max(end))
    return begin, end


def _union(journeys: Segments, begin: Ints, end: Ints) -> Ints:
    """Length of the union of the intervals of each journey."""
    order = sorted_by(journeys.ids, begin)
    begin, end = begin[order], end[order]
    covered = journeys.before(journeys.running_max(end), np.iinfo(np.int64).min)
    return journeys.sum(np.maximum(end - np.maximum(begin, covered), 0))
