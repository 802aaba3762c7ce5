"""Hypothesis strategies: small logs in which every rule of the core has something to decide."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import yaml
from hypothesis import strategies as st

from tests.support import builders
from tests.support.oracle import Case
from tests.support.transcript import FOLDER, Transcript

BASE: Mapping[str, Any] = yaml.safe_load((FOLDER / "base.yaml").read_text(encoding="utf-8"))
#: The same company with its other operational tables too.
COMPANY = BASE | yaml.safe_load((FOLDER.parent / "company.yaml").read_text(encoding="utf-8"))

#: Silences between events, in seconds: those at which rules turn, and a second beside them.
SILENCES = (0, 0, 1, 60, 1799, 1800, 1801, 3600, 86_400, 2 * 86_400, 2 * 86_400 + 1,
            5 * 86_400, 7 * 86_400, 7 * 86_400 + 1, 10 * 86_400, 10 * 86_400 + 1, 14 * 86_400,
            14 * 86_400 + 1, 29 * 86_400, 30 * 86_400 + 1)  # fmt: skip
FIELDS = ("name", "plate", "date")
#: Days from the last event to the frontier: far beyond every deadline, or among them.
FRONTIERS = (400, 400, 0, 4, 12, 20, 34)
#: Channels of a log's events: some forms of friction need many events of one sort.
MOODS = {
    "mixed": ("web", "phone", "app", "email", "chatbot", "chat", "ivr", "branch", "internal"),
    "inside": ("internal", "internal", "phone"),
    "selling": ("email", "sms", "branch"),
    "alone": ("phone", "web"),
}
#: Objects that events touch: orders and devices, some of them shared.
OBJECTS = tuple(
    [{"type": kind, "id": ident} for kind, ident in some]
    for some in (
        (("order", "1"),),
        (("order", "2"),),
        (("order", "1"), ("device", "1")),
        (("device", "2"), ("order", "2"), ("order", "1")),
    )
)
OWNERS = ("sales", "claims", "web", "ops")


class Pick(Protocol):
    """Chooses one of some values: Hypothesis, or a seeded generator for big logs."""

    def __call__(self, values: Sequence[Any], /) -> Any: ...


def _often(pick: Pick, *values: Any) -> Any:
    """Null or one of the values; null first, so that examples shrink to events that say little."""
    return pick((None, None, *values))


def info(pick: Pick) -> list[dict[str, Any]] | None:
    """Fields given, asked, verified, passed, shown; mostly none, each op of a field once."""
    values: dict[tuple[str, str], str] = {}
    for _ in range(pick((0, 0, 0, 0, 1, 2, 3))):
        op = pick(("given", "given", "given", "asked", "verify", "passed", "shown"))
        values[op, pick(FIELDS)] = pick(("x", "y"))
    return [
        {"op": op, "field": f, "value_hmac": builders.value_of(v) if op == "given" else None}
        for (op, f), v in values.items()
    ] or None


def promise(pick: Pick, now: int) -> dict[str, Any] | None:
    """One word about one of two promises, mostly none."""
    if pick((True, True, True, False)):
        return None
    op = pick(("made", "made", "moved", "delivered", "cancelled"))
    due = pick((None, 86_400, 3 * 86_400, 20 * 86_400)) if op in ("made", "moved") else None
    return {
        "id": pick(("p1", "p2")),
        "op": op,
        "kind": pick(("date", "date", "date", "sla")),
        "due_time": None if due is None else now + due,
        "due_date": pick((None, None, f"2026-01-0{1 + now // 86_400 % 9}")),
        "value": pick((None, None, "v", "w", "answer", "resolution")),
    }


def claims(pick: Pick, now: int) -> list[dict[str, Any]] | None:
    """Claims on one or two topics, mostly none; some hold for a day or ten."""
    stated = {pick(("price", "date")): pick(("x", "y")) for _ in range(pick((0, 0, 0, 1, 2)))}
    until = pick((None, None, 86_400, 10 * 86_400))
    valid_to = None if until is None else builders.moment(now + until)
    return [
        {"topic": topic, "value_hmac": builders.value_of(value), "valid_to": valid_to}
        for topic, value in stated.items()
    ] or None


def event(pick: Pick, now: int, rich: bool = True, mood: str = "mixed") -> dict[str, Any]:
    """One event; `rich` ones carry fields, promises and hand-offs asked for too."""
    channel = pick(MOODS[mood])
    directions = ("internal",) if channel == "internal" else ("inbound", "inbound", "outbound")
    if mood == "selling":
        directions = ("inbound", "outbound", "outbound", "outbound")
    row: dict[str, Any] = {
        "time": now,
        "source": pick(("crm", "web")),
        "sequence": _often(pick, 1, 2),
        "channel": channel,
        "direction": pick(directions),
        "actor_type": pick(("customer", "human", "bot", "system")),
        "activity": pick(("contact", "contact", "work", "enquiry", "settled", "question")),
        "activity_id": _often(pick, None, None, "a1", "a2"),
        "journey_type": _often(pick, "claim", "purchase", "short"),
        "case_id": _often(pick, "c1", "c2"),
        "correlationid": _often(pick, "k1", "k2"),
        "outcome": _often(
            pick,
            "resolved",
            "unresolved",
            "informed",
            "transferred",
            "sold",
            "escalated",
            "abandoned",
            "no_result",
            "error",
            "partly",
            "declined",
        ),
        "intent": _often(pick, "bill", "move"),
        "touchpoint": _often(pick, "claims desk", "service line", "moved desk", "form", "counter"),
        "owner": _often(pick, *OWNERS),
        "team": _often(pick, "first", "second"),
        "actor_id": _often(pick, "kim", "ole"),
        "site_id": _often(pick, "s1", "s2"),
        "tz": _often(pick, "Asia/Kolkata", "America/New_York"),
    }
    if row["direction"] == "outbound":
        row["message_kind"] = _often(pick, "marketing", "service", "reminder", "upsell")
        row["message_id"] = _often(pick, None, "m1", "m2")
        row["relevance_basis"] = _often(pick, "due", "none")
        row["consent_purpose"] = _often(pick, ["service"], ["care"], [])
        row["campaign_id"] = _often(pick, "spring", "winter")
    if rich:
        row |= _riches(pick, now)
    return {name: value for name, value in row.items() if value is not None}


def _riches(pick: Pick, now: int) -> dict[str, Any]:
    return {
        "info": info(pick),
        "promise": promise(pick, now),
        "claims": claims(pick, now),
        "error_code": _often(pick, None, None, None, "E1"),
        "results_n": _often(pick, None, None, 0, 3),
        "to_owner": _often(pick, *(None,) * 12, *OWNERS),
        "to_team": _often(pick, *(None,) * 8, "second"),
        "wait_s": _often(pick, 0, 9, 10, 60, 90, 500),
        "talk_s": _often(pick, 30, 200),
        "hold_s": _often(pick, None, 20),
        "agent_s": _often(pick, None, 45, 100),
        "cost_amount": _often(pick, None, Decimal("1.5"), Decimal("0.25")),
        "currency": _often(pick, "DKK", "DKK", "DKK", "EUR"),
        "waiting_for": _often(pick, None, "customer", "company", "third_party"),
        "lifecycle": _often(
            pick, None, None, "start", "complete", "resume", "suspend", "schedule", "assign"
        ),
        "start_time": _often(pick, None, None, None, now - 60),
        "end_time": _often(pick, None, None, None, now + 60),
        "stage": _often(pick, "before", "during", "after"),
        "product_id": _often(pick, "p", "q"),
        "objects": _often(pick, None, None, *OBJECTS),
        "system": _often(pick, "portal", "mail"),
    }


def log(pick: Pick, length: int, customers: Sequence[str], rich: bool) -> list[dict[str, Any]]:
    """Events in time order, with silences at which rules turn."""
    now, rows = 0, []
    mood = pick(("mixed", "mixed", *MOODS))
    for number in range(length):
        now += pick(SILENCES)
        row = event(pick, now, rich, mood)
        row["id"] = f"{pick((0, 1))}{number:02d}{customers[0]}"
        row["customer"] = pick(customers)
        rows.append(row)
    return rows


def known(pick: Pick, events: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Records of the log's customers, valid around the events' times; mostly none."""
    records: dict[str, list[dict[str, Any]]] = {"cases": [], "customers": []}
    for number in range(pick((0, 0, 1, 3, 6))):
        about = pick(events)
        start = max(0, about["time"] + pick((0, -1, 1, -86_400)))
        row = {
            "id": f"{number}{about['id']}",
            "customer": about["customer"],
            "time": start,
            "valid_to": _often(pick, None, start, start + 1, start + 5 * 86_400),
        }
        facts = {
            "cases": {
                "case_id": pick(("c1", "c2")),
                "journey_type": _often(pick, "claim", "purchase", "short"),
                "product_id": _often(pick, "p", "q"),
            },
            "customers": {
                "segment": _often(pick, "home", "firm"),
                "lifecycle_stage": _often(pick, "new", "leaver"),
            },
        }
        kind = pick(("cases", "customers"))
        records[kind].append({**row, **facts[kind]})
    return {kind: tuple(rows) for kind, rows in records.items() if rows}


