"""Friction between departments: information asked again, context lost, hand-offs dropped."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.features.field_requests import BASES
from rejse.transforms.features.handoffs import NO_CONTEXT, PART
from rejse.transforms.features.steps import systems
from rejse.transforms.schema.parameters import REASK_CONFIDENCE
from rejse.transforms.scoring.friction.evidence import Found, found, kind

FIELDS_TAU = 4.0


@kind("edge", "fields", {"info"}, {"touchpoint", "@touchpoint_fields"})
def reasked_info(ctx: JourneyContext) -> Found:
    """Fields asked in a step that the customer had given before in this journey: one piece of
    evidence a step and knowing system, x = number of fields, g = 1 - exp(-x/4); observed, declared
    (confidence .6) or inferred (.3), never mixed (docs/reference/friction.md#fields-asked-again).
    """
    requests = ctx.told.requests
    again = np.flatnonzero(requests.is_reask)
    system = systems(ctx.sessionised, ctx.data).rows(requests.known_row[again])
    step, basis = requests.step[again], requests.basis[again]
    asked, known = requests.row[again], requests.known_row[again]
    order = sorted_by(step, basis, system.codes, asked, known)
    again, step, basis, system = again[order], step[order], basis[order], system.rows(order)
    groups = Groups.of(step, basis, system.codes)
    fields = groups.lengths.astype(float)
    first = again[groups.starts]
    earlier = requests.known_row[first]
    at = step[groups.starts]
    sure = np.array([REASK_CONFIDENCE[b] for b in BASES])[basis[groups.starts]]
    return found(
        ctx, "reasked_info", at, requests.again_row[first],
        time=ctx.sessionised.events.time[requests.row[first]],
        previous=np.where(ctx.sessionised.journey_steps.row_number[at] > 0, at - 1, NULL),
        earlier=earlier, raw=fields, intensity=-np.expm1(-fields / FIELDS_TAU), confidence=sure,
        basis=basis[groups.starts], detail=system.rows(groups.starts),
    )  # fmt: skip


@kind(
    "edge",
    "hand-offs",
    {"owner", "info"},
    {"owner", "touchpoint", "@touchpoint_fields"},
    circular_with={"repeat_contact": "what follows may make the hand-off a consultation"},
)
def handoff_without_context(ctx: JourneyContext) -> Found:
    """Hand-off whose receiver got none or part of what the customer had told; confidence is 1 -
    |passed| / |known|, times .6 where the fields are only declared
    (docs/reference/friction.md#hand-offs).
    """
    seen = ctx.handoffs
    lost = np.flatnonzero((seen.context == NO_CONTEXT) | (seen.context == PART))
    step = seen.receiver[lost]
    trust = np.array([REASK_CONFIDENCE[b] for b in BASES])[seen.basis[lost]]
    return found(
        ctx, "handoff_without_context", step, ctx.steps.first[step],
        previous=seen.giver[lost], earlier=ctx.steps.last[seen.giver[lost]],
        confidence=(1.0 - seen.passed_share[lost]) * trust, basis=seen.basis[lost],
        expected=seen.n_known[lost].astype(float),
        raw=(seen.n_known - seen.n_passed)[lost].astype(float),
    )  # fmt: skip


@kind(
    "edge",
    "hand-offs",
    {"to_owner"},
    {"to_team"},
    circular_with={
        "bad_end": "where work ends unsolved the receiver has nothing more to take up",
        "repeat_contact": "the receiver who answers the repeated contact has taken it up",
    },
)
def handoff_dropped(ctx: JourneyContext) -> Found:
    """Hand-off asked for (`to_owner`, `to_team`) that no step of the receiver took up when the
    frontier had passed its due time; anchored at the giver's step
    (docs/reference/friction.md#dropped-hand-offs).
    """
    asked = ctx.asked
    lost = np.flatnonzero(asked.is_dropped)
    row = asked.row[lost]
    events = ctx.sessionised.events
    to_owner = events.coded("to_owner").rows(row)
    receiver = to_owner.fallback(events.coded("to_team").rows(row))
    step = ctx.sessionised.steps.ids[row]
    return found(
        ctx, "handoff_dropped", step, row,
        previous=step, time=asked.due[lost], detail=receiver, owner_to=to_owner,
    )  # fmt: skip
