"""The tests of the score hold no circle: what an end or what follows makes is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import product
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rejse.pipelines.publication import catalogue
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.schema.parameters import MINUTE, SECOND, JourneyType, Rules
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.evidence import Evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import TESTS, kind
from tests.support import builders, store_builder, strategies
from tests.support.core import context_of, score_events
from tests.support.sql_world import table
from tests.support.transcript import Transcript

Log = Sequence[Mapping[str, Any]]
#: As many customers of each side as an area needs.
EACH = 10
PLACES = Operational(
    {
        "touchpoints": pa.Table.from_pylist([
            {"touchpoint": "line", "owner": "service", "channel": "phone", "expected_wait_s": 10.0,
             "expected_latency_s": 60.0},
        ])
    }
)  # fmt: skip
CALL = {"channel": "phone", "touchpoint": "line", "intent": "bill"}
LOOK = {"channel": "internal", "activity": "look", "touchpoint": "line"}
DUE = {"op": "made", "due_time": "3d"}


def asked(outcome: str | None, at: str = "0", **own: Any) -> dict[str, Any]:
    return {"time": at, "channel": "web", "intent": "bill", "outcome": outcome, **own}


#: What a good and a bad end look like in the log, where the rule of the kind hangs on the end.
ENDS: dict[str, tuple[Log, Log]] = {
    "promise_broken": (
        [asked(None, promise=DUE), asked("resolved", "2d", promise={"op": "delivered"})],
        [asked(None, promise=DUE), asked("unresolved", "1d", promise={"op": "cancelled"},
                                         actor_type="human", direction="outbound")],
    ),
    "customer_wait": (
        [{"time": "0", **CALL, "wait_s": 90, "outcome": "resolved"}],
        [{"time": "0", **CALL, "outcome": "abandoned"}],
    ),
    "abandonment": (
        [{"time": "0", **CALL, "outcome": "resolved"}],
        [{"time": "0", **CALL, "outcome": "abandoned"}],
    ),
    "dead_end": ([asked("resolved")], [asked("error")]),
    "reopened": (
        [asked("resolved")],
        [asked("resolved"), asked("unresolved", "1d", channel="phone")],
    ),
    "self_rescue": (
        [asked("resolved", actor_type="human", channel="phone"), asked(None, "10min")],
        [asked("partly", actor_type="human", channel="phone"), asked("no_result", "2h")],
    ),
    "channel_fallback": (
        [asked("informed"), asked("informed", "2h", channel="phone", actor_type="human")],
        [asked("unresolved"), asked("unresolved", "2h", channel="phone", actor_type="human")],
    ),
    "repeat_contact": (
        [asked("informed"), asked("informed", "2h")],
        [asked("unresolved"), asked("unresolved", "2h")],
    ),
    "ping_pong": (
        [asked(None, owner="a"), asked("informed", "1min", owner="b"),
         asked("informed", "2min", owner="a")],
        [asked(None, owner="a"), asked("unresolved", "1min", owner="b"),
         asked("unresolved", "2min", owner="a")],
    ),
    "handoff_dropped": (
        [asked(None, to_owner="b"), asked("resolved", "1h", owner="b", actor_type="human",
                                          direction="outbound")],
        [asked(None, to_owner="b"), asked("unresolved", "1h", actor_type="system",
                                          direction="outbound")],
    ),
    "internal_wait": (
        [asked(None), {"time": "1h", **LOOK, "lifecycle": "schedule"},
         {"time": "9h", **LOOK, "outcome": "resolved"}],
        [asked(None), {"time": "1h", **LOOK, "lifecycle": "schedule"},
         {"time": "9h", **LOOK, "activity": "shut", "outcome": "unresolved"}],
    ),
    "upsell_in_problem": (
        [asked("resolved"), asked(None, "1h", direction="outbound", message_kind="upsell")],
        [asked("unresolved"), asked(None, "1h", direction="outbound", message_kind="upsell")],
    ),
}  # fmt: skip


PHONE = {"channel": "phone", "actor_type": "human"}
DONE = {"direction": "internal", "activity": "file", "lifecycle": "complete", "channel": "phone"}
#: A first contact of which nothing more is heard, and one that is repeated; the rest is alike.
NEXT: dict[str, tuple[Log, Log]] = {
    "dead_end": ([asked("error")], [asked("error"), asked(None, "1d")]),
    "transfer": ([asked("transferred")], [asked("transferred"), asked(None, "1d")]),
    "escalation": ([asked("escalated")], [asked("escalated"), asked(None, "1d")]),
    "handoff_dropped": (
        [asked(None, to_owner="b"), asked(None, "5min")],
        [asked(None, to_owner="b"), asked(None, "5min"), asked(None, "1d", owner="b", **PHONE)],
    ),
    "promise_broken": (
        [asked(None, promise={**DUE, "due_time": "1min"}), asked(None, "5min"),
         asked(None, "2d", promise={"op": "delivered"}, direction="outbound")],
        [asked(None, promise={**DUE, "due_time": "1min"}), asked(None, "5min"),
         asked(None, "1d"), asked(None, "2d", promise={"op": "cancelled"}, direction="outbound")],
    ),
    "reopened": (
        [{"time": "-1d", "channel": "internal", "outcome": "resolved"}, asked(None)],
        [{"time": "-1d", "channel": "internal", "outcome": "resolved"}, asked(None),
         asked("partly", "1d")],
    ),
    "rework": (
        [asked(None, **PHONE), *({**DONE, "time": f"{n}min"} for n in (1, 2))],
        [asked(None, **PHONE), *({**DONE, "time": f"{n}min"} for n in (1, 2)),
         asked(None, "1d", **PHONE), {**DONE, "time": "1d 1min"}],
    ),
}  # fmt: skip


def events_of(target: str, name: str, logs: tuple[Log, Log]) -> list[dict[str, Any]]:
    """Events of ten customers of each log, in journeys of a type of their own."""
    return [
        {**event, "customer": f"{target}-{name}-{side}{n}", "id": f"{target}-{name}-{side}{n}-{at}",
         "case_id": f"{side}{n}", "journey_type": f"{target} {name}"}
        for (side, log), n in product(enumerate(logs), range(EACH))
        for at, event in enumerate(log)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What is served of all logs: areas, what they compare, and all evidence."""
    root = tmp_path_factory.mktemp("circles")
    events = [
        event
        for target, logs_by_name in (("bad_end", ENDS), ("repeat_contact", NEXT))
        for name, logs in logs_by_name.items()
        for event in events_of(target, name, logs)
    ]
    past = {"time": "-60d", "customer": "past", "intent": "old"}
    rules = Rules(default_type=JourneyType(handoff_due=MINUTE))
    made = score_events(builders.table([past, *events]), PLACES, rules, {"crm": 2**60})
    names = ("journeys", "steps", "sessions", "friction_evidence")
    until = {"crm": builders.micros(builders.moment("400d"))}
    rows = {name: made[name].to_pylist() for name in names}
    store_builder.published(root, rows, frontiers=until)
    with catalogue.connect(root) as opened:
        return {
            "areas": table(opened, "from v_validity_auc where ended_month is null"),
            "ends": table(
                opened,
                "select journey_id, journey_type, hazard_apart, is_bad_end as is_hit"
                " from v_scored_ends where is_bad_end is not null",
            ),
            "evidence": table(opened, "from v_friction_evidence"),
        }