INSTRUMENTS = (
    "nps",
    "csat",
    "ces",
    "effort",
    "empathy",
    "sentiment",
    "review",
    "complaint",
    "other",
)


SAID = ("good", "not good, terrible", "good, but slow", "terrible", "fantastisk", " ")


def record(pick: Pick, now: int, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One X-record, about one of the events or about none of them."""
    about = pick(events)
    row: dict[str, Any] = {
        "time": now,
        "customer": pick((about["customer"], about["customer"], "zoe")),
        "source": pick(("survey", "desk")),
        "sequence": _often(pick, 1, 2),
        "instrument": pick(INSTRUMENTS),
        "level": pick(("touchpoint", "touchpoint", "journey", "relationship", "product")),
        "respondent_type": pick(("customer", "customer", "customer", "employee")),
        "raw_score": _often(pick, *(float(n) for n in range(-1, 12))),
        "scale_max": _often(pick, None, None, 10.0),
        "higher_is_better": _often(pick, None, None, True, False),
        "solicited": _often(pick, None, True, False),
        "invited_time": _often(pick, now - 60),
        "responded_time": _often(pick, now),
        "action_time": _often(pick, None, now + 86_400, now + 8 * 86_400),
        "target": _often(pick, None, about["id"], f"{about['source']}/{about['id']}", "k1", "form"),
        "correlationid": _often(pick, None, "k1"),
        "case_id": _often(pick, None, "c1", "c2"),
        "touchpoint": _often(pick, about.get("touchpoint"), "form"),
        "journey_type": _often(pick, None, None, "claim", "other"),
        "text": pick((None, None, *SAID)),
        "language": pick(("en", "en", "en-GB", "da", "fi", None)),
    }
    return {name: value for name, value in row.items() if value is not None}


def records(
    pick: Pick, events: Sequence[Mapping[str, Any]], most: int
) -> tuple[dict[str, Any], ...]:
    """X-records around events, at gaps at which the rules of the join turn."""
    answers = []
    for number in range(pick(range(most + 1))):
        gap = pick((0, 0, 1, 3600, 3 * 86_400, 3 * 86_400 + 1, 14 * 86_400, 14 * 86_400 + 1,
                    30 * 86_400, 30 * 86_400 + 1, -3600, -86_400))  # fmt: skip
        answers.append(
            {
                **record(pick, max(0, pick(events)["time"] + gap), events),
                "id": f"x{number:03d}{events[0]['customer']}",
            }
        )
    return tuple(answers)


def in_a_company(pick: Pick, rows: Sequence[dict[str, Any]]) -> Transcript:
    """The events in a company with few or all tables, the frontier some days after the last."""
    days, company = pick(FRONTIERS), pick((BASE, COMPANY))
    frontier = f"{days * 86_400 + max(row['time'] for row in rows) + 1}s"
    config = {**company, "texts": {"validated": pick(([], ["en"], ["en"]))}}
    return Transcript("random", tuple(rows), {}, {"crm": frontier, "web": frontier}, config)


@functools.cache
def _below(number: int) -> st.SearchStrategy[int]:
    return st.integers(0, number - 1)


def _drawn_by(draw: st.DrawFn) -> Pick:
    """Choose by Hypothesis: a place, for it takes long to make a strategy of each few values."""
    return lambda values: values[draw(_below(len(values)))]


@st.composite
def felt(draw: st.DrawFn, max_events: int = 8, max_records: int = 8) -> Transcript:
    """A random log with X-records about it."""
    transcript = draw(transcripts(max_events, rich=False))
    some = records(_drawn_by(draw), transcript.events, max_records)
    return dataclasses.replace(transcript, experience=some)


@st.composite
def transcripts(draw: st.DrawFn, max_events: int = 12, rich: bool = True) -> Transcript:
    """A random log of up to three customers, with a frontier after its last event."""
    length = draw(st.integers(1, max_events))

    pick = _drawn_by(draw)
    rows = log(pick, length, ("ann", "ann", "ben", "eve"), rich)
    transcript = in_a_company(pick, rows)
    return dataclasses.replace(transcript, records=known(pick, rows))


def many(seed: int, customers: int, rich: bool = True) -> Transcript:
    """A seeded log of many customers, for what is too slow to repeat for each small one."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    records: dict[str, tuple[Any, ...]] = {}
    for number in range(customers):
        mine = log(chance.choice, chance.randint(1, 12), (f"c{number:03d}",), rich)
        rows += mine
        for kind, some in known(chance.choice, mine).items():
            records[kind] = records.get(kind, ()) + some
    return dataclasses.replace(in_a_company(chance.choice, rows), records=records)


def many_felt(seed: int, customers: int) -> Transcript:
    """A seeded log of many customers with X-records about each."""
    chance = random.Random(seed)
    transcript = many(seed, customers, rich=True)
    some: list[dict[str, Any]] = []
    for name in dict.fromkeys(event["customer"] for event in transcript.events):
        mine = [event for event in transcript.events if event["customer"] == name]
        some += records(chance.choice, mine, 8)
    return dataclasses.replace(transcript, experience=tuple(some))


def case(transcript: Transcript) -> Case:
    """The transcript as the oracle's input."""
    return Case(
        events=builders.table(transcript.events),
        operational=transcript.operational,
        rules=transcript.rules,
        frontiers=transcript.frontiers,
        records=builders.x_table(transcript.experience, transcript.validated),
        x_frontiers=transcript.x_frontiers,
        known=builders.known(transcript.records),
    )
