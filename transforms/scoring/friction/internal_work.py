"""Friction inside the company: waiting work, rework."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.groups import Groups, numbered
from rejse.transforms.columnar.nearest_match import Candidates
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import kind

REWORK_TAU = 3.0
Waits = tuple[Ints, Ints, Reals]


@kind(
    "node",
    "s/s",
    {"lifecycle", "touchpoint", "@touchpoints"},
    {"to_owner"},
    {"to_team"},
    label="Waiting inside",
    story="had to wait while the work lay inside the company",
    launch=False,
    circular_with={"bad_end": "a wait that the end cuts off is none"},
)
def internal_wait(ctx: JourneyContext) -> Evidence:
    """Work that waits inside beyond the expected latency: from schedule, assign or suspend to the
    next event of that activity and owner (unless it waits for the customer), or a hand-off
    received after its due time; x = wait/expected - 1, g = 1 - exp(-x); anchored where the wait
    ends (docs/reference/friction.md#waiting).
    """
    queued, handed = _queued(ctx), _received_late(ctx)
    begun, ended, expected = (np.concatenate(pair) for pair in zip(queued, handed, strict=True))
    if not len(begun):
        return no_evidence(ctx, "internal_wait")
    events = ctx.sessionised.events
    wait = (events.time[ended] - events.time[begun]) / SECOND
    excess = (wait - expected) / np.maximum(expected, 1.0)
    over = np.flatnonzero(excess > 0)
    begun, ended, excess = begun[over], ended[over], excess[over]
    return make_evidence(
        ctx,
        "internal_wait",
        ctx.sessionised.steps.ids[ended],
        ended,
        earlier=begun,
        raw=excess,
        expected=expected[over],
        intensity=-np.expm1(-excess),
        detail=events.coded("waiting_for").rows(begun),
    )


def _queued(ctx: JourneyContext) -> Waits:
    """Return queued events, the next of their activity and owner, and the expected latency."""
    sessionised, events = ctx.sessionised, ctx.sessionised.events
    waits = events.is_any("lifecycle", "schedule", "assign", "suspend")
    rows = np.flatnonzero(waits & ~events.is_any("waiting_for", "customer"))
    expected, known = ctx.data.touchpoints.number("expected_latency_s", sessionised.place[rows])
    rows, usual = rows[known], expected[known].astype(float)
    if not len(rows):
        return rows, rows, usual
    activity, owner = events.coded("activity"), sessionised.owner
    key = sessionised.journeys.ids * len(activity.names) + activity.codes
    key = key * (len(owner.names) + 1) + owner.codes + 1
    wanted, _, group = numbered(key[rows])
    same = np.flatnonzero(np.isin(key, wanted))
    coming = Candidates.of(sessionised.moment[same], np.searchsorted(wanted, key[same]), events.n)
    after = coming.later(sessionised.moment[rows], group, lambda a, _: np.ones(len(a), dtype=bool))
    has_next = after >= 0
    return rows[has_next], sessionised.by_time[after[has_next]], usual[has_next]


def _received_late(ctx: JourneyContext) -> Waits:
    """Return hand-off requests, the event that took them up too late, and the time given (s)."""
    requests, time = ctx.handoff_requests, ctx.sessionised.events.time
    taken = np.flatnonzero(requests.received != NULL)
    late = taken[time[requests.received[taken]] > requests.due[taken]]
    given = (requests.due[late] - time[requests.row[late]]) / SECOND
    return requests.row[late], requests.received[late], given


@kind(
    "node",
    "repeats",
    {"activity", "direction"},
    label="Rework",
    story="had to wait while work was done again",
    launch=False,
    circular_with={"repeat_contact": "its amount counts what is done again afterwards too"},
)
def rework(ctx: JourneyContext) -> Evidence:
    """Internal completes - distinct activities among them, one piece a journey, anchored at the
    first that was done again; g = 1 - exp(-x/3) (pm4py's rework;
    docs/reference/friction.md#rework).
    """
    sessionised, events = ctx.sessionised, ctx.sessionised.events
    rows = np.flatnonzero(event_flags.is_done_inside(events))
    if not len(rows):
        return no_evidence(ctx, "rework")
    activity = events.coded("activity")
    key = sessionised.journeys.ids[rows] * len(activity.names) + activity.codes[rows]
    order = sorted_by(key, sessionised.rank[rows])
    rows, key = rows[order], key[order]
    again = np.flatnonzero(key[1:] == key[:-1]) + 1
    if not len(again):
        return no_evidence(ctx, "rework")
    # Keys rise by journey: repeats of a journey are neighbours. Take the first in total order.
    again = again[sorted_by(sessionised.journeys.ids[rows[again]], sessionised.rank[rows[again]])]
    groups = Groups.of(sessionised.journeys.ids[rows[again]])
    first, times = again[groups.starts], groups.lengths.astype(float)
    return make_evidence(
        ctx,
        "rework",
        sessionised.steps.ids[rows[first]],
        rows[first],
        earlier=rows[first - 1],
        raw=times,
        intensity=-np.expm1(-times / REWORK_TAU),
    )
