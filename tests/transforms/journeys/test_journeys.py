"""Cutting threads into journeys: all threads at once against the rule, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.event_table import Categorical, customers, total_order
from rejse.transforms.journeys.case_assignment import CaseAssignment, assign_cases
from rejse.transforms.journeys.fold import Fold
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.journeys.split import REASONS, JourneyBounds, split_journeys
from rejse.transforms.schema.parameters import DAY, JourneyType, Rules
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(120))
#: Gap, window and cap so near each other that every one of them is the earliest deadline at times.
TYPES = {
    "claim": JourneyType("claim", gap=3 * DAY, case_gap=5 * DAY, reopen_window=2 * DAY, cap=9 * DAY,
                         end_activities=("settled",)),
    "purchase": JourneyType("purchase", gap=2 * DAY, reopen_window=4 * DAY, cap=6 * DAY,
                            start_activities=("enquiry",), end_outcomes=()),
}  # fmt: skip
OTHER = JourneyType(
    gap=4 * DAY, case_gap=3 * DAY, reopen_window=DAY, cap=7 * DAY, start_activities=("hello",)
)
#: Objects of a few types, some of them shared.
OBJECTS = tuple(
    [{"type": kind, "id": ident} for kind, ident in some]
    for some in ((("order", "1"),), (("order", "2"),), (("order", "1"), ("device", "a")),
                 (("device", "b"),), (("order", "2"), ("order", "1")))
)  # fmt: skip
RULES = Rules(types=TYPES, default_type=OTHER)
Pieces = tuple[Any, CaseAssignment, JourneyBounds]


def days(*of: float) -> list[dict[str, Any]]:
    """Events of nothing but times, in days."""
    return [{"time": day * 86_400} for day in of]


def pieces(rows: Sequence[dict[str, Any]], rules: Rules = RULES) -> Pieces:
    events = total_order(builders.table(rows))
    nothing = Categorical.nulls(events.n)
    cases = assign_cases(events, customers(events), nothing, lambda _: nothing, rules)
    events = events.rows(cases.order)
    needs = Needs.of(events, events.coded("product_id"))
    return events, cases, split_journeys(events, cases, needs, rules)


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events days apart, to the second; ends, starts, types that become known late."""
    now, rows = 0, []
    for number in range(draw(st.integers(1, 14))):
        now += draw(st.sampled_from((0, 0, 0, 1, 1, 2, 3, 4, 7))) * 86_400
        now += draw(st.sampled_from((0, 0, 1, -1, 600, 1800, 1801))) if rows else 0
        rows.append({
            "id": f"{number:02d}", "time": max(now, 0),
            "customer": draw(st.sampled_from(("ann", "ann", "ben"))),
            "case_id": draw(st.sampled_from((None, None, "c1", "c2"))),
            "journey_type": draw(st.sampled_from((None, None, "claim", "purchase"))),
            "activity": draw(st.sampled_from(("work", "work", "settled", "enquiry", "hello"))),
            "outcome": draw(st.sampled_from((
                None, None, None, "resolved", "unresolved", "abandoned", "sold", "partly",
            ))),
            "direction": draw(st.sampled_from(("inbound", "outbound"))),
            "message_kind": draw(st.sampled_from((None, None, "service"))),
            "channel": draw(st.sampled_from(("web", "phone"))),
            "product_id": draw(st.sampled_from((None, None, "p", "q"))),
            "objects": draw(st.sampled_from((None, None, None, *OBJECTS))),
        })  # fmt: skip
    return rows


@LAWS
@given(logs())
def test_the_cut_is_the_fold_of_every_thread(rows: list[dict[str, Any]]) -> None:
    events, cases, done = pieces(rows)
    fold = Fold(events, cases, Needs.of(events, events.coded("product_id")), RULES)
    wanted = []
    for start, length in zip(cases.segments.starts, cases.segments.lengths, strict=True):
        wanted += [row for row, _, _ in fold.split_case(int(start), int(start + length))]
    assert done.journeys.starts.tolist() == wanted


@LAWS
@given(logs())
def test_time_parts_no_events_of_one_instant(rows: list[dict[str, Any]]) -> None:
    """Without starts and needs, which events of an instant share a journey hangs on no order."""
    plain = [{**row, "activity": "work", "product_id": None, "objects": None} for row in rows]
    plain = [
        {**row, "outcome": None if row["outcome"] == "sold" else row["outcome"]} for row in plain
    ]
    events, cases, done = pieces(plain)
    time, thread = events.time, cases.segments.ids
    alike = (time[1:] == time[:-1]) & (thread[1:] == thread[:-1])
    assert not done.journeys.begins[1:][alike].any()


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
