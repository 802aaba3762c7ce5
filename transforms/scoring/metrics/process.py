"""The process of a journey: size, stages, silos, rework, time and waiting by cause."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.groups import pick
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.friction.assess import ScoredJourneys

INT, LONG = pa.int32(), pa.int64()


@metric("journey", INT, unit="1", low=1, nullable=False)
def n_events(a: ScoredJourneys) -> Ints:
    """Number of events."""
    return a.ctx.journeys.lengths


@metric("journey", INT, unit="1", low=1, nullable=False)
def n_steps(a: ScoredJourneys) -> Ints:
    """Number of steps: touchpoint visits and internal tasks."""
    return a.ctx.sessionised.journey_steps.lengths


@metric("journey", INT, unit="1", low=1, nullable=False)
def n_sessions(a: ScoredJourneys) -> Ints:
    """Number of sessions: visits by channel family, and messages."""
    return a.ctx.sessionised.journey_sessions.lengths


@metric("journey", INT, unit="1", low=0, inputs=["stage"])
def n_steps_before(a: ScoredJourneys) -> Ints:
    """Steps in stage `before` (logged, else the touchpoint's)."""
    return _of_stage(a, "before")


@metric("journey", INT, unit="1", low=0, inputs=["stage"])
def n_steps_during(a: ScoredJourneys) -> Ints:
    """Steps in stage `during` (logged, else the touchpoint's)."""
    return _of_stage(a, "during")


@metric("journey", INT, unit="1", low=0, inputs=["stage"])
def n_steps_after(a: ScoredJourneys) -> Ints:
    """Steps in stage `after` (logged, else the touchpoint's)."""
    return _of_stage(a, "after")


def _of_stage(a: ScoredJourneys, stage: str) -> Ints:
    steps = a.ctx.sessionised.journey_steps
    return steps.count(a.ctx.steps.stage.of_names((stage,)))


@metric("journey", INT, unit="1", low=1, nullable=False)
def n_channels(a: ScoredJourneys) -> Ints:
    """Number of distinct channels."""
    return a.ctx.journeys.nunique(a.ctx.sessionised.events.coded("channel").codes)


@metric("journey", INT, unit="1", low=0, direction="lower_is_better", inputs=["silo"])
def n_silos(a: ScoredJourneys) -> Ints:
    """Number of distinct silos of the steps (the touchpoint's, else the owner)."""
    return a.ctx.sessionised.journey_steps.nunique(a.ctx.steps.silo.codes)


@metric("journey", INT, unit="1", low=0, direction="lower_is_better", inputs=["silo"])
def silos_crossed(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Distinct silos - 1; null where no step has a silo (docs/reference/journeys.md#steps)."""
    silos = n_silos(a)
    return silos - 1, silos > 0


@metric("journey", INT, unit="1", low=0, direction="lower_is_better")
def rework(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Internal completes - distinct activities among them (pm4py's rework); null without any."""
    events, journeys = a.ctx.sessionised.events, a.ctx.journeys
    done = event_flags.is_done_inside(events)
    if not done.any():
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    count = journeys.count(done)
    activity = np.where(done, events.coded("activity").codes, NULL)
    return count - journeys.nunique(activity), count > 0


@metric("journey", LONG, unit="s", low=0, direction="lower_is_better")
def throughput_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Last end - first start, from the first need-driven or internal event; null without one."""
    of = a.clock
    return (of.ended - of.started) // SECOND, of.has_start


@metric("journey", LONG, unit="s", low=0)
def busy_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Union of the intervals of the activities; null where throughput_s is."""
    return a.clock.busy // SECOND, a.clock.has_start


@metric("journey", LONG, unit="s", low=0, direction="lower_is_better")
def idle_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Throughput_s - busy_s, exactly; null where throughput_s is."""
    whole, known = throughput_s(a)
    return whole - busy_s(a)[0], known


@metric("journey", LONG, unit="s", low=0, direction="lower_is_better")
def time_to_resolution_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """From the start of throughput to the end that held; null without one, or while open."""
    row = a.ctx.held_end
    held = (row >= 0) & a.ctx.closed & a.clock.has_start
    span = pick(a.ctx.sessionised.events.time, row, 0) - a.clock.started
    return np.maximum(span, 0) // SECOND, held


@metric("journey", LONG, unit="s", low=0, direction="lower_is_better", inputs=["wait_s"])
def customer_wait_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Sum of the waiting logged with the events (`wait_s`): the customer queued; null if none."""
    waited, logged = a.ctx.sessionised.events.number("wait_s")
    journeys = a.ctx.journeys
    return journeys.sum(np.where(logged, waited, 0)), journeys.any(logged)


@metric(
    "journey",
    LONG,
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=["lifecycle", "waiting_for"],
)
def internal_wait_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for the company: `waiting_for` company, or
    schedule, assign, suspend without `waiting_for`; null where neither is logged.
    """
    return _waited(a, _waits_inside(a))


@metric(
    "journey",
    LONG,
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=[{"lifecycle", "@calendar"}, {"waiting_for", "@calendar"}],
)
def internal_wait_work_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """The part of internal_wait_s in which the owner of the waiting event worked (`calendar`);
    null where that is, and where the calendar has no hours for one of these owners.
    """
    sessionised = a.ctx.sessionised
    rows = np.flatnonzero(_waits_inside(a))
    until = np.minimum(rows + 1, sessionised.journeys.lasts[sessionised.journeys.ids[rows]])
    begin, end = sessionised.events.time[rows], sessionised.events.time[until]
    worked, known = a.ctx.data.calendar.between(sessionised.owner.rows(rows), begin, end)
    whole, sure = np.zeros(sessionised.events.n, np.int64), np.ones(sessionised.events.n, bool)
    whole[rows], sure[rows] = worked, known
    journeys, logged = a.ctx.journeys, internal_wait_s(a)[1]
    if not a.ctx.data.calendar.rows:
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    return journeys.sum(whole) // SECOND, logged & ~journeys.any(~sure)


@metric("journey", LONG, unit="s", low=0, inputs=["lifecycle", "waiting_for"])
def third_party_wait_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for a third party; null if not logged."""
    return _waited(a, a.ctx.sessionised.events.is_any("waiting_for", "third_party"))


@metric("journey", LONG, unit="s", low=0, inputs=["lifecycle", "waiting_for"])
def waited_for_customer_s(a: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for the customer; null if not logged."""
    return _waited(a, a.ctx.sessionised.events.is_any("waiting_for", "customer"))


def _waits_inside(a: ScoredJourneys) -> Bools:
    """Events after which somebody waits for the company."""
    events = a.ctx.sessionised.events
    queued = events.is_any("lifecycle", "schedule", "assign", "suspend")
    queued = queued & ~events.coded("waiting_for").known
    return events.is_any("waiting_for", "company") | queued


def _waited(a: ScoredJourneys, waiting: Bools) -> tuple[Ints, Bools]:
    events, journeys = a.ctx.sessionised.events, a.ctx.journeys
    queued = events.is_any("lifecycle", "schedule", "assign", "suspend")
    logged = events.coded("waiting_for").known | queued
    if not logged.any():
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    gap = np.zeros(events.n, np.int64)
    gap[:-1] = np.maximum(np.diff(events.time), 0)
    gap[journeys.lasts] = 0
    return journeys.sum(np.where(waiting, gap, 0)) // SECOND, journeys.any(logged)
