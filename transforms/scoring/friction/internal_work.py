"""Friction of the inner side: work that lies waiting, work done again."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.nearest_match import Candidates
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.columnar.segments import Segments, numbered
from rejse.transforms.features.context import Scene
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.scoring.friction.evidence import Found, found, kind, nothing

REWORK_TAU = 3.0
Waits = tuple[Ints, Ints, Reals]


@kind(
    "node",
    "s/s",
    {"lifecycle", "touchpoint", "@touchpoints"},
    {"to_owner"},
    {"to_team"},
    launch=False,
    circular_with={"bad_end": "a wait that the end cuts off is none"},
)
def internal_wait(scene: Scene) -> Found:
    """Work that waits inside beyond the expected latency: from schedule, assign or suspend to the
    next event of that activity and owner (unless it waits for the customer), or a hand-off
    received after its due time; x = wait/expected - 1, g = 1 - exp(-x); anchored where the wait
    ends (docs/reference/friction.md#waiting).
    """
    queued, handed = _queued(scene), _received_late(scene)
    begun, ended, expected = (np.concatenate(pair) for pair in zip(queued, handed, strict=True))
    if not len(begun):
        return nothing(scene, "internal_wait")
    events = scene.spine.events
    wait = (events.time[ended] - events.time[begun]) / SECOND
    excess = (wait - expected) / np.maximum(expected, 1.0)
    over = np.flatnonzero(excess > 0)
    begun, ended, excess = begun[over], ended[over], excess[over]
    return found(
        scene, "internal_wait", scene.spine.steps.ids[ended], ended, earlier=begun, raw=excess,
        expected=expected[over], intensity=-np.expm1(-excess),
        detail=events.coded("waiting_for").rows(begun),
    )  # fmt: skip


def _queued(scene: Scene) -> Waits:
    """Queued events, the next one of their activity and owner, and the latency expected there."""
    spine, events = scene.spine, scene.spine.events
    waits = events.is_one("lifecycle", "schedule", "assign", "suspend")
    rows = np.flatnonzero(waits & ~events.is_one("waiting_for", "customer"))
    expected, known = scene.data.places.number("expected_latency_s", spine.place[rows])
    rows, usual = rows[known], expected[known].astype(float)
    if not len(rows):
        return rows, rows, usual
    activity, owner = events.coded("activity"), spine.owner
    key = spine.journeys.ids * len(activity.names) + activity.codes
    key = key * (len(owner.names) + 1) + owner.codes + 1
    asked, _, group = numbered(key[rows])
    same = np.flatnonzero(np.isin(key, asked))
    coming = Candidates.of(spine.moment[same], np.searchsorted(asked, key[same]), events.n)
    after = coming.later(spine.moment[rows], group, lambda a, _: np.ones(len(a), dtype=bool))
    met = after >= 0
    return rows[met], spine.by_time[after[met]], usual[met]


def _received_late(scene: Scene) -> Waits:
    """Hand-offs asked for, the event that took them up after they were due, and the time given."""
    asked, time = scene.asked, scene.spine.events.time
    taken = np.flatnonzero(asked.received != NULL)
    late = taken[time[asked.received[taken]] > asked.due[taken]]
    given = (asked.due[late] - time[asked.row[late]]) / SECOND
    return asked.row[late], asked.received[late], given


@kind(
    "node",
    "repeats",
    {"activity", "direction"},
    launch=False,
    circular_with={"repeat_contact": "its amount counts what is done again afterwards too"},
)
def rework(scene: Scene) -> Found:
    """Internal completes - distinct activities among them, one piece a journey, anchored at the
    first that was done again; g = 1 - exp(-x/3) (pm4py's rework;
    docs/reference/friction.md#rework).
    """
    spine, events = scene.spine, scene.spine.events
    rows = np.flatnonzero(event_flags.is_done_inside(events))
    if not len(rows):
        return nothing(scene, "rework")
    activity = events.coded("activity")
    key = spine.journeys.ids[rows] * len(activity.names) + activity.codes[rows]
    order = sorted_by(key, spine.rank[rows])
    rows, key = rows[order], key[order]
    again = np.flatnonzero(key[1:] == key[:-1]) + 1
    if not len(again):
        return nothing(scene, "rework")
    # Keys rise by journey: its repeats are neighbours, and the first in total order is wanted.
    again = again[sorted_by(spine.journeys.ids[rows[again]], spine.rank[rows[again]])]
    groups = Segments.of(spine.journeys.ids[rows[again]])
    first, times = again[groups.starts], groups.lengths.astype(float)
    return found(
        scene, "rework", spine.steps.ids[rows[first]], rows[first], earlier=rows[first - 1],
        raw=times, intensity=-np.expm1(-times / REWORK_TAU),
    )  # fmt: skip