def area_of(served: Mapping[str, list[Any]], target: str, name: str) -> Any:
    """The area of what a log is compared by."""
    [area] = [
        row
        for row in served["areas"]
        if (row["target"], row["journey_type"]) == (target, f"{target} {name}")
    ]
    return area


def hazards(name: str, scored: list[Any], evidence: list[Any]) -> dict[bool, set[float]]:
    """What the kind alone would give each side."""
    hazards_by_hit: dict[bool, set[float]] = {True: set(), False: set()}
    for row in scored:
        of = [
            e["severity"]
            for e in evidence
            if e["journey_id"] == row["journey_id"] and e["kind"] == name
        ]
        hazards_by_hit[row["is_hit"]].add(round(-sum(map(log1p, (-s for s in of))), 9))
    return hazards_by_hit


@pytest.mark.parametrize("name", sorted(ENDS))
def test_an_end_that_makes_its_own_friction_proves_nothing(
    served: Mapping[str, list[Any]], name: str
) -> None:
    scored = [row for row in served["ends"] if row["journey_type"] == f"bad_end {name}"]
    sides = hazards(name, scored, served["evidence"])
    assert min(sides[True]) > max(sides[False]) or max(sides[True]) < min(sides[False]), "a circle"
    area = area_of(served, "bad_end", name)
    assert (area["n_hits"], area["n_others"], area["auc"]) == (EACH, EACH, None)
    assert name in area["left_out"]


@pytest.mark.parametrize("name", sorted(NEXT))
def test_a_next_contact_that_makes_earlier_friction_proves_nothing(
    served: Mapping[str, list[Any]], name: str
) -> None:
    area = area_of(served, "repeat_contact", name)
    assert (area["n_hits"], area["n_others"], area["auc"]) == (EACH, EACH, None)
    assert name in area["left_out"]


def pieces(ctx: JourneyContext, name: str, until: Mapping[str, int] | None = None) -> set[Any]:
    """Evidence of a kind: by which event it is proved, at which one it lies, how heavy it is; of
    the events in `until` only, where it had happened by the time given there.
    """
    evidence, ids = KINDS[name].detect(ctx), ctx.sessionised.events.column("id").to_pylist()
    heavy = np.round(evidence.weight * evidence.intensity * evidence.confidence, 9).tolist()
    rows = zip(evidence.row, ctx.steps.first[evidence.step], heavy, evidence.time, strict=True)
    named = {(ids[row], ids[at], s, int(when)) for row, at, s, when in rows}
    if until is None:
        return named
    return {piece for piece in named
            if piece[0] in until and piece[1] in until and piece[3] <= until[piece[1]]}  # fmt: skip


