"""Friction of work passed on: transfers, escalations, ping-pong."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import kind

_NO_LINKS = (np.zeros(0, np.int64), np.zeros(0, np.int64))


@kind(
    "edge",
    "transfers",
    {"outcome"},
    {"to_owner"},
    {"to_team"},
    label="Transfer",
    story="was passed on to somebody else",
    launch=False,
    circular_with={"repeat_contact": "it lies at the next step, hence at the repeated contact"},
)
def transfer(ctx: JourneyContext) -> Evidence:
    """Outcome `transferred`, or `to_owner` or `to_team` on an event that is not internal; an
    escalation is no transfer. One piece an event, anchored at the next step that is not pushed,
    else at its own (docs/reference/friction.md#transfers-and-escalations).
    """
    moved, escalated = _passed(ctx)
    rows = np.flatnonzero(moved & ~escalated)
    return _onward(ctx, "transfer", rows, _NO_LINKS)


@kind(
    "edge",
    "escalations",
    {"outcome"},
    {"team", "@teams"},
    label="Escalation",
    story="had to be taken to a higher level",
    launch=False,
    circular_with={"repeat_contact": "it lies at the next step, hence at the repeated contact"},
)
def escalation(ctx: JourneyContext) -> Evidence:
    """Outcome `escalated`, or work passed on to a team of a higher tier (`teams`, as of the steps'
    times): one piece an event that says so, by its outcome or as a transfer out of a step whose
    next link is of a higher tier, anchored at the next step that is not pushed, else at its own;
    where no event of the giver's step logs it, one piece at the receiver's step
    (docs/reference/friction.md#transfers-and-escalations).
    """
    _, escalated = _passed(ctx)
    giver, receiver = ctx.escalations
    is_logged = ctx.sessionised.steps.any(escalated)[giver]
    return _onward(
        ctx, "escalation", np.flatnonzero(escalated), (giver[~is_logged], receiver[~is_logged])
    )


@kind(
    "edge",
    "returns",
    {"owner"},
    label="Ping-pong",
    story="was sent back to where they had been, unsolved",
    launch=False,
    circular_with={
        "bad_end": "a good outcome in the middle excuses it, and may be the end",
        "repeat_contact": "what follows may make the middle a consultation",
    },
)
def ping_pong(ctx: JourneyContext) -> Evidence:
    """Work back at the owner before last, after collapsing equal neighbours, where the last known
    outcome of the owner in between is none of resolved, sold, informed, partly; where none is
    known, neither is whether it was solved: confidence .5, and none where one of the two only
    sent automatic messages or was visited in self-service (docs/reference/friction.md#ping-pong).
    """
    handoffs = ctx.handoffs
    back = np.flatnonzero(handoffs.is_ping_pong)
    step, giver = handoffs.receiver[back], handoffs.giver[back]
    return make_evidence(
        ctx,
        "ping_pong",
        step,
        ctx.steps.first[step],
        previous=giver,
        earlier=ctx.steps.last[giver],
        confidence=handoffs.ping_pong[back],
    )


def _passed(ctx: JourneyContext) -> tuple[Bools, Bools]:
    """Return the events that pass work on, internal ones apart, and those that escalate it."""
    sessionised, events = ctx.sessionised, ctx.sessionised.events
    outward = ~events.is_any("direction", "internal")
    named = events.coded("to_owner").known | events.coded("to_team").known
    moved = events.is_any("outcome", "transferred") | (named & outward)
    escalated = events.is_any("outcome", "escalated")
    giver, _ = ctx.escalations
    if len(giver):
        rising = np.zeros(len(ctx.steps), dtype=bool)
        rising[giver] = True
        escalated = escalated | (moved & rising[sessionised.steps.ids])
    return moved, escalated


def _onward(ctx: JourneyContext, name: str, rows: Ints, rising: tuple[Ints, Ints]) -> Evidence:
    """Make evidence between each event's step and the next step that is not pushed.

    `rising` are further hand-offs (giver, receiver) that no event logs.
    """
    giver, receiver = rising
    if not len(rows) + len(giver):
        return no_evidence(ctx, name)
    steps, own = ctx.steps, ctx.sessionised.steps.ids[rows]
    following = ctx.sessionised.journey_steps.next_row_after(~steps.is_pushed)[own]
    onward = following >= 0
    # Without a following step the edge begins and ends at the giver's, as of a dropped hand-off.
    none = np.full(len(giver), NULL)
    wanted = ctx.sessionised.events.coded("to_owner").rows(
        np.concatenate([np.where(onward, NULL, rows), none])
    )
    return make_evidence(
        ctx,
        name,
        np.concatenate([np.where(onward, following, own), receiver]),
        np.concatenate([rows, steps.first[receiver]]),
        previous=np.concatenate([own, giver]),
        earlier=np.concatenate([np.full(len(rows), NULL), steps.last[giver]]),
        owner_to=steps.owner.rows(np.concatenate([following, receiver])).fallback(wanted),
    )
