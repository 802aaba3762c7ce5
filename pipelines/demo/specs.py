"""Event specifications of the synthetic company, read from `sql/examples/demo/made`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from rejse.transforms.schema import durations

#: Share of the journeys by type; the order is part of the seed's meaning.
SHARES: Mapping[str, float] = {
    "claim": 0.14, "purchase": 0.36, "support": 0.17, "installation": 0.11,
    "billing": 0.06, "onboarding": 0.13, "marketing": 0.03,
}  # fmt: skip
CASE_PREFIX: Mapping[str, str] = {"claim": "CL", "installation": "IN"}

#: Chance that a journey takes a turn, drawn once a journey; what `when` in journeys.csv names.
TURNS: Mapping[str, float] = {
    "loses_context": 0.60, "pays_late": 0.03, "never_pays": 0.03, "reopens": 0.06,
    "returns": 0.60, "checks": 0.60, "tracking_fails": 0.50, "loses_parcel": 0.03,
    "helps_itself": 0.20, "search_fails": 0.06, "promises_callback": 0.35,
    "forgets_callback": 0.40, "escalates": 0.30, "drops_escalation": 0.02,
    "drops_order": 0.25, "asks_again": 0.05, "calls": 0.40, "needs_help": 0.20, "clicks": 0.40,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Company:
    """A synthetic company: files of `made` with its journeys and the questions it asks.

    `is_null`: a company without friction. Each customer has one journey at a time, no request is
    repeated within a week, and the logs have no faulty rows: any friction found is a false alarm.
    """

    journeys: str
    questions: str
    turns: Mapping[str, float]
    is_null: bool


MADE = Company("journeys.csv", "questions.csv", TURNS, is_null=False)
NULL = Company("null_journeys.csv", "null_questions.csv", {}, is_null=True)


@dataclass(frozen=True)
class Spec:
    """One kind of event: a row of journeys.csv or stories.csv, parsed.

    `when` names the turns that must (True) or must not (False) have been taken; `after` is the
    mean delay since the event before, in microseconds; a story's event has its own time `at`
    instead (microseconds since 1970), and its own customer.
    """

    spec: int
    nr: int
    columns: Mapping[str, str]
    when: tuple[tuple[str, bool], ...] = ()
    p: float = 1.0
    after: int = 0
    at: int | None = None

    def __getitem__(self, column: str) -> str | None:
        return self.columns.get(column) or None

    @property
    def seconds(self) -> tuple[int | None, int | None]:
        """Return mean seconds of waiting and of talk; None where the event has none."""
        wait, talk = self["wait"], self["talk"]
        return (int(wait) if wait else None, int(talk) if talk else None)

    @property
    def longest_s(self) -> int:
        """Return the longest wait in seconds."""
        return int(self["longest"] or 3600)

    @property
    def lasts(self) -> int | None:
        """Return the duration of the activity in microseconds; None where it is instantaneous."""
        text = self["lasts"]
        return durations.parse(text) if text else None

    @property
    def info(self) -> list[dict[str, str]]:
        """Return the fields given, asked, shown or passed, in order; a third word is a variant."""
        fields = []
        for part in filter(None, (self["info"] or "").split(";")):
            op, field, *variant = part.split(" ")
            fields.append({"op": op, "field": field, "variant": "".join(variant)})
        return fields

    @property
    def claim(self) -> tuple[str | None, str | None]:
        """Return topic and value of the claim."""
        topic, _, value = (self["claim"] or "").partition(" ")
        return topic or None, value or None

    @property
    def promise(self) -> tuple[str | None, str | None, str | None, int | None]:
        """Return name, kind, op and due time (microseconds after the event) of the promise."""
        words = (self["promise"] or "").split(" ")
        if len(words) == 4:
            return words[0], words[1], words[2], durations.parse(words[3])
        if len(words) == 2:
            return words[0], None, words[1], None
        return None, None, None, None


def folder() -> Traversable:
    """Return the folder of the synthetic company's tables and statements."""
    return files("rejse.sql") / "examples" / "demo"