def ended(t: Transcript, outcome: str) -> Transcript:
    """The same log, but what each customer's last mapped outcome that ends nothing was."""
    last = {e["customer"]: e["id"] for e in t.events
            if e.get("outcome") in ("informed", "partly", "error", "no_result")}  # fmt: skip
    events = [
        {**e, "outcome": outcome} if last.get(e["customer"]) == e["id"] else e for e in t.events
    ]
    return dataclasses.replace(t, events=tuple(events))


@pytest.mark.parametrize("seed", range(31, 34))
def test_no_kind_in_the_test_of_ends_sees_how_it_ended(seed: int) -> None:
    """Of two logs that differ by their last outcomes alone, each such kind finds the same."""
    t = strategies.many(seed, 400)
    good, bad = (context_of(ended(t, outcome)) for outcome in ("informed", "error"))
    seen = {name for name in KINDS if pieces(good, name) != pieces(bad, name)}
    assert seen <= {name for name, spec in KINDS.items() if "bad_end" in spec.circular_with}
    assert {"dead_end", "channel_fallback", "repeat_contact"} <= seen


def of_one_thread(seed: int) -> tuple[Transcript, Transcript, dict[str, int]]:
    """A log, what it was when half of each customer's sessions had ended, and until when that was:
    sessions end by silence alone, and all is of one case and type, so that nothing joins later.
    """
    t = strategies.many(seed, 300)
    joins = ("correlationid", "activity_id")
    events = [{**{name: value for name, value in event.items() if name not in joins},
               "case_id": "c1", "journey_type": "claim"} for event in t.events]  # fmt: skip
    gap, until = t.rules.windows.session_gap // SECOND, {}
    for customer in dict.fromkeys(event["customer"] for event in events):
        mine = [event for event in events if event["customer"] == customer]
        ends = [k for k in range(1, len(mine)) if mine[k]["time"] - mine[k - 1]["time"] > gap + 120]
        kept = mine[: ends[len(ends) // 2]] if ends else mine
        last = builders.micros(builders.moment(kept[-1]["time"]))
        until |= {event["id"]: last for event in kept}
    whole = dataclasses.replace(t, events=tuple(events), records={})
    some = tuple(event for event in events if event["id"] in until)
    return whole, dataclasses.replace(whole, events=some), until


@pytest.mark.parametrize("seed", range(41, 44))
def test_no_kind_in_the_test_of_repeats_sees_what_follows(seed: int) -> None:
    """What had happened by the end of a contact is the same, whatever came after it."""
    *logs, until = of_one_thread(seed)
    whole, some = map(context_of, logs)
    seen = {name for name in KINDS if pieces(whole, name, until) != pieces(some, name, until)}
    assert seen <= {name for name, spec in KINDS.items() if "repeat_contact" in spec.circular_with}
    assert {"dead_end", "transfer", "handoff_dropped", "promise_broken"} <= seen


def test_a_circle_is_declared_with_its_reason() -> None:
    for declared in ({"bad end": "by rule"}, {"bad_end": ""}):
        with pytest.raises(ValueError, match="expected a reason for each of"):
            kind(
                "node", "x", {"outcome"}, label="None", story="met nothing", circular_with=declared
            )(_detect)
    assert {test for spec in KINDS.values() for test in spec.circular_with} <= set(TESTS)
    assert "_detect" not in KINDS


def _detect(ctx: JourneyContext) -> Evidence:
    """Nothing: it is never registered."""
    return no_evidence(ctx, "_detect")


def test_the_catalogue_lists_the_kinds_as_they_are_declared(tmp_path: Path) -> None:
    store_builder.published(tmp_path)
    with catalogue.connect(tmp_path) as opened:
        kinds = {row["kind"]: row for row in table(opened, "from v_kinds")}
        tests = {row["test"]: row["left_out"] for row in table(opened, "from v_validity_tests")}
    assert set(kinds) == set(KINDS)
    for name, spec in KINDS.items():
        row = kinds[name]
        assert row["circular_with"] == sorted(spec.circular_with)
        assert all(reason in row["circular_reasons"] for reason in spec.circular_with.values())
        assert (row["circular_reasons"] is None) == (spec.circular_with == {})
        assert (row["locus"], row["is_launch"]) == (spec.locus, spec.is_launch)
    assert set(tests) == set(TESTS)
    assert tests["ces"] == tests["experience"] == [], "no kind reads an answer"
    assert tests["bad_end"] == sorted({*ENDS, "channel_switch"})
    assert tests["repeat_contact"] == sorted({*NEXT, "handoff_without_context", "ping_pong"})
