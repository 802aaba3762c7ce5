"""Friction of work passed on: transfers, escalations, work that comes back unsolved."""

from __future__ import annotations

import numpy as np

from rejse.transforms.arrays import NULL, Ints
from rejse.transforms.friction.evidence import Found, found, kind, nothing
from rejse.transforms.scene import Scene


@kind("edge", "transfers", {"outcome"}, {"to_owner"}, {"to_team"}, launch=False)
def transfer(scene: Scene) -> Found:
    """Outcome `transferred`, or `to_owner` or `to_team` on an event that is not internal; an
    escalated event is no transfer. One piece an event, anchored at the next step that is not
    pushed, else at its own (9-rules).
    """
    events = scene.spine.events
    outward = ~events.is_one("direction", "internal")
    named = events.coded("to_owner").known | events.coded("to_team").known
    moved = events.is_one("outcome", "transferred") | (named & outward)
    escalated = events.is_one("outcome", "escalated")
    return _onward(scene, "transfer", np.flatnonzero(moved & ~escalated))


@kind("edge", "escalations", {"outcome"}, launch=False)
def escalation(scene: Scene) -> Found:
    """Outcome `escalated`: one piece an event, anchored at the next step that is not pushed, else
    at its own (9-rules; tiers of teams are not read).
    """
    escalated = scene.spine.events.is_one("outcome", "escalated")
    return _onward(scene, "escalation", np.flatnonzero(escalated))


@kind(
    "edge", "returns", {"owner", "outcome"}, {"touchpoint", "@touchpoints", "outcome"}, launch=False
)
def ping_pong(scene: Scene) -> Found:
    """Work back at the owner before last, after collapsing equal neighbours, where the last known
    outcome of the owner in between is none of resolved, sold, informed, partly (9-rules). Without
    an outcome nothing is known to be unsolved: a parcel sent on in between is no ping-pong.
    """
    seen = scene.handoffs
    back = np.flatnonzero(seen.is_ping_pong)
    step, giver = seen.receiver[back], seen.giver[back]
    return found(
        scene, "ping_pong", step, scene.steps.first[step],
        previous=giver, earlier=scene.steps.last[giver],
    )  # fmt: skip


def _onward(scene: Scene, name: str, rows: Ints) -> Found:
    """Evidence of events on the way from their step to the next one that is not pushed."""
    if not len(rows):
        return nothing(scene, name)
    steps, own = scene.steps, scene.spine.steps.ids[rows]
    following = scene.spine.journey_steps.next_row_after(~steps.is_pushed)[own]
    onward = following >= 0
    # Where nothing follows, the edge begins and ends at the giver's step, as a dropped one's does.
    wanted = scene.spine.events.coded("to_owner").rows(np.where(onward, NULL, rows))
    return found(
        scene, name, np.where(onward, following, own), rows,
        previous=own, owner_to=steps.owner.rows(following).fallback(wanted),
    )  # fmt: skip
