"""Steps: one visit to a touchpoint or one internal task, described as of its first event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.ownership import Ownership
from rejse.transforms.journeys.sessionise import SessionisedEvents


@dataclass(frozen=True)
class Steps:
    """One row a step, in journey order; `first` and `last` are sessionised events.

    `tier` is the team's as of the first event, NaN where it has none.
    """

    first: Ints
    last: Ints
    journey: Ints
    touchpoint: Categorical
    channel: Categorical
    owner: Categorical
    owner_from_table: Bools
    team: Categorical
    team_from_place: Bools
    tier: Reals
    silo: Categorical
    system: Categorical
    stage: Categorical
    outcome: Categorical
    is_pushed: Bools
    is_internal: Bools
    is_worked: Bools  # not only automatic messages and self-service

    def __len__(self) -> int:
        return len(self.first)


def steps(sessionised: SessionisedEvents, data: Operational) -> Steps:
    """Return the steps of all journeys; owner, team and silo are as of the first event."""
    events, first = sessionised.events, sessionised.steps.starts
    place = sessionised.place[first]
    ownership = sessionised.ownership.rows(first)
    outcome = events.coded("outcome")
    return Steps(
        first=first,
        last=sessionised.steps.lasts,
        journey=sessionised.step_journey,
        touchpoint=events.coded("touchpoint").rows(first),
        channel=events.coded("channel").rows(first),
        owner=ownership.owner,
        owner_from_table=ownership.owner_from_table,
        team=ownership.team,
        team_from_place=ownership.team_from_place,
        tier=_tier(data, ownership.team_row),
        silo=_silo(data, place, ownership),
        system=systems(sessionised, data).rows(first),
        stage=events.coded("stage").rows(first).fallback(data.touchpoints.text("stage", place)),
        outcome=outcome.recode(sessionised.steps.last_valid(outcome.codes)),
        is_pushed=event_flags.is_pushed(events)[first],
        is_internal=events.is_one("direction", "internal")[first],
        is_worked=sessionised.steps.any(
            ~event_flags.is_by_machine(events) & ~event_flags.is_own_service(events)
        ),
    )


def _silo(data: Operational, place: Ints, ownership: Ownership) -> Categorical:
    """Return the silo of the touchpoint, else of the team, else the owner."""
    silo = data.touchpoints.text("silo", place)
    if data.has("teams"):
        silo = silo.fallback(data.teams.text("silo", ownership.team_row))
    return silo.fallback(ownership.owner)


def _tier(data: Operational, team_row: Ints) -> Reals:
    """Return the tier of the team, NaN where it has none."""
    tier, known = data.teams.number("tier", team_row)
    return np.where(known, tier, np.nan)


def systems(sessionised: SessionisedEvents, data: Operational) -> Categorical:
    """Return the system of each event: logged, else the touchpoint's, owner or channel."""
    own = sessionised.events.coded("system").fallback(
        data.touchpoints.text("system", sessionised.place)
    )
    return own.fallback(sessionised.owner, sessionised.events.coded("channel"))


def known_owner_pairs(steps: Steps, kept: Bools) -> tuple[Ints, Ints]:
    """Return neighbouring steps (earlier, later) of one journey among the kept ones."""
    rows = np.flatnonzero(kept)
    same = steps.journey[rows[1:]] == steps.journey[rows[:-1]]
    return rows[:-1][same], rows[1:][same]
