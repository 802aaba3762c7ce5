"""What is known of a customer, as a pure function of their rows and a clock.

All values of a card are names, times, scores and ids: no identity, no value of a field, no text
that somebody wrote. A section without items says that nothing is known, which is not that nothing
happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.card.names import events, shown
from rejse.transforms.columnar.arrays import flat
from rejse.transforms.journeys.event_flags import LEAVES_OPEN
from rejse.transforms.schema import contract
from rejse.transforms.schema.moments import micros, moment
from rejse.transforms.schema.parameters import JourneyType

_JOURNEYS = ("journey_id", "journey_type", "owner", "started_at", "ended_at", "state", "outcome",
             "n_steps", "n_contacts", "friction_score")  # fmt: skip
_ANSWERS = ("x_id", "journey_id", "respondent_type", "instrument", "level", "occurred_at",
            "touchpoint", "raw_score", "scale_max", "has_text", "is_answered", "acted_at",
            "is_ignored")  # fmt: skip
#: Columns that a card is made of, by stored table. Of what is final, nothing is open.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "journeys": _JOURNEYS,
    "journeys_live": _JOURNEYS,
    "steps_live": ("step_id", "journey_id", "seq", "event_ids", "touchpoint", "channel", "system",
                   "started_at"),
    "friction_evidence_live": ("journey_id", "kind", "owner", "owner_to", "occurred_at", "share",
                               "event_ids"),
    "handoffs_live": ("journey_id", "from_step", "to_step", "from_owner", "to_owner", "from_team",
                      "to_team", "occurred_at", "is_dropped", "due_at"),
    "promises_live": ("journey_id", "step_id", "kind", "made_by", "owner", "made_at", "due_at",
                      "delivered_at", "status"),
    "sla_results_live": ("journey_id", "kind", "owner", "started_at", "due_at", "status"),
    "experience": _ANSWERS,
    "experience_live": _ANSWERS,
    "events": ("source", "id", "time", "sequence", "info", "consent_purpose"),
    "excluded": ("kind",),
}  # fmt: skip
#: Answers that are shown, the last ones.
LAST_ANSWERS = 3
#: A score up to here, of 1, is a low one.
LOW_SCORE = 0.5
#: What consent is needed for.
PURPOSE, SEND = "marketing", "send marketing"


@dataclass(frozen=True)
class Evidence:
    """Where a line comes from.

    Attributes:
        rule: Page and heading of the reference that says what counts.
        journey_id: The journey; None for what is of no journey.
        events: Its events or answers, as source/id.
    """

    rule: str
    journey_id: str | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenJourney:
    """A journey that may still grow; `friction_score` None: not measured."""

    journey_type: str | None
    owner: str | None
    started_at: datetime
    last_at: datetime
    outcome: str | None
    n_steps: int | None
    n_contacts: int | None
    friction_score: float | None
    last_touchpoint: str | None
    last_channel: str | None
    evidence: Evidence


@dataclass(frozen=True)
class KnownFields:
    """Names of fields that the customer gave in a visit.

    Attributes:
        fields: Names, sorted.
        system: The system that got them first.
        since: Start of that visit.
        also: Systems that they were passed to or shown in since.
        differing: Those of the fields that were given with different values.
    """

    fields: tuple[str, ...]
    system: str | None
    since: datetime
    also: tuple[str, ...]
    differing: tuple[str, ...]
    evidence: Evidence


@dataclass(frozen=True)
class Due:
    """A promise or service level that is not settled.

    `state`: due; overdue: no delivery is logged though the sources are complete past it; past due:
    by the clock, while a delivery may not have been read yet; undated; broken.
    """

    kind: str | None
    owner: str | None
    made_by: str | None
    made_at: datetime
    due_at: datetime | None
    state: str
    evidence: Evidence


@dataclass(frozen=True)
class Waiting:
    """A hand-off that was asked for and that nobody took up; `state` as of `Due`, or dropped."""

    giver: str | None
    taker: str | None
    asked_at: datetime
    due_at: datetime | None
    state: str
    evidence: Evidence


@dataclass(frozen=True)
class Feeling:
    """An answer of the customer; `score` None: in words, or without a score."""

    instrument: str | None
    level: str | None
    touchpoint: str | None
    at: datetime
    score: float | None
    most: float | None
    is_written: bool
    acted_at: datetime | None
    is_ignored: bool | None
    evidence: Evidence


@dataclass(frozen=True)
class Friction:
    """Pieces of friction of one kind between the same owners."""

    kind: str
    label: str
    n: int
    owner: str | None
    owner_to: str | None
    last_at: datetime
    share: float | None
    evidence: Evidence


@dataclass(frozen=True)
class Advice:
    """What to do, or not to do, with its reason."""

    is_do: bool
    action: str
    reason: str
    evidence: Evidence


@dataclass(frozen=True)
class Card:
    """What is known of a customer.

    Attributes:
        customer_key: Their pseudonym.
        complete_until: Up to here all sources are complete; None: not known.
        is_excluded: So many events that they are taken for no person; nothing of them is kept.
        journeys: The open ones, the last one first.
        last_closed: Type and end of the last closed journey, where none is open.
        n_unanswered: Questions that they were asked and did not answer.
        friction_measured: Whether any open journey has a friction score; None: none is open.
        consents_to_marketing: By the last consent that was logged; None: none was.
    """

    customer_key: str
    at: datetime
    complete_until: datetime | None
    is_excluded: bool
    journeys: tuple[OpenJourney, ...]
    last_closed: OpenJourney | None
    known: tuple[KnownFields, ...]
    due: tuple[Due, ...]
    waiting: tuple[Waiting, ...]
    felt: tuple[Feeling, ...]
    n_unanswered: int
    friction: tuple[Friction, ...]
    friction_measured: bool | None
    consents_to_marketing: bool | None
    advice: tuple[Advice, ...]

    @property
    def is_known(self) -> bool:
        """Whether anything of the customer is published."""
        return bool(self.journeys or self.last_closed or self.is_excluded or self.felt)


Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """Settings that a card depends on.

    Attributes:
        lateness: Microseconds that an event may be late.
        volatile_fields: Fields whose old value is of no use.
        types: Journey types by name.
        default_type: The type of journeys of no known type.
    """

    lateness: int
    volatile_fields: Collection[str] = ()
    types: Mapping[str, JourneyType] = field(default_factory=dict)
    default_type: JourneyType = field(default_factory=JourneyType)

    def is_problem(self, journey: Row) -> bool:
        """Return whether an open journey is a problem that has not ended, or was left open."""
        of_type = self.types.get(journey["journey_type"], self.default_type)
        outcome = journey["outcome"]
        is_unsolved = of_type.is_problem and outcome not in of_type.end_outcomes
        return outcome in LEAVES_OPEN or bool(is_unsolved)


def card_of(
    customer: str,
    tables: Mapping[str, Sequence[pa.Table]],
    complete_until: int | None,
    now: datetime,
    rules: Rules,
) -> Card:
    """Return the card of a customer.

    Args:
        customer: Key of the customer.
        tables: Their rows by stored table (columns of `COLUMNS`), in any parts and order.
        complete_until: Microseconds up to which all sources of interactions are complete.
        now: The clock.
        rules: Settings that it depends on.
    """
    rows = _Rows(tables)
    journeys = sorted(
        rows.of("journeys", "journeys_live"), key=lambda j: (j["ended_at"], j["journey_id"])
    )
    ongoing = [journey for journey in journeys if journey["state"] == "open"]
    ids = {journey["journey_id"] for journey in ongoing}
    steps = sorted(
        (step for step in rows.of("steps_live") if step["journey_id"] in ids),
        key=lambda step: (step["journey_id"], step["seq"]),
    )
    clock = _Clock(now, complete_until, rules.lateness)
    known = _known(rows, steps, rules.volatile_fields)
    due = _due(rows, ids, steps, clock)
    waiting = _waiting(rows, ids, steps, clock)
    answers = _answers(rows.of("experience", "experience_live"))
    felt = [_feeling(answer) for answer in answers if answer["is_answered"]][:LAST_ANSWERS]
    friction = _friction(
        piece for piece in rows.of("friction_evidence_live") if piece["journey_id"] in ids
    )
    summaries = [_summary(journey, steps) for journey in reversed(ongoing)]
    problems = [
        _summary(journey, steps) for journey in reversed(ongoing) if rules.is_problem(journey)
    ]
    closed = [journey for journey in journeys if journey["state"] != "open"]
    measured = [journey.friction_score is not None for journey in summaries]
    consents, no_consent = _consent(rows)
    advice = [*_advice(problems, known, due, waiting, felt, friction)]
    advice += [no_consent] if no_consent else []
    return Card(
        customer, now, clock.complete_until, bool(rows.of("excluded")), tuple(summaries),
        _summary(closed[-1], []) if closed and not ongoing else None,
        tuple(known), tuple(due), tuple(waiting), tuple(felt),
        sum(not answer["is_answered"] for answer in answers),
        tuple(friction), any(measured) if measured else None,
        consents, tuple(advice),
    )  # fmt: skip


class _Rows:
    """Rows of one customer by stored table."""

    def __init__(self, tables: Mapping[str, Sequence[pa.Table]]) -> None:
        self.parts = tables

    def of(self, *names: str) -> list[Row]:
        """Return the rows of tables; a column that a file lacks is null."""
        blank = dict.fromkeys(COLUMNS[names[0]])
        parts = (part for name in names for part in self.parts.get(name, ()))
        return [blank | row for part in parts for row in part.to_pylist()]


@dataclass(frozen=True)
class _Clock:
    now: datetime
    watermark: int | None
    lateness: int

    @property
    def complete_until(self) -> datetime | None:
        return None if self.watermark is None else _known_moment(self.watermark)

    def state(self, due_at: datetime | None, is_proven: bool) -> str:
        """Return whether something that is not settled is due, overdue, or past due."""
        if is_proven:
            return "overdue"
        if due_at is None:
            return "undated"
        if self.watermark is not None and micros(due_at) < self.watermark - self.lateness:
            return "overdue"
        return "past due" if due_at < self.now else "due"


def _known_moment(at: int) -> datetime | None:
    try:
        return moment(at)
    except OverflowError:  # nothing was read yet, or nothing more comes
        return None


def _summary(journey: Row, steps: Sequence[Row]) -> OpenJourney:
    own = [step for step in steps if step["journey_id"] == journey["journey_id"]]
    last = own[-1] if own else {}
    score = journey["friction_score"]
    return OpenJourney(
        shown(journey["journey_type"]), shown(journey["owner"]),
        journey["started_at"], journey["ended_at"], journey["outcome"], journey["n_steps"],
        journey["n_contacts"], None if score is None else round(score, 1),
        shown(last.get("touchpoint")), last.get("channel"),
        Evidence("journeys.md#ends", journey["journey_id"], events(last.get("event_ids"))),
    )  # fmt: skip


def _known(rows: _Rows, steps: Sequence[Row], volatile: Collection[str]) -> list[KnownFields]:
    """Return fields that were given in open journeys, by the visit that got each first."""
    step_of = {event: step for step in steps for event in step["event_ids"] or ()}
    given: dict[tuple[str, str], list[tuple[Row, Row, Any]]] = defaultdict(list)
    passed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for event in _in_order(_of_events(rows, step_of)):
        step = step_of[f"{event['source']}/{event['id']}"]
        for entry in event["info"] or ():
            name = shown(entry["field"]) if entry is not None else None
            if name is None or entry["field"] in volatile:
                continue
            place = (step["journey_id"], name)
            if entry["op"] == "given":
                given[place].append((step, event, entry["value_hmac"]))
            elif entry["op"] in ("passed", "shown"):
                passed[place].add(shown(step["system"]) or "")
    visits: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for place, entries in given.items():
        first = entries[0][0]
        visits[first["journey_id"], first["seq"]].append(place)
    known = [_of_visit(places, given, passed) for _, places in sorted(visits.items())]
    return sorted(known, key=lambda fields: (fields.since, fields.evidence.journey_id or ""))


def _of_visit(
    places: Sequence[tuple[str, str]],
    given: Mapping[tuple[str, str], list[tuple[Row, Row, Any]]],
    passed: Mapping[tuple[str, str], set[str]],
) -> KnownFields:
    step = given[places[0]][0][0]
    system = shown(step["system"])
    everywhere = [
        {shown(later["system"]) or "" for later, *_ in given[place]} | passed.get(place, set())
        for place in places
    ]
    differing = [
        name
        for (journey, name) in places
        if len({value for *_, value in given[journey, name] if value is not None}) > 1
    ]
    ids = [
        f"{event['source']}/{event['id']}" for place in places for _, event, _ in given[place][:1]
    ]
    return KnownFields(
        tuple(sorted(name for _, name in places)), system, step["started_at"],
        tuple(sorted(set.intersection(*everywhere) - {system, ""})), tuple(sorted(differing)),
        Evidence("friction.md#fields-asked-again", step["journey_id"], events(ids)),
    )  # fmt: skip


def _of_events(rows: _Rows, wanted: Mapping[str, Row]) -> list[Row]:
    """Return the events of steps; of others nothing is read."""
    names = pa.array(list(wanted), pa.string())
    blank = dict.fromkeys(COLUMNS["events"])
    listed: list[Row] = []
    for part in rows.parts.get("events", ()):
        source, ident = (flat(part.column(name)).cast(pa.string()) for name in ("source", "id"))
        is_theirs = pc.is_in(pc.binary_join_element_wise(source, ident, "/"), value_set=names)
        listed += [blank | row for row in part.filter(is_theirs).to_pylist()]
    return listed


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """Return events in the total order."""
    return sorted(
        rows,
        key=lambda row: (
            row["time"], row["source"].encode(), row["sequence"] is not None,
            row["sequence"] or 0, row["id"].encode(),
        ),
    )  # fmt: skip


def _due(rows: _Rows, ids: set[str], steps: Sequence[Row], clock: _Clock) -> list[Due]:
    """Return promises and service levels that are not settled."""
    events_of = {step["step_id"]: events(step["event_ids"]) for step in steps}
    unsettled = []
    for promise in rows.of("promises_live"):
        status, is_delivered = promise["status"], promise["delivered_at"] is not None
        is_open = promise["journey_id"] in ids
        if (
            is_delivered
            or status not in ("open", "late", "broken")
            or (status == "broken" and not is_open)
        ):
            continue
        state = "broken" if status == "broken" else clock.state(promise["due_at"], status == "late")
        maker = promise["made_by"] if promise["made_by"] in contract.ACTOR_TYPES else None
        rule = Evidence(
            "friction.md#promises", promise["journey_id"], events_of.get(promise["step_id"], ())
        )
        unsettled.append(
            Due(promise["kind"], shown(promise["owner"]), maker, promise["made_at"],
                promise["due_at"], state, rule)
        )  # fmt: skip
    for level in rows.of("sla_results_live"):
        if level["journey_id"] in ids and level["status"] in ("open", "breached"):
            state = clock.state(level["due_at"], level["status"] == "breached")
            rule = Evidence("friction.md#service-levels", level["journey_id"])
            unsettled.append(
                Due(f"service level ({level['kind']})", shown(level["owner"]), None,
                    level["started_at"], level["due_at"], state, rule)
            )  # fmt: skip
    return sorted(unsettled, key=_by_due)


def _by_due(item: Due | Waiting) -> tuple[Any, ...]:
    far = datetime.max.replace(tzinfo=UTC)
    return (item.due_at or far, str(item.evidence), repr(item))


def _waiting(rows: _Rows, ids: set[str], steps: Sequence[Row], clock: _Clock) -> list[Waiting]:
    """Return hand-offs that were asked for and not taken up."""
    events_of = {step["step_id"]: events(step["event_ids"]) for step in steps}
    waiting = []
    for hand in rows.of("handoffs_live"):
        if hand["journey_id"] not in ids or hand["to_step"] is not None or hand["due_at"] is None:
            continue
        state = "dropped" if hand["is_dropped"] else clock.state(hand["due_at"], False)
        rule = Evidence(
            "friction.md#dropped-hand-offs", hand["journey_id"],
            events_of.get(hand["from_step"], ()),
        )  # fmt: skip
        waiting.append(
            Waiting(shown(hand["from_owner"] or hand["from_team"]),
                    shown(hand["to_owner"] or hand["to_team"]), hand["occurred_at"],
                    hand["due_at"], state, rule)
        )  # fmt: skip
    return sorted(waiting, key=_by_due)


def _answers(rows: Iterable[Row]) -> list[Row]:
    """Return what the customer was asked or said, the last first."""
    theirs = (row for row in rows if row["respondent_type"] in (None, "customer"))
    return sorted(theirs, key=lambda row: (row["occurred_at"], row["x_id"]), reverse=True)


def _feeling(answer: Row) -> Feeling:
    return Feeling(
        answer["instrument"], answer["level"], shown(answer["touchpoint"]), answer["occurred_at"],
        answer["raw_score"], answer["scale_max"], bool(answer["has_text"]), answer["acted_at"],
        answer["is_ignored"],
        Evidence("feedback.md#joins", answer["journey_id"], events([answer["x_id"]])),
    )  # fmt: skip


def _friction(pieces: Iterable[Row]) -> list[Friction]:
    """Return friction of open journeys by kind and owners, the most of it first."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for piece in pieces:
        names = (piece["journey_id"], piece["kind"], piece["owner"] or "", piece["owner_to"] or "")
        groups[names].append(piece)
    kinds = []
    for (journey, kind, owner, owner_to), of_kind in groups.items():
        ids = [event for piece in of_kind for event in piece["event_ids"] or ()]
        shares = sorted(piece["share"] for piece in of_kind if piece["share"] is not None)
        kinds.append(
            Friction(kind, wording.kind_name(kind), len(of_kind), shown(owner), shown(owner_to),
                     max(piece["occurred_at"] for piece in of_kind),
                     round(sum(shares), 3) if shares else None,
                     Evidence(f"kinds.md#{kind}", journey, events(ids)))
        )  # fmt: skip
    return sorted(kinds, key=lambda kind: (-(kind.share or 0), repr(kind)))


