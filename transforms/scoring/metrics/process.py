"""Metrics of the process: size, stages, silos, rework, time, and waiting by cause."""

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


@metric("journey", INT, label="Events", unit="1", low=1, nullable=False)
def n_events(scored: ScoredJourneys) -> Ints:
    """Number of events."""
    return scored.ctx.journeys.lengths


@metric("journey", INT, label="Steps", unit="1", low=1, nullable=False)
def n_steps(scored: ScoredJourneys) -> Ints:
    """Number of steps: touchpoint visits and internal tasks."""
    return scored.ctx.sessionised.journey_steps.lengths


@metric("journey", INT, label="Sessions", unit="1", low=1, nullable=False)
def n_sessions(scored: ScoredJourneys) -> Ints:
    """Number of sessions: visits by channel family, and messages."""
    return scored.ctx.sessionised.journey_sessions.lengths


@metric("journey", INT, label="Steps before", unit="1", low=0, inputs=["stage"])
def n_steps_before(scored: ScoredJourneys) -> Ints:
    """Steps in stage `before` (logged, else the touchpoint's)."""
    return _of_stage(scored, "before")


@metric("journey", INT, label="Steps during", unit="1", low=0, inputs=["stage"])
def n_steps_during(scored: ScoredJourneys) -> Ints:
    """Steps in stage `during` (logged, else the touchpoint's)."""
    return _of_stage(scored, "during")


@metric("journey", INT, label="Steps after", unit="1", low=0, inputs=["stage"])
def n_steps_after(scored: ScoredJourneys) -> Ints:
    """Steps in stage `after` (logged, else the touchpoint's)."""
    return _of_stage(scored, "after")


def _of_stage(scored: ScoredJourneys, stage: str) -> Ints:
    steps = scored.ctx.sessionised.journey_steps
    return steps.count(scored.ctx.steps.stage.of_names((stage,)))


@metric("journey", INT, label="Channels", unit="1", low=1, nullable=False)
def n_channels(scored: ScoredJourneys) -> Ints:
    """Number of distinct channels."""
    return scored.ctx.journeys.nunique(scored.ctx.sessionised.events.coded("channel").codes)


@metric(
    "journey", INT, label="Silos", unit="1", low=0, direction="lower_is_better", inputs=["silo"]
)
def n_silos(scored: ScoredJourneys) -> Ints:
    """Number of distinct silos of the steps (the touchpoint's, else the owner)."""
    return scored.ctx.sessionised.journey_steps.nunique(scored.ctx.steps.silo.codes)


