"""Cutting threads into journeys: all threads at once against the rule, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms import facts
from rejse.transforms.events import Coded, customers, total_order
from rejse.transforms.journeys import REASONS, Cut, cut
from rejse.transforms.rules import DAY, JourneyType, Rules
from rejse.transforms.threads import Threads, threads
from tests import builders
from tests.law import FACTOR

LAWS = settings(max_examples=250 * FACTOR)
#: Gap, window and cap so near each other that every one of them is the earliest deadline at times.
TYPES = {
    "claim": JourneyType("claim", gap=3 * DAY, reopen_window=2 * DAY, cap=9 * DAY,
                         end_activities=("settled",)),
    "purchase": JourneyType("purchase", gap=2 * DAY, reopen_window=4 * DAY, cap=6 * DAY,
                            start_activities=("enquiry",), end_outcomes=()),
}  # fmt: skip
OTHER = JourneyType(gap=4 * DAY, reopen_window=DAY, cap=7 * DAY, start_activities=("hello",))
RULES = Rules(types=TYPES, default_type=OTHER)
Pieces = tuple[Any, Threads, Cut]


def days(*of: float) -> list[dict[str, Any]]:
    """Events of nothing but times, in days."""
    return [{"time": day * 86_400} for day in of]


def pieces(rows: Sequence[dict[str, Any]], rules: Rules = RULES) -> Pieces:
    events = total_order(builders.table(rows))
    found = threads(events, customers(events), Coded.nulls(events.n), Coded.nulls(events.n), rules)
    events = events.rows(found.order)
    return events, found, cut(events, found, rules)


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events days apart, to the second; ends, starts, types that become known late."""
    now, rows = 0, []
    for number in range(draw(st.integers(1, 14))):
        now += draw(st.sampled_from((0, 1, 1, 2, 3, 4, 7))) * 86_400
        now += draw(st.sampled_from((0, 0, 1, -1))) if rows else 0
        rows.append({
            "id": f"{number:02d}", "time": max(now, 0),
            "customer": draw(st.sampled_from(("ann", "ann", "ben"))),
            "case_id": draw(st.sampled_from((None, None, "c1", "c2"))),
            "journey_type": draw(st.sampled_from((None, None, "claim", "purchase"))),
            "activity": draw(st.sampled_from(("work", "work", "settled", "enquiry", "hello"))),
            "outcome": draw(st.sampled_from((None, None, "resolved", "unresolved", "other"))),
            "direction": draw(st.sampled_from(("inbound", "outbound"))),
        })  # fmt: skip
    return rows


def fold(events: Any, found: Threads, rows: range) -> list[tuple[int, int, str]]:
    """The rule, event by event: (first row, deadline, its reason) of each journey of a thread."""
    ends = facts.is_end(events, found.kind, RULES)
    mapped = ~np.isnan(facts.outcome01(events, found.kind, RULES))
    activity, out = events.coded("activity"), events.is_one("direction", "outbound")
    names = [*found.kind.names.to_pylist(), None]
    did = activity.names.to_pylist()
    begun: list[tuple[int, int, str]] = []
    first = last = 0
    end: int | None = None

    def deadline(kind: JourneyType, caseless: bool) -> tuple[int, str]:
        options = [(first + kind.cap, 0, "cap")]
        if end is not None:
            options.append((end + kind.reopen_window, 1, "end rule"))
        elif caseless:
            options.append((last + kind.gap, 2, "silence"))
        at, _, why = min(options)
        return at, why

    for i in rows:
        time, caseless = int(events.time[i]), not found.has_case[i]
        before, now = (RULES.type_of(names[c[i]]) for c in (found.known_before.codes,
                                                            found.kind.codes))  # fmt: skip
        starts = caseless and i != rows[0] and did[activity.codes[i]] in now.start_activities
        if i == rows[0] or starts or time > deadline(before, caseless)[0]:
            if begun and starts and (time, 3) < (begun[-1][1], REASONS.index(begun[-1][2])):
                begun[-1] = (begun[-1][0], time, "start rule")
            first, end = time, None
            begun.append((i, 0, ""))
        if ends[i]:
            end = time
        elif mapped[i] and not out[i]:
            end = None
        last = time
        begun[-1] = (begun[-1][0], *deadline(now, caseless))
    return begun


@LAWS
@given(logs())
def test_the_cut_is_the_fold_of_every_thread(rows: list[dict[str, Any]]) -> None:
    events, found, done = pieces(rows)
    wanted = []
    for start, length in zip(found.segments.starts, found.segments.lengths, strict=True):
        wanted += fold(events, found, range(start, start + length))
    assert done.journeys.starts.tolist() == [row for row, _, _ in wanted]
    said = [REASONS[reason] for reason in done.reason]
    assert list(zip(done.deadline.tolist(), said, strict=True)) == [
        (at, why) for _, at, why in wanted
    ]


@pytest.mark.parametrize(("rule", "length"), [("gap", 30), ("cap", 365), ("window", 14)])
def test_a_deadline_belongs_to_the_journey(rule: str, length: int) -> None:
    second = 1 / 86_400
    before = days(*range(0, length - 20, 20)) if rule == "cap" else days(0)
    if rule == "window":
        before[-1]["outcome"] = "resolved"
    if rule == "cap":
        before[:] = days(*range(0, 365, 20))
    for extra, journeys in ((-second, 1), (0, 1), (second, 2)):
        _, _, done = pieces([*before, *days(length + extra)], Rules())
        assert len(done.journeys) == journeys, (rule, extra)


def test_a_long_journey_is_cut_by_its_cap_and_begins_anew() -> None:
    rules = replace(Rules(), default_type=JourneyType(cap=5 * DAY))
    _, _, done = pieces(days(*range(14)), rules)
    assert done.journeys.starts.tolist() == [0, 6, 12]
    assert [REASONS[r] for r in done.reason] == ["cap"] * 3
