"""Promises against the rule told as a story, one event after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.dimensions.tables import FAR, Operational
from rejse.transforms.features.promises import STATUS, promises
from rejse.transforms.journeys.sessionise import SessionisedEvents, sessionise
from rejse.transforms.schema.parameters import DAY, Rules
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(100))
GIVE_UP, LATENESS = 5 * DAY, DAY
#: Days of events and of due times: few, so that many words come exactly when something is due.
DAYS = st.sampled_from((0, 1, 2, 5, 7, 9, 10, 14))


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Words about two promises of two customers, days apart, in several cases."""
    rows = []
    for number in range(draw(st.integers(1, 9))):
        op = draw(st.sampled_from(("made", "made", "moved", "delivered", "cancelled")))
        due = draw(st.sampled_from((None, 2, 5, 9))) if op == "made" else draw(DAYS)
        rows.append({
            "id": f"{number}", "time": draw(DAYS) * 86_400,
            "customer": draw(st.sampled_from(("ann", "ann", "ann", "ben"))),
            "case_id": draw(st.sampled_from((None, "c1", "c2"))),
            "actor_type": draw(st.sampled_from(("customer", "human"))),
            "activity_id": draw(st.sampled_from((None, None, "a"))),
            "promise": {
                "id": draw(st.sampled_from(("p", "p", "p", "q"))), "op": op, "kind": "date",
                "due_time": due if due is None else due * 86_400,
                "value": draw(st.sampled_from((None, "v", "w"))),
            },
        })  # fmt: skip
    return rows


def story(words: list[dict[str, Any]], frontier: int) -> dict[str, Any] | None:
    """What became of one promise; None where it was never made."""
    promise: dict[str, Any] | None = None
    for row in words:
        now, mention = builders.micros(row["time"]), row["promise"]
        due = FAR if mention["due_time"] is None else builders.micros(mention["due_time"])
        if promise is None:
            if mention["op"] == "made":
                promise = {"made": row["id"], "due": due, "value": mention["value"], "n_moves": 0,
                           "done": None, "end": end(now, due)}  # fmt: skip
        elif now > promise["end"]:
            continue
        elif mention["op"] in ("made", "moved"):
            promise["n_moves"] += 1
            if promise["done"] is None and now <= promise["due"] and due != FAR:
                promise |= {"due": due, "end": end(now, due)}
        elif promise["done"] is None:
            promise["done"] = (now, mention["op"], mention["value"], row["actor_type"])
    return promise and {**promise, "status": status(promise, frontier)}


def end(now: int, due: int) -> int:
    """Nothing later is part of the promise that was made or moved now."""
    return (now if due == FAR else due) + GIVE_UP


def status(promise: dict[str, Any], frontier: int) -> str:
    due, dated = promise["due"], promise["due"] != FAR
    if promise["done"] is None:
        if dated and frontier > due + GIVE_UP + LATENESS:
            return "broken"
        return "late" if dated and frontier > due + LATENESS else "open"
    now, op, value, actor = promise["done"]
    if op == "cancelled":
        return "cancelled" if actor == "customer" and now <= due else "broken"
    if not dated:
        return (
            "broken"
            if None not in (value, promise["value"]) and value != promise["value"]
            else "kept"
        )
    return "kept" if now <= due else "late"


def sessionised(rows: list[dict[str, Any]]) -> SessionisedEvents:
    return sessionise(builders.table(rows), Operational(), Rules())


@LAWS
@given(logs(), st.sampled_from((0, 3, 6, 10, 11, 15, 25)), st.sampled_from((0, 1)))
def test_every_promise_is_as_its_story_says(
    rows: list[dict[str, Any]], day: int, beside: int
) -> None:
    frontier = builders.micros(builders.moment(day * 86_400)) + beside
    sessions = sessionised(rows)
    ids = sessions.events.column("id").to_pylist()
    made = promises(sessions, frontier, LATENESS, GIVE_UP, Operational({}))
    wanted, orphans = [], 0
    whole = sorted((builders.full(row) for row in rows), key=lambda r: (r["time"], r["id"]))
    keys = {(r["customer_key"], r["promise"]["id"]) for r in whole}
    for key in keys:
        state = story(
            [r for r in whole if (r["customer_key"], r["promise"]["id"]) == key], frontier
        )
        if state is None:
            orphans += 1
        else:
            wanted.append((state["made"], key[1], state["due"], state["status"], state["n_moves"]))
    statuses = zip(
        (ids[row] for row in made.made),
        made.name.to_pylist(),
        made.due.tolist(),
        (STATUS[code] for code in made.status),
        made.n_moves.tolist(),
        strict=True,
    )
    assert sorted(statuses) == sorted(wanted)
    assert made.n_orphans == orphans


@LAWS
@given(logs(), st.sampled_from((3, 6, 10, 11, 15, 25)))
def test_what_comes_later_changes_no_promise_that_has_ended(
    rows: list[dict[str, Any]], day: int
) -> None:
    frontier = builders.micros(builders.moment(day * 86_400))
    known = [r for r in rows if builders.micros(builders.moment(r["time"])) <= frontier - LATENESS]
    before, after = (of(sessionised(some), frontier) for some in (known, rows))
    for key, (latest, state) in before.items():
        if latest < frontier - LATENESS:
            assert after[key] == (latest, state)


def of(sessions: SessionisedEvents, frontier: int) -> dict[tuple[str, str], tuple[int, Any]]:
    """By the event that made it and its id: when a promise ends, and what became of it."""
    ids = sessions.events.column("id").to_pylist()
    made = promises(sessions, frontier, LATENESS, GIVE_UP, Operational({}))
    return {
        (ids[row], name): (latest, (due, STATUS[status], moves, done >= 0 and ids[done]))
        for row, name, latest, due, status, moves, done in zip(
            made.made,
            made.name.to_pylist(),
            made.latest.tolist(),
            made.due.tolist(),
            made.status,
            made.n_moves.tolist(),
            made.delivered,
            strict=True,
        )
    }


def test_nothing_promised() -> None:
    for rows in ([{"time": 0}], [{"time": 0, "promise": {"op": "made", "id": None}}]):
        made = promises(sessionised(rows), 0, 0, 0, Operational({}))
        assert len(made.made) == made.n_orphans == 0
        assert made.due.dtype == np.int64
