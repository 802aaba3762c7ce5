"""Local time of day, day of the week and weather of each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, Reals, arrow, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.working_hours import known_zones
from rejse.transforms.features.steps import Steps
from rejse.transforms.journeys.sessionise import SessionisedEvents


@dataclass(frozen=True)
class LocalConditions:
    """Conditions of each step at its first event; hour and day hold where `has_local_time`."""

    local_hour: Ints
    local_dow: Ints
    has_local_time: Bools
    weather: Categorical
    temperature: tuple[Reals, Bools]


def local_conditions(
    sessionised: SessionisedEvents, steps: Steps, data: Operational
) -> LocalConditions:
    """Return local time and weather of each step.

    Local time is that of the zone that the step logged (`tz`), else of its owner's calendar; an
    unknown zone name counts as none. Weather is that of the logged site.
    """
    time = sessionised.events.time[steps.first]
    zone = known_zones(_first_known(sessionised, "tz")).fallback(data.zone_of(steps.owner, time))
    hour, day, known = _local_time(zone, time)
    row = data.weather.rows(_first_known(sessionised, "site_id"), time)
    weather, temperature = (
        data.weather.text("weather", row),
        data.weather.number("temperature_c", row),
    )
    return LocalConditions(hour, day, known, weather, temperature)


def _first_known(sessionised: SessionisedEvents, name: str) -> Categorical:
    column = sessionised.events.coded(name)
    if not column.known.any():
        return Categorical.nulls(len(sessionised.steps))
    return column.recode(sessionised.steps.first_valid(column.codes))


def _local_time(zone: Categorical, time: Ints) -> tuple[Ints, Ints, Bools]:
    """Return hour (0 to 23) and day of the week (1 = Monday) of times in their zones."""
    hour, day = np.zeros(len(time), np.int64), np.zeros(len(time), np.int64)
    for code, name in enumerate(zone.names.to_pylist()):
        at = np.flatnonzero(zone.codes == code)
        if len(at):
            local = arrow(time[at], pa.timestamp("us", tz=name))
            hour[at] = values(pc.hour(local))
            day[at] = values(pc.day_of_week(local, count_from_zero=False, week_start=1))
    return hour, day, zone.known