def rows(name: str) -> list[dict[str, str]]:
    """Read a CSV of `made` as text."""
    text = (folder() / "made" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _turns(text: str, known: Mapping[str, float]) -> tuple[tuple[str, bool], ...]:
    turns = []
    for word in filter(None, text.split("&")):
        name = word.removeprefix("!")
        if name not in known:
            raise ValueError(f"journeys: expected one of {sorted(known)}, came {name!r}")
        turns.append((name, name == word))
    return tuple(turns)


@cache
def journey_specs(company: Company = MADE) -> dict[str, tuple[Spec, ...]]:
    """Return the event specifications of each journey type, in order."""
    by_type: dict[str, list[Spec]] = {name: [] for name in SHARES}
    for number, row in enumerate(rows(company.journeys)):
        spec = Spec(
            spec=number,
            nr=int(row["nr"]),
            columns=row,
            when=_turns(row["when"], company.turns),
            p=float(row["p"]),
            after=durations.parse(row["after"]),
        )
        by_type[row["journey_type"]].append(spec)
    return {name: tuple(specs) for name, specs in by_type.items()}


@cache
def story_specs() -> tuple[Spec, ...]:
    """Return the event specifications of the stories, each with its time."""
    first = 1 + max(s.spec for specs in journey_specs().values() for s in specs)
    written = [*rows("stories.csv"), *_add_on(), *_kinds(), *_measured(), *_again()]
    return tuple(
        Spec(spec=first + n, nr=0, columns=row, at=_microseconds(row["at"]))
        for n, row in enumerate(written)
    )


def _microseconds(text: str) -> int:
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(at.timestamp()) * 1_000_000


#: Customers of each case of kinds.csv; a kind of friction has a case with it and one just without.
CUSTOMERS_A_CASE = 5


def _kinds() -> list[dict[str, str]]:
    """Return the events of each case of kinds.csv, for some customers a day apart."""
    cases: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows("kinds.csv"):
        cases.setdefault((row["kind"], row["case"]), []).append(row)
    written = []
    for (kind, case), events in cases.items():
        for n in range(CUSTOMERS_A_CASE):
            at = datetime(2025, 4, 1 + n, 9, tzinfo=UTC)
            story = {"story": "kinds", "customer": f"kind-{kind}-{case}-{n + 1}"}
            for event in events:
                at += timedelta(microseconds=durations.parse(event["after"]))
                written.append({**event, **story, "at": at.strftime("%Y-%m-%d %H:%M:%S")})
    return written


def _measured() -> list[dict[str, str]]:
    """Return the journeys of measured.csv; metrics.csv has their expected metrics."""
    written: list[dict[str, str]] = []
    at, journey = datetime.min, ""
    for row in rows("measured.csv"):
        if row["journey"] != journey:
            at, journey = datetime(2025, 4, 7, 9, tzinfo=UTC), row["journey"]
        at += timedelta(microseconds=durations.parse(row["after"]))
        story = {"story": "measured", "customer": f"measured-{journey}"}
        written.append({**row, **story, "at": at.strftime("%Y-%m-%d %H:%M:%S")})
    return written


#: The add-on story: customers by whether they report the fault and since when they own the add-on
#: (odds ratio 13.2).
ADD_ON = {
    ("reports", "from the start"): 6, ("reports", "bought after"): 3, ("reports", "never"): 3,
    ("silent", "from the start"): 5, ("silent", "never"): 22,
}  # fmt: skip


def _add_on() -> list[dict[str, str]]:
    bought = {"touchpoint": "web_checkout", "activity": "order_placed", "direction": "inbound",
              "actor_type": "customer", "intent": "buy", "outcome": "sold"}  # fmt: skip
    more = {**bought, "intent": "buy_add_on"}
    fault = {"touchpoint": "phone_support", "activity": "fault_solved", "direction": "inbound",
             "actor_type": "human", "intent": "fault", "outcome": "resolved", "wait": "60",
             "talk": "300"}  # fmt: skip
    groups = [group for group, n in ADD_ON.items() for _ in range(n)]
    written = []
    for n, (reports, owns) in enumerate(groups):
        story = {"story": "add_on", "customer": f"story-add-on-{n + 1}"}
        buys = [(1, "purchase", "router", bought)]
        if owns == "from the start":
            buys.append((1, "purchase", "add_on", more))
        if reports == "reports":
            buys.append((2, "support", "router", fault))
        if owns == "bought after":
            buys.append((3, "purchase", "add_on", more))
        for k, (month, kind, product, event) in enumerate(buys):
            at = f"2025-{month:02d}-{10 + n % 10} {10 + 3 * k}:00:00"
            written.append(
                {**story, "at": at, "journey_type": kind, "product_id": product, **event}
            )
    return written


@dataclass(frozen=True)
class Again:
    """`n` customers who return `days` after a purchase, to buy (a hit in time) or with a fault."""

    n: int
    days: int | None
    hit: bool
    buys: bool = True


#: The repurchase story: each purchase is delivered two days later, so no journey ends as sold.
AGAIN: Mapping[str, Again] = {
    "soon": Again(6, 20, hit=True),
    "within the follow-up": Again(4, 85, hit=True),
    "too late": Again(5, 120, hit=False),
    "never": Again(5, None, hit=False),
    "with a fault": Again(4, 40, hit=False, buys=False),
}


def _again() -> list[dict[str, str]]:
    """Return the events of each customer of AGAIN: a purchase, and what follows."""
    base = {"direction": "inbound", "actor_type": "customer"}
    ordered = {**base, "touchpoint": "web_checkout", "activity": "order_placed", "intent": "buy",
               "outcome": "sold"}  # fmt: skip
    delivered = {"touchpoint": "logistics_driver", "activity": "delivered", "intent": "buy",
                 "direction": "outbound", "actor_type": "human", "outcome": "resolved"}  # fmt: skip
    fault = {**base, "touchpoint": "phone_support", "activity": "fault_solved",
             "actor_type": "human", "intent": "fault", "outcome": "resolved"}  # fmt: skip
    written = []
    for case, group in AGAIN.items():
        for n in range(group.n):
            story = {"story": "again", "customer": f"again-{case.replace(' ', '-')}-{n + 1}"}
            events = [(0, "purchase", ordered), (2, "purchase", delivered)]
            if group.days is not None and group.buys:
                events += [(day + group.days, kind, event) for day, kind, event in tuple(events)]
            elif group.days is not None:
                events.append((group.days, "support", fault))
            for day, kind, event in events:
                at = datetime(2025, 2, 3 + n, 11, tzinfo=UTC) + timedelta(days=day)
                product = f"{kind}-product-0"
                own = {**story, "at": at.strftime("%Y-%m-%d %H:%M:%S"), "journey_type": kind}
                written.append({**own, "product_id": product, **event})
    return written
