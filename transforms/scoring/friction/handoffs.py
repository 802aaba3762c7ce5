"""Friction between departments: fields asked again, lost context, dropped hand-offs."""

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
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence
from rejse.transforms.scoring.friction.kinds import kind

FIELDS_TAU = 4.0


@kind(
    "edge",
    "fields",
    {"info"},
    {"touchpoint", "@touchpoint_fields"},
    label="Asked again",
    story="was asked again what had been answered before",
)
def reasked_info(ctx: JourneyContext) -> Evidence:
    """Fields asked in a step that the customer had given before in this journey: one piece of
    evidence a step and knowing system, x = number of fields, g = 1 - exp(-x/4); observed, declared
    (confidence .6) or inferred (.3), never mixed (docs/reference/friction.md#fields-asked-again).
    """
    requests = ctx.field_requests.requests
    again = np.flatnonzero(requests.is_reask)
    system = systems(ctx.sessionised, ctx.data).rows(requests.known_row[again])
    step, basis = requests.step[again], requests.basis[again]
    asked_row, known_row = requests.row[again], requests.known_row[again]
    order = sorted_by(step, basis, system.codes, asked_row, known_row)
    again, step, basis, system = again[order], step[order], basis[order], system.rows(order)
    groups = Groups.of(step, basis, system.codes)
    fields = groups.lengths.astype(float)
    first = again[groups.starts]
    earlier = requests.known_row[first]
    at = step[groups.starts]
    sure = np.array([REASK_CONFIDENCE[b] for b in BASES])[basis[groups.starts]]
    return make_evidence(
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
    label="Hand-off without context",
    story="was passed on without what was known",
    circular_with={"repeat_contact": "what follows may make the hand-off a consultation"},
)
def handoff_without_context(ctx: JourneyContext) -> Evidence:
    """Hand-off whose receiver got none or part of what the customer had given; confidence is 1 -
    |passed| / |known|, times .6 where the fields are only declared
    (docs/reference/friction.md#hand-offs).
    """
    handoffs = ctx.handoffs
    lost = np.flatnonzero((handoffs.context == NO_CONTEXT) | (handoffs.context == PART))
    step = handoffs.receiver[lost]
    trust = np.array([REASK_CONFIDENCE[b] for b in BASES])[handoffs.basis[lost]]
    return make_evidence(
        ctx,
        "handoff_without_context",
        step,
        ctx.steps.first[step],
        previous=handoffs.giver[lost],
        earlier=ctx.steps.last[handoffs.giver[lost]],
        confidence=(1.0 - handoffs.passed_share[lost]) * trust,
        basis=handoffs.basis[lost],
        expected=handoffs.n_known[lost].astype(float),
        raw=(handoffs.n_known - handoffs.n_passed)[lost].astype(float),
    )


@kind(
    "edge",
    "hand-offs",
    {"to_owner"},
    {"to_team"},
    label="Dropped hand-off",
    story="was passed on, and nobody took over in time",
    circular_with={
        "bad_end": "where work ends unsolved the receiver has nothing more to take up",
        "repeat_contact": "the receiver who answers the repeated contact has taken it up",
    },
)
def handoff_dropped(ctx: JourneyContext) -> Evidence:
    """Hand-off asked for (`to_owner`, `to_team`) that no step of the receiver took up when the
    watermark had passed its due time; anchored at the giver's step
    (docs/reference/friction.md#dropped-hand-offs).
    """
    requests = ctx.handoff_requests
    lost = np.flatnonzero(requests.is_dropped)
    row = requests.row[lost]
    events = ctx.sessionised.events
    to_owner = events.coded("to_owner").rows(row)
    receiver = to_owner.fallback(events.coded("to_team").rows(row))
    step = ctx.sessionised.steps.ids[row]
    return make_evidence(
        ctx,
        "handoff_dropped",
        step,
        row,
        previous=step,
        time=requests.due[lost],
        detail=receiver,
        owner_to=to_owner,
    )
