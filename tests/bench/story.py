"""One customer's events, walked over one by one: the per-event rival's rules.

Journeys, sessions, steps, and the friction of channel switches, repeat contacts, fallbacks,
waiting, promises and re-openings, for a log without cases (9-rules).
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from rejse.transforms.facts import FAMILIES, HUMAN_CHANNELS, PUSHED, SELF_SERVICE
from rejse.transforms.rules import LATE_PROMISE_WEIGHT, OUTCOME_MAP, WEIGHTS

Event = dict[str, Any]
DAY, SESSION_GAP = timedelta(days=1), timedelta(minutes=30)
REPEAT, GIVE_UP, LATENESS = 7 * DAY, 30 * DAY, DAY
SATISFIED = ("resolved", "sold", "informed")


@dataclass(frozen=True)
class Kind:
    """Windows and ends of a journey type."""

    gap: timedelta = 30 * DAY
    window: timedelta = 14 * DAY
    cap: timedelta = 365 * DAY
    ends: tuple[str, ...] = ("resolved", "sold", "declined")


@dataclass(frozen=True)
class Company:
    """Touchpoints and journey types of the company."""

    places: dict[str, dict[str, str]]
    kinds: dict[str, Kind]

    @classmethod
    def read(cls, tables: Path) -> Company:
        """Read them from the CSV files of the configuration."""
        with (tables / "touchpoints.csv").open(encoding="utf-8") as lines:
            places = {row["touchpoint"]: row for row in csv.DictReader(lines)}
        kinds = {}
        with (tables / "journey_types.csv").open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                gap, window, cap = (
                    int(row[name].removesuffix("d")) * DAY
                    for name in ("gap", "reopen_window", "cap")
                )
                kinds[row["journey_type"]] = Kind(
                    gap, window, cap, tuple(row["end_outcomes"].split(";"))
                )
        return cls(places, kinds)


@dataclass
class Session:
    """A visit: consecutive events of one channel family, or one message."""

    family: str
    events: list[Event]
    steps: list[int] = field(default_factory=list)

    @property
    def opening(self) -> Event | None:
        """First event that is not internal; None where it is no contact."""
        return next((e for e in self.events if e["direction"] != "internal"), None)

    @property
    def inbound(self) -> bool:
        """The customer turned to the company."""
        return self.opening is not None and self.opening["direction"] == "inbound"

    @property
    def personal(self) -> bool:
        """A contact that neither a machine sent nor the company pushed."""
        first = self.opening
        return first is not None and not _is_message(self.events[0]) and not _is_pushed(first)

    @property
    def intent(self) -> str | None:
        """First known intent."""
        return next((e["intent"] for e in self.events if e["intent"]), None)

    @property
    def outcome(self) -> str | None:
        """Last known outcome."""
        return next((e["outcome"] for e in reversed(self.events) if e["outcome"]), None)

    @property
    def has_human(self) -> bool:
        """A human acted, or a human channel carried it."""
        return any(
            e["actor_type"] == "human" or e["channel"] in HUMAN_CHANNELS for e in self.events
        )


@dataclass
class Journey:
    """One journey of a customer, with what was found in it."""

    name: str
    kind: Kind
    events: list[Event]
    sessions: list[Session] = field(default_factory=list)
    n_steps: int = 0
    evidence: list[tuple[int, str, float]] = field(default_factory=list)

    def add(self, step: int, kind: str, severity: float) -> None:
        """Note a piece of evidence at a step."""
        self.evidence.append((step, kind, round(severity, 12)))

    def totals(self) -> Counter[str]:
        """Journeys, steps, sessions, and pieces of each kind."""
        found = Counter({"journeys": 1, "steps": self.n_steps, "sessions": len(self.sessions)})
        found.update(f"{kind}: pieces" for _, kind, _ in self.evidence)
        return found

    def row(self) -> dict[str, Any]:
        """The journey as a row, with its hazard: in each step by falling severity, halved."""
        steps: dict[int, list[float]] = defaultdict(list)
        for step, _, severity in self.evidence:
            steps[step].append(severity)
        hazard = sum(
            -math.log1p(-severity) / 2**rank
            for found in steps.values()
            for rank, severity in enumerate(sorted(found, reverse=True))
        )
        return {
            "journey_type": self.name, "first_event": self.events[0]["id"],
            "n_events": len(self.events), "n_steps": self.n_steps,
            "n_sessions": len(self.sessions), "n_evidence": len(self.evidence),
            "friction_hazard": hazard, "friction_score": -100 * math.expm1(-hazard),
        }  # fmt: skip


def tell(events: list[Event], company: Company, frontier: datetime) -> list[Journey]:
    """Journeys of one customer, with their evidence."""
    events.sort(key=lambda e: (e["time"], e["id"]))
    threads: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        place = company.places.get(event["touchpoint"] or "", {})
        event["wait_expected"] = place.get("expected_wait_s")
        event["team"] = place.get("team")
        event["owner"] = event["owner"] or place.get("owner")
        threads[event["journey_type"] or place.get("journey_type") or "other"].append(event)
    found = []
    for name, thread in threads.items():
        kind = company.kinds.get(name, Kind())
        found += [Journey(name, kind, piece) for piece in _cut(thread, kind)]
    for journey in found:
        _visits(journey)
        _steps(journey)
        _switches(journey)
        _fallbacks(journey)
        _waits(journey)
        _reopenings(journey)
    _repeats(found)
    _promises(found, frontier)
    return found


def _cut(thread: list[Event], kind: Kind) -> Iterator[list[Event]]:
    """Journeys of a thread without a case: the fold over the total order."""
    piece: list[Event] = []
    ended: datetime | None = None
    for event in thread:
        if piece:
            quiet = ended + kind.window if ended else piece[-1]["time"] + kind.gap
            if event["time"] > min(quiet, piece[0]["time"] + kind.cap):
                yield piece
                piece, ended = [], None
        piece.append(event)
        if event["outcome"] in kind.ends:
            ended = event["time"]
        elif event["outcome"] in OUTCOME_MAP and event["direction"] != "outbound":
            ended = None
    yield piece


def _visits(journey: Journey) -> None:
    latest: dict[str, Session] = {}
    for event in journey.events:
        family = FAMILIES.get(event["channel"], event["channel"])
        visit = latest.get(family)
        if _is_message(event):
            visit = Session(family, [event])
            journey.sessions.append(visit)
        elif visit and event["time"] - visit.events[-1]["time"] <= SESSION_GAP:
            visit.events.append(event)
        else:
            visit = latest[family] = Session(family, [event])
            journey.sessions.append(visit)
        event["session"] = visit


def _steps(journey: Journey) -> None:
    before = None
    for event in journey.events:
        inner = event["activity"] if event["direction"] == "internal" else event["channel"]
        place = event["touchpoint"] or ("", inner)
        here = (place, event["owner"], event["team"], id(event["session"]))
        if here != before:
            journey.n_steps += 1
        event["step"], before = journey.n_steps, here


def _switches(journey: Journey) -> None:
    personal = [s for s in journey.sessions if s.personal]
    for one, other in pairwise(personal):
        if one.family != other.family:
            journey.add(other.events[0]["step"], "channel_switch", WEIGHTS["channel_switch"])


def _fallbacks(journey: Journey) -> None:
    inbound = [s for s in journey.sessions if s.inbound]
    for one, other in pairwise(inbound):
        alone = not one.has_human and one.events[0]["channel"] in SELF_SERVICE
        same = one.intent == other.intent or None in (one.intent, other.intent)
        if alone and other.has_human and same and one.outcome not in SATISFIED:
            sure = 1.0 if one.outcome else 0.5
            severity = WEIGHTS["channel_fallback"] * sure
            journey.add(other.events[0]["step"], "channel_fallback", severity)


def _waits(journey: Journey) -> None:
    for event in journey.events:
        wait, usual = event["wait_s"], event["wait_expected"]
        if wait is not None and usual and wait > float(usual):
            excess = (wait - float(usual)) / max(float(usual), 1.0)
            severity = WEIGHTS["customer_wait"] * -math.expm1(-excess)
            journey.add(event["step"], "customer_wait", severity)


def _reopenings(journey: Journey) -> None:
    end: Event | None = None
    opened = False
    for place, event in enumerate(journey.events):
        if event["outcome"] in journey.kind.ends:
            end, opened = event, False
        elif end and not opened and event["direction"] == "inbound":
            since = event["time"] - end["time"]
            intents = (event["session"].intent, end["session"].intent)
            same = intents[0] == intents[1] or None in intents
            near = SESSION_GAP < since <= journey.kind.window
            if same and near and event["session"] is not end["session"]:
                opened = True
                sure = 1.0 if _judged_from(journey.events[place:]) else 0.5
                journey.add(event["step"], "reopened", WEIGHTS["reopened"] * sure)


def _judged_from(events: list[Event]) -> bool:
    return any(e["outcome"] in OUTCOME_MAP and e["direction"] != "outbound" for e in events)


def _repeats(journeys: list[Journey]) -> None:
    """Inbound contacts after one of the same intent within W, over all journeys."""
    found = [(s.events[0], s, j) for j in journeys for s in j.sessions if s.inbound and s.intent]
    found.sort(key=lambda one: (one[0]["time"], one[0]["id"]))
    latest: dict[str, Session] = {}
    for first, session, journey in found:
        before = latest.get(session.intent or "")
        latest[session.intent or ""] = session
        near = before and first["time"] - before.events[0]["time"] <= REPEAT
        if before and near and before.outcome not in (None, "informed"):
            journey.add(first["step"], "repeat_contact", WEIGHTS["repeat_contact"])


def _promises(journeys: list[Journey], frontier: datetime) -> None:
    said: dict[str, list[tuple[Event, Journey]]] = defaultdict(list)
    for journey in journeys:
        for event in journey.events:
            if event["promise_no"]:
                said[event["promise_no"]].append((event, journey))
    for moves in said.values():
        moves.sort(key=lambda one: (one[0]["time"], one[0]["id"]))
        made = next((i for i, (e, _) in enumerate(moves) if e["promise_op"] == "made"), None)
        if made is None or moves[made][0]["promise_due"] is None:
            continue
        event, journey = moves[made]
        due = event["promise_due"]
        done = next((e for e, _ in moves[made + 1 :] if e["promise_op"] == "delivered"), None)
        at = done["time"] if done else frontier - LATENESS
        late = at > due if done else at - due > timedelta(0)
        if late:
            weight = WEIGHTS["promise_broken"] if at > due + GIVE_UP else LATE_PROMISE_WEIGHT
            journey.add(event["step"], "promise_broken", weight)


def _is_message(event: Event) -> bool:
    sent = event["direction"] == "outbound" and event["actor_type"] in ("bot", "system")
    return sent and event["message_kind"] is not None


def _is_pushed(event: Event) -> bool:
    return event["direction"] == "outbound" and event["message_kind"] in PUSHED
