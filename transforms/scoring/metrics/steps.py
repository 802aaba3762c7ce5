"""Metrics of a step."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.journeys.journey_times import intervals
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.assess import ScoredJourneys
from rejse.transforms.scoring.metrics.health import friction_of


@metric(
    "step", pa.int64(), label="Wait before the step", unit="s", low=0, direction="lower_is_better"
)
def wait_before_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """From the last event of the step before to the first of this one; null in the first step."""
    time, steps = scored.ctx.sessionised.events.time, scored.ctx.steps
    gap = np.zeros(len(steps), np.int64)
    gap[1:] = np.maximum(time[steps.first[1:]] - time[steps.last[:-1]], 0)
    return gap // SECOND, ~scored.ctx.sessionised.journey_steps.begins


@metric(
    "step",
    pa.int64(),
    label="Wait before the step, working time",
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=["@calendar"],
)
def wait_before_work_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """The part of wait_before_s in which this step's owner worked (`calendar`) and could have
    begun; null in the first step, and where the calendar has no hours for the owner.
    """
    time, steps = scored.ctx.sessionised.events.time, scored.ctx.steps
    before = np.maximum(steps.first - 1, 0)
    before[1:] = steps.last[:-1]
    worked, known = scored.ctx.data.calendar.between(steps.owner, time[before], time[steps.first])
    return worked // SECOND, known & ~scored.ctx.sessionised.journey_steps.begins


@metric("step", pa.int32(), label="Local hour", unit="h", low=0, high=23)
def local_hour(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Hour on the wall at the step's first event, by its logged `tz`, else the zone of its owner's
    `calendar` as of then; null without one (docs/reference/ingest.md#working-hours).
    """
    return scored.ctx.local_conditions.local_hour, scored.ctx.local_conditions.has_local_time


@metric("step", pa.int32(), label="Local day of the week", unit="day", low=1, high=7)
def local_dow(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Day of the week on the wall at the step's first event, 1 = Monday; null as local_hour."""
    return scored.ctx.local_conditions.local_dow, scored.ctx.local_conditions.has_local_time


@metric("step", pa.string(), label="Weather", unit="", inputs=[{"site_id", "@weather"}])
def weather(scored: ScoredJourneys) -> Categorical:
    """Weather of the step's site in the hour of its first event, as `weather` says; a row holds for
    an hour unless its valid_to says otherwise; null without one
    (docs/reference/ingest.md#validity).
    """
    return scored.ctx.local_conditions.weather


@metric(
    "step",
    pa.float64(),
    label="Temperature",
    unit="degrees Celsius",
    inputs=[{"site_id", "@weather"}],
)
def temperature_c(scored: ScoredJourneys) -> tuple[Reals, Bools]:
    """Temperature at the step's site in the hour of its first event; null as weather."""
    return scored.ctx.local_conditions.temperature


@metric("step", pa.string(), label="Cause of the wait", unit="", inputs=["waiting_for"])
def wait_cause(scored: ScoredJourneys) -> Categorical:
    """Party that the wait before this step was for, as the event before it logged."""
    steps = scored.ctx.steps
    before = np.where(scored.ctx.sessionised.journey_steps.begins, -1, steps.first - 1)
    return scored.ctx.sessionised.events.coded("waiting_for").rows(before)


@metric(
    "step",
    pa.int64(),
    label="Queue time",
    unit="s",
    low=0,
    direction="lower_is_better",
    inputs=["wait_s"],
)
def queue_s(scored: ScoredJourneys) -> tuple[Ints, Bools]:
    """Sum of the waiting logged with the step's events (`wait_s`); null if none."""
    waited, logged = scored.ctx.sessionised.events.number("wait_s")
    steps = scored.ctx.sessionised.steps
    return steps.sum(np.where(logged, waited, 0)), steps.any(logged)


@metric("step", pa.int64(), label="Processing time", unit="s", low=0)
def processing_s(scored: ScoredJourneys) -> Ints:
    """From the first start to the last end of the step's events."""
    begin, end = intervals(scored.ctx.sessionised)
    steps = scored.ctx.sessionised.steps
    return (steps.max(end) - steps.min(begin)) // SECOND


@metric(
    "step",
    pa.int32(),
    label="Fields asked again",
    unit="fields",
    low=0,
    direction="lower_is_better",
    inputs=[*KINDS["reasked_info"].inputs, "question"],
)
def n_reasked(scored: ScoredJourneys) -> Ints:
    """Fields asked again in this step, on any basis."""
    requests = scored.ctx.field_requests.requests
    return np.bincount(requests.step[requests.is_reask], minlength=len(scored.ctx.steps))


@metric(
    "step",
    pa.float64(),
    label="Hazard",
    unit="1",
    low=0,
    direction="lower_is_better",
    nullable=False,
)
def hazard(scored: ScoredJourneys) -> Reals:
    """Hazard of the incident: this step and the edge that leads into it
    (docs/reference/friction.md#hazard).
    """
    return scored.step_hazard


@metric(
    "step",
    pa.float64(),
    label="Friction",
    unit="points of 100",
    low=0,
    high=100,
    direction="lower_is_better",
    nullable=False,
)
def friction(scored: ScoredJourneys) -> Reals:
    """100 * (1 - e^-hazard) of the incident (docs/reference/friction.md#hazard)."""
    return friction_of(scored.step_hazard)
