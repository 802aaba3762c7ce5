"""Steps: one visit to a touchpoint or one internal task, with what holds at its first event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms import facts
from rejse.transforms.arrays import Bools, Ints
from rejse.transforms.events import Coded
from rejse.transforms.operational import Operational
from rejse.transforms.sessionise import Spine


@dataclass(frozen=True)
class Steps:
    """One row a step, in journey order; `first` and `last` point into the spine's events."""

    first: Ints
    last: Ints
    journey: Ints
    touchpoint: Coded
    channel: Coded
    owner: Coded
    owner_from_table: Bools
    team: Coded
    silo: Coded
    system: Coded
    stage: Coded
    outcome: Coded
    is_pushed: Bools
    is_internal: Bools

    def __len__(self) -> int:
        return len(self.first)


def steps(spine: Spine, data: Operational) -> Steps:
    """Steps of all journeys; owner, team and silo are those valid at the first event."""
    events, first = spine.events, spine.steps.starts
    place = spine.place[first]
    owner = spine.owner.rows(first)
    outcome = events.coded("outcome")
    return Steps(
        first=first,
        last=spine.steps.lasts,
        journey=spine.step_journey,
        touchpoint=events.coded("touchpoint").rows(first),
        channel=events.coded("channel").rows(first),
        owner=owner,
        owner_from_table=spine.owner_from_table[first],
        team=spine.team.rows(first),
        silo=data.places.text("silo", place).fallback(owner),
        system=systems(spine, data).rows(first),
        stage=events.coded("stage").rows(first).fallback(data.places.text("stage", place)),
        outcome=outcome.recode(spine.steps.last_valid(outcome.codes)),
        is_pushed=facts.is_pushed(events)[first],
        is_internal=events.is_one("direction", "internal")[first],
    )


def systems(spine: Spine, data: Operational) -> Coded:
    """System of each event: its own, else its touchpoint's, else its owner, else its channel."""
    own = spine.events.coded("system").fallback(data.places.text("system", spine.place))
    return own.fallback(spine.owner, spine.events.coded("channel"))


def known_owner_pairs(found: Steps, kept: Bools) -> tuple[Ints, Ints]:
    """Neighbouring steps (earlier, later) of one journey among the kept ones."""
    rows = np.flatnonzero(kept)
    same = found.journey[rows[1:]] == found.journey[rows[:-1]]
    return rows[:-1][same], rows[1:][same]
