"""The later kinds of friction by the per-event rival, on stories whose answer is known."""

from __future__ import annotations

from typing import Any

import pytest

from rejse.transforms.rules import DAY
from tests.bench.perevent.intake import Row
from tests.test_per_event import event, told


def given(at: int, answer: str) -> Row:
    info = [{"field": "plate", "op": "given", "value_hmac": answer}]
    return event(at, touchpoint="phone_support" if at else "web_help", info=info)


def sent(at: int) -> Row:
    """A message that nobody asked for."""
    kind = {"direction": "outbound", "actor_type": "system", "message_kind": "service"}
    return event(at, channel="email", **kind)


def inside(at: int, activity: str, **given: Any) -> Row:
    kind = {"channel": "internal", "direction": "internal", "actor_type": "human"}
    return event(at, activity=activity, **{**kind, **given})


def offer(at: int) -> Row:
    return event(at, actor_type="human", direction="outbound", message_kind="upsell")


def worked(owner: str, at: int, outcome: str | None = None) -> Row:
    return event(at, owner=owner, actor_type="human", outcome=outcome)


#: Events, and of each piece of a kind: its step, the step before, its amount.
KNOWN: tuple[tuple[str, list[Row], list[tuple[int, int | None, float]]], ...] = (
    ("transfer", [event(0, outcome="transferred"), sent(1), offer(2), inside(3, "x")], [(2, 1, 1)]),
    ("transfer", [event(0, to_owner="a"), offer(DAY)], [(1, 1, 1)]),
    ("transfer", [event(0, outcome="escalated", to_owner="a"), event(DAY)], []),
    ("transfer", [inside(0, "x", to_owner="a"), event(DAY)], []),
    ("escalation", [event(0, outcome="escalated", to_owner="a"), event(DAY)], [(2, 1, 1)]),
    ("ping_pong", [worked("a", 0), worked("b", 1, "unresolved"), worked("a", 2)], [(3, 2, 1)]),
    ("ping_pong", [worked("a", 0), worked("b", 1), worked("a", 2)], []),
    ("ping_pong", [worked("a", 0), worked("b", 1, "partly"), worked("a", 2)], []),
    ("info_conflict", [given(0, "x"), given(1, "y"), given(DAY, "y")], [(2, 1, 1)]),
    ("info_conflict", [given(1, "x"), given(2, "y")], []),
    ("dead_end", [event(0, outcome="error"), event(DAY, channel="web")], [(1, None, 1)]),
    ("dead_end", [event(0, outcome="error"), event(DAY)], []),
    ("dead_end", [event(0, outcome="error"), event(1)], [(1, None, 1)]),
    ("abandonment", [event(0, outcome="abandoned", wait_s=9)], []),
    ("abandonment", [event(0, outcome="abandoned", wait_s=10)], [(1, None, 1)]),
    ("abandonment", [event(0, outcome="abandoned", wait_s=None)], [(1, None, 1)]),
    ("internal_wait", [event(0, to_owner="a"), worked("a", 3 * DAY)], []),
    ("internal_wait", [event(0, to_owner="a"), worked("a", 6 * DAY)], [(2, None, 1)]),
    ("rework", [inside(0, "x"), inside(1, "y"), inside(2, "x"), inside(3, "x")], [(3, None, 2)]),
    ("upsell_in_problem", [event(0), offer(1)], [(1, None, 1)]),
    ("upsell_in_problem", [offer(0), event(1)], []),
    ("upsell_in_problem", [event(0, outcome="resolved"), offer(1)], []),
    ("upsell_in_problem", [event(0, outcome="resolved"), event(1, outcome="error"), offer(2)],
     [(1, None, 1)]),
    ("upsell_in_problem", [event(0, outcome="error"), event(1, outcome="resolved"), offer(2)], []),
    ("over_pressure", [sent(n * DAY) for n in (0, 1, 2, 7)], []),
    ("over_pressure", [sent(n * DAY) for n in (1, 2, 3)] + [sent(8 * DAY - 1)], [(4, None, 1 / 3)]),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "events", "pieces"), KNOWN)
def test_later_kinds_that_are_known(
    kind: str, events: list[Row], pieces: list[tuple[int, int | None, float]]
) -> None:
    found = [row for row in told(events).get("friction_evidence", ()) if row["kind"] == kind]
    steps = [(row["step_id"], row["prev_step_id"]) for row in found]
    seqs = [(int(one[-4:]), before and int(before[-4:])) for one, before in steps]
    assert [(*seq, row["raw_value"]) for seq, row in zip(seqs, found, strict=True)] == [
        (one, before, pytest.approx(raw)) for one, before, raw in pieces
    ]
