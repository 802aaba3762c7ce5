"""Threads: each event in one, by its own word, else by the nearest case within reach."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.event_table import Categorical, customers, total_order
from rejse.transforms.journeys.case_assignment import CaseAssignment, assign_cases
from rejse.transforms.schema.parameters import Rules
from tests.support import builders, strategies
from tests.support.law import examples
from tests.support.transcript import Transcript

LAWS = settings(max_examples=examples(80))


def of(rows: list[dict[str, Any]], rules: Rules | None = None) -> tuple[Any, CaseAssignment]:
    events = total_order(builders.table(rows))
    nothing = Categorical.nulls(events.n)
    assigned = assign_cases(events, customers(events), nothing, lambda _: nothing, rules or Rules())
    return events.rows(assigned.order), assigned


def cases(rows: list[dict[str, Any]]) -> dict[str, str | None]:
    """Case of each event by its id."""
    events, assigned = of(rows)
    return dict(
        zip(events.column("id").to_pylist(), assigned.case.arrow().to_pylist(), strict=True)
    )


@LAWS
@given(strategies.transcripts(rich=False))
def test_every_event_is_in_one_thread_of_its_customer_and_case(t: Transcript) -> None:
    events, assigned = of(list(t.events), t.rules)
    assert sorted(assigned.order.tolist()) == list(range(events.n))
    own, customer = events.coded("case_id"), events.coded("customer_key").codes
    assert (assigned.case.codes[own.known] == own.codes[own.known]).all()
    seen = set()
    for start, length in zip(assigned.segments.starts, assigned.segments.lengths, strict=True):
        rows = slice(start, start + length)
        assert len(set(customer[rows])) == 1
        cases_here = set(assigned.case.codes[rows].tolist())
        assert len(cases_here) == 1
        assert (events.time[rows] == np.sort(events.time[rows])).all()
        kinds = assigned.kind.codes[rows]
        if cases_here == {-1}:
            assert len(set(kinds.tolist())) == 1  # a strand has one type, or none
        strand = next(iter(cases_here)), -2 if cases_here != {-1} else int(kinds[0])
        assert (customer[start], strand) not in seen
        seen.add((customer[start], strand))


@LAWS
@given(strategies.transcripts(rich=False), st.randoms(use_true_random=False))
def test_guesses_never_look_at_guesses(t: Transcript, chance: random.Random) -> None:
    """Without its case-less neighbours an event without a case goes where it went with them."""
    rows = [{**row, "id": f"{n:02d}"} for n, row in enumerate(t.events)]
    events, assigned = of(rows, t.rules)
    whole = dict(
        zip(events.column("id").to_pylist(), assigned.case.arrow().to_pylist(), strict=True)
    )
    kept = [row for row in rows if row.get("case_id") or chance.random() < 0.5]
    if kept:
        events, assigned = of(kept, t.rules)
        part = zip(events.column("id").to_pylist(), assigned.case.arrow().to_pylist(), strict=True)
        assert all(whole[ident] == case for ident, case in part)


def event(ident: str, time: Any, **own: Any) -> dict[str, Any]:
    return {"id": ident, "time": time, **own}


def test_the_nearest_case_goes_by_correlation_then_family_then_before_then_after() -> None:
    first = event("one", "1d", case_id="c1", channel="phone", correlationid="k")
    two = event("two", "3d", case_id="c2", channel="web")
    late = event("late", "5d", case_id="c3", channel="email")
    for asked, wanted in (
        (event("x", "4d", correlationid="k"), "c1"),  # the same thread, though not the nearest
        (event("x", "3d 30min", channel="app"), "c2"),
        (event("x", "2d 23h 30min", channel="web"), "c2"),  # 30 minutes later, the same family
        (event("x", "2d 23h 29min", channel="web"), "c1"),  # 31: the nearest earlier
        (event("x", "2h", channel="chat"), "c1"),  # none earlier: the nearest later
        (event("x", "4d 23h", channel="chat"), "c2"),
    ):
        assert cases([first, two, late, asked])["x"] == wanted, asked


def test_of_two_equally_near_in_the_family_the_earlier_in_total_order_wins() -> None:
    around = [event("one", 0, case_id="c1"), event("two", "20min", case_id="c2")]
    assert cases([*around, event("x", "10min")])["x"] == "c1"
    assert cases([*around, event("x", "11min")])["x"] == "c2"


def test_a_company_message_never_joins_a_later_case() -> None:
    message = event(
        "x", 0, channel="email", direction="outbound", actor_type="system", message_kind="marketing"
    )
    case = event("one", "1h", case_id="c1", channel="email")
    assert cases([message, case])["x"] is None
    assert cases([{**message, "time": "2h"}, case])["x"] == "c1"


def test_an_ended_case_reaches_its_window_only() -> None:
    end = event("one", 0, case_id="c1", outcome="resolved")
    assert cases([end, event("x", "14d")])["x"] == "c1"
    assert cases([end, event("x", "14d 1s")])["x"] is None
    assert cases([{**end, "outcome": None}, event("x", "30d")])["x"] == "c1"
