"""Fields that a customer is asked, gives, and is asked again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby

from tests.bench.perevent.company import Company
from tests.bench.perevent.event import Event
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.step import Step

OBSERVED, DECLARED = 0, 1
BASES = ("observed", "declared")
OPS = {
    "given": "given", "asked": "asked", "verify": "verify", "passed": "passed", "shown": "passed",
}  # fmt: skip
DECLARED_OPS = {"asks": "given", "knows": "passed", "passes": "passed"}


@dataclass(slots=True, eq=False)
class Entry:
    """A field named at the event of place `n`; `known` is the place where it was first given.

    It asks if it is asked, or given without an ask or a verification of that field in that step.
    """

    n: int
    step: Step
    field: str
    op: str
    value: str | None
    basis: int
    known: int | None = None
    known_basis: int = OBSERVED
    asks: bool = False


@dataclass(slots=True)
class Fields:
    """Entries of a journey by step, and of each field: where first given, its known answers."""

    of_step: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    first_observed: dict[str, int] = field(default_factory=dict)
    first_any: dict[str, int] = field(default_factory=dict)
    answers: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    def note(self, entry: Entry) -> None:
        """Take an entry in, in journey order."""
        self.of_step[entry.step.seq].append(entry)
        if entry.op == "given":
            self.first_any.setdefault(entry.field, entry.n)
            if entry.basis == OBSERVED:
                self.first_observed.setdefault(entry.field, entry.n)
            if entry.value is not None:
                self.answers[entry.field].append(entry)

    def look_up(self) -> None:
        """Let each entry know whether it asks, and where its field was given before."""
        for entries in self.of_step.values():
            settled = {entry.field for entry in entries if entry.op in ("asked", "verify")}
            for entry in entries:
                unasked = entry.op == "given" and entry.field not in settled
                entry.asks = unasked or entry.op == "asked"
                observed = self.first_observed.get(entry.field)
                anyhow = self.first_any.get(entry.field)
                entry.known_basis = entry.basis
                if entry.basis == OBSERVED and observed is not None and observed < entry.n:
                    entry.known = observed
                elif anyhow is not None and anyhow < entry.n:
                    entry.known, entry.known_basis = anyhow, DECLARED


@dataclass(slots=True, eq=False)
class Request:
    """A field that a step asks; `known` is the event that gave it before."""

    step: Step
    field: str
    event: Event
    known: Event | None
    basis: int
    agrees: bool | None = None


def fields(journey: Journey, company: Company) -> Fields:
    """What the steps log of fields; steps that log nothing do what their touchpoint declares."""
    found = Fields()
    for step in journey.steps:
        if any(event.info for event in step.events):
            _observed(step, found)
        else:
            _declared(step, company, found)
    found.look_up()
    return found


def _observed(step: Step, found: Fields) -> None:
    for event in step.events:
        for one in event.info:
            op = OPS.get(one["op"])
            if op and one["field"] is not None:
                entry = Entry(event.n, step, one["field"], op, one["value_hmac"], OBSERVED)
                found.note(entry)


def _declared(step: Step, company: Company, found: Fields) -> None:
    for said in company.declared.get(step.touchpoint or "", ()):
        op = DECLARED_OPS.get(said.op)
        if op and said.holds(step.first.us):
            found.note(Entry(step.first.n, step, said.field, op, None, DECLARED))


def requests(journey: Journey, found: Fields) -> list[Request]:
    """One for each step and field that it asks, or is given unasked."""
    requested = []
    for entries in found.of_step.values():
        asked: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.asks:
                asked[entry.field].append(entry)
        for of_field in asked.values():
            requested.append(_request(journey, of_field, found))
    return requested


def _request(journey: Journey, asks: list[Entry], found: Fields) -> Request:
    """The request of a step for a field, which asks it once or several times."""
    again = next((entry for entry in asks if entry.known is not None), None)
    known = None if again is None or again.known is None else journey.events[again.known]
    first = asks[0]
    basis = first.basis if again is None else again.known_basis
    request = Request(first.step, first.field, journey.events[first.n], known, basis)
    if again is not None:
        request.agrees = _agrees(again, found.answers[first.field])
        request.step.n_reasked += 1
    return request


def _agrees(again: Entry, given: list[Entry]) -> bool | None:
    """Whether the step's answer is the last one before; None where either is unknown."""
    before = [entry for entry in given if entry.n < again.n]
    answer = next((entry for entry in given if entry.n >= again.n), None)
    if not before or answer is None or answer.step is not again.step:
        return None
    return before[-1].value == answer.value


def by_system(found: list[Request]) -> list[list[Request]]:
    """Re-asks of a journey, those of one step, basis and knowing system together."""

    def told(request: Request) -> tuple[int, int, str]:
        return request.step.seq, request.basis, knowing(request)

    again = sorted((one for one in found if one.known is not None), key=told)
    return [list(group) for _, group in groupby(again, told)]


def knowing(request: Request) -> str:
    """System that knew the field: else the owner, else the channel."""
    assert request.known is not None
    return request.known.system