@metric(
    "journey",
    INT,
    label="Silos crossed",
    unit="1",
    low=0,
    direction="lower_is_better",
    inputs=["silo"],
)
def silos_crossed(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Distinct silos - 1; null where no step has a silo (docs/reference/journeys.md#steps)."""
    silos = n_silos(scored)
    return silos - 1, silos > 0


@metric("journey", INT, label="Rework", unit="1", low=0, direction="lower_is_better")
def rework(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Internal completes - distinct activities among them (pm4py's rework); null without any."""
    events, journeys = scored.ctx.sessionised.events, scored.ctx.journeys
    done = event_flags.is_done_inside(events)
    if not done.any():
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    count = journeys.count(done)
    activity = np.where(done, events.coded("activity").codes, NULL)
    return count - journeys.nunique(activity), count > 0


@metric("journey", LONG, label="Throughput time", unit="s", low=0, direction="lower_is_better")
def throughput_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Last end - first start, from the first need-driven or internal event; null without one."""
    times = scored.journey_times
    return (times.ended - times.started) // SECOND, times.has_start


@metric("journey", LONG, label="Busy time", unit="s", low=0)
def busy_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Union of the intervals of the activities; null where throughput_s is."""
    return scored.journey_times.busy // SECOND, scored.journey_times.has_start


@metric("journey", LONG, label="Idle time", unit="s", low=0, direction="lower_is_better")
def idle_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Throughput_s - busy_s, exactly; null where throughput_s is."""
    whole, known = throughput_s(scored)
    return whole - busy_s(scored)[0], known


@metric("journey", LONG, label="Time to resolution", unit="s", low=0, direction="lower_is_better")
def time_to_resolution_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """From the start of throughput to the end that held; null without one, or while open."""
    row = scored.ctx.held_end
    held = (row >= 0) & scored.ctx.closed & scored.journey_times.has_start
    span = pick(scored.ctx.sessionised.events.time, row, 0) - scored.journey_times.started
    return np.maximum(span, 0) // SECOND, held


@metric(
    "journey",
    LONG,
    label="Customer waiting",
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=["wait_s"],
)
def customer_wait_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Sum of the waiting logged with the events (`wait_s`): the customer queued; null if none."""
    waited, logged = scored.ctx.sessionised.events.number("wait_s")
    journeys = scored.ctx.journeys
    return journeys.sum(np.where(logged, waited, 0)), journeys.any(logged)


@metric(
    "journey",
    LONG,
    label="Waiting inside",
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=["lifecycle", "waiting_for"],
)
def internal_wait_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for the company: `waiting_for` company, or
    schedule, assign, suspend without `waiting_for`; null where neither is logged.
    """
    return _waited(scored, _waits_inside(scored))


@metric(
    "journey",
    LONG,
    label="Waiting inside, working time",
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=[{"lifecycle", "@calendar"}, {"waiting_for", "@calendar"}],
)
def internal_wait_work_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """The part of internal_wait_s in which the owner of the waiting event worked (`calendar`);
    null where that is, and where the calendar has no hours for one of these owners.
    """
    sessionised = scored.ctx.sessionised
    rows = np.flatnonzero(_waits_inside(scored))
    until = np.minimum(rows + 1, sessionised.journeys.lasts[sessionised.journeys.ids[rows]])
    begin, end = sessionised.events.time[rows], sessionised.events.time[until]
    worked, known = scored.ctx.data.calendar.between(sessionised.owner.rows(rows), begin, end)
    whole, sure = np.zeros(sessionised.events.n, np.int64), np.ones(sessionised.events.n, bool)
    whole[rows], sure[rows] = worked, known
    journeys, logged = scored.ctx.journeys, internal_wait_s(scored)[1]
    if not scored.ctx.data.calendar.rows:
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    return journeys.sum(whole) // SECOND, logged & ~journeys.any(~sure)


@metric(
    "journey",
    LONG,
    label="Waiting for a third party",
    unit="s",
    low=0,
    inputs=["lifecycle", "waiting_for"],
)
def third_party_wait_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for a third party; null if not logged."""
    return _waited(scored, scored.ctx.sessionised.events.is_any("waiting_for", "third_party"))


@metric(
    "journey",
    LONG,
    label="Waiting for the customer",
    unit="s",
    low=0,
    inputs=["lifecycle", "waiting_for"],
)
def waited_for_customer_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Time to the next event after one that waits for the customer; null if not logged."""
    return _waited(scored, scored.ctx.sessionised.events.is_any("waiting_for", "customer"))


def _waits_inside(scored: ScoredJourneys) -> Bools:
    """Return the events after which the journey waits for the company."""
    events = scored.ctx.sessionised.events
    queued = events.is_any("lifecycle", "schedule", "assign", "suspend")
    queued = queued & ~events.coded("waiting_for").known
    return events.is_any("waiting_for", "company") | queued


def _waited(scored: ScoredJourneys, waiting: Bools) -> tuple[Ints, Bools]:
    events, journeys = scored.ctx.sessionised.events, scored.ctx.journeys
    queued = events.is_any("lifecycle", "schedule", "assign", "suspend")
    logged = events.coded("waiting_for").known | queued
    if not logged.any():
        return np.zeros(len(journeys), np.int64), np.zeros(len(journeys), bool)
    gap = np.zeros(events.n, np.int64)
    gap[:-1] = np.maximum(np.diff(events.time), 0)
    gap[journeys.lasts] = 0
    return journeys.sum(np.where(waiting, gap, 0)) // SECOND, journeys.any(logged)
