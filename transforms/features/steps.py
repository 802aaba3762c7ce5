"""Steps: one visit to a touchpoint or one internal task, with what holds at its first event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.ownership import Belonging
from rejse.transforms.journeys.sessionise import SessionisedEvents


@dataclass(frozen=True)
class Steps:
    """One row a step, in journey order; `first` and `last` point into the spine's events.

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
    is_worked: Bools  # somebody dealt with it: not only messages of machines and self-service

    def __len__(self) -> int:
        return len(self.first)


def steps(sessionised: SessionisedEvents, data: Operational) -> Steps:
    """Steps of all journeys; owner, team and silo are those valid at the first event."""
    events, first = sessionised.events, sessionised.steps.starts
    place = sessionised.place[first]
    belongs = sessionised.belongs.rows(first)
    outcome = events.coded("outcome")
    return Steps(
        first=first,
        last=sessionised.steps.lasts,
        journey=sessionised.step_journey,
        touchpoint=events.coded("touchpoint").rows(first),
        channel=events.coded("channel").rows(first),
        owner=belongs.owner,
        owner_from_table=belongs.owner_from_table,
        team=belongs.team,
        team_from_place=belongs.team_from_place,
        tier=_tier(data, belongs.squad),
        silo=_silo(data, place, belongs),
        system=systems(sessionised, data).rows(first),
        stage=events.coded("stage").rows(first).fallback(data.touchpoints.text("stage", place)),
        outcome=outcome.recode(sessionised.steps.last_valid(outcome.codes)),
        is_pushed=event_flags.is_pushed(events)[first],
        is_internal=events.is_any("direction", "internal")[first],
        is_worked=sessionised.steps.any(
            ~event_flags.is_by_machine(events) & ~event_flags.is_own_service(events)
        ),
    )


def _silo(data: Operational, place: Ints, belongs: Belonging) -> Categorical:
    """Silo of the touchpoint, else of the team, else the owner."""
    said = data.touchpoints.text("silo", place)
    if data.has("teams"):
        said = said.fallback(data.teams.text("silo", belongs.squad))
    return said.fallback(belongs.owner)


def _tier(data: Operational, squad: Ints) -> Reals:
    """Tier of the team, NaN where it has none."""
    tier, known = data.teams.number("tier", squad)
    return np.where(known, tier, np.nan)


def systems(sessionised: SessionisedEvents, data: Operational) -> Categorical:
    """System of each event: its own, else its touchpoint's, else its owner, else its channel."""
    own = sessionised.events.coded("system").fallback(
        data.touchpoints.text("system", sessionised.place)
    )
    return own.fallback(sessionised.owner, sessionised.events.coded("channel"))


def known_owner_pairs(found: Steps, kept: Bools) -> tuple[Ints, Ints]:
    """Neighbouring steps (earlier, later) of one journey among the kept ones."""
    rows = np.flatnonzero(kept)
    same = found.journey[rows[1:]] == found.journey[rows[:-1]]
    return rows[:-1][same], rows[1:][same]