def _advice(
    problems: Sequence[OpenJourney], known: Sequence[KnownFields], due: Sequence[Due],
    waiting: Sequence[Waiting], felt: Sequence[Feeling], friction: Sequence[Friction],
) -> Iterable[Advice]:  # fmt: skip
    """Yield what to do and what not, in the order of the card."""
    for fields in known:
        fresh = [name for name in fields.fields if name not in fields.differing]
        if fresh:
            reason = f"{fields.system or 'somebody'} has {'it' if len(fresh) == 1 else 'them'}"
            yield Advice(False, f"ask for {', '.join(fresh)}", reason, fields.evidence)
        if fields.differing:
            names = ", ".join(fields.differing)
            yield Advice(
                True, f"ask once which holds: {names}", "given with different values",
                Evidence("friction.md#fields-asked-again", fields.evidence.journey_id,
                         fields.evidence.events),
            )  # fmt: skip
    for promise in due:
        if promise.state in ("overdue", "past due", "broken"):
            yield Advice(
                True, f"say what became of the promise ({promise.kind or 'of no known kind'})",
                promise.state, promise.evidence,
            )  # fmt: skip
    for hand in waiting:
        yield Advice(
            True, f"see that {hand.taker or 'the receiver'} takes it up", "nobody has yet",
            hand.evidence,
        )  # fmt: skip
    for answer in felt:
        is_low = answer.is_ignored or (answer.instrument == "complaint")
        if is_low and answer.acted_at is None:
            yield Advice(True, "answer what they said", "nobody acted on it", answer.evidence)
    for journey in problems:
        rule = Evidence(
            "friction.md#outreach", journey.evidence.journey_id, journey.evidence.events
        )
        yield Advice(False, "offer or sell anything", "a problem is open", rule)
    for kind in friction:
        if kind.kind == "over_pressure":
            yield Advice(False, "send another message", "they had too many", kind.evidence)


def _consent(rows: _Rows) -> tuple[bool | None, Advice | None]:
    """Return whether the last logged consent is for marketing, and the advice without it."""
    logged = [
        part.filter(pc.is_valid(part.column("consent_purpose")))
        for part in rows.parts.get("events", ())
        if "consent_purpose" in part.column_names
    ]
    last = _in_order(row for part in logged for row in part.to_pylist())[-1:]
    rule = "friction.md#outreach"
    if not last:
        return None, Advice(False, SEND, "no consent to it is logged", Evidence(rule))
    consents = PURPOSE in last[0]["consent_purpose"]
    named = Evidence(rule, None, events([f"{last[0]['source']}/{last[0]['id']}"]))
    return consents, None if consents else Advice(False, SEND, "no consent to it", named)
