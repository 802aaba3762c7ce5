"""Hand-offs between owners: those seen, with the context that went over, and those asked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tests.bench.perevent.event import Event
from tests.bench.perevent.fields import OBSERVED, Entry, Fields
from tests.bench.perevent.journey import Journey
from tests.bench.perevent.step import Step

SOLVED = ("resolved", "sold", "informed", "partly")


@dataclass(slots=True)
class Context:
    """Fields known before a hand-off, passed with it, and named again by the receiver."""

    n_known: int
    n_passed: int
    n_again: int
    logs_passing: bool
    is_declared: bool = False

    @property
    def is_measured(self) -> bool:
        """Something was known, and either side logs what became of it."""
        return self.n_known > 0 and (self.logs_passing or self.n_again > 0)

    @property
    def name(self) -> str:
        """How much went over."""
        if not self.is_measured:
            return "unknown"
        if self.n_passed == 0:
            return "none"
        return "part" if self.n_passed < self.n_known else "full"


@dataclass(slots=True, eq=False)
class Handoff:
    """A hand-off from step to step."""

    giver: Step
    receiver: Step
    context: Context
    is_ping_pong: bool


@dataclass(slots=True, eq=False)
class Ask:
    """A hand-off that an event asks for; `received` is the event that took it up."""

    event: Event
    step: Step
    due: int
    received: Event | None
    is_dropped: bool


def handoffs(journey: Journey, fields: Fields) -> list[Handoff]:
    """Hand-offs seen in a journey."""
    links = _links(journey)
    back = _ping_pongs(links)
    return [
        Handoff(giver, receiver, _context(giver, receiver, fields), receiver.seq in back)
        for giver, receiver in pairwise(links)
        if _changes_hands(giver, receiver)
    ]


def _links(journey: Journey) -> list[Step]:
    """Steps of a known owner, without what the company pushed and without consultations."""
    owned = [s for s in journey.steps if s.owner is not None and not s.first.is_pushed]
    return [
        step
        for place, step in enumerate(owned)
        if not (0 < place < len(owned) - 1 and _is_consultation(*owned[place - 1 : place + 2]))
    ]


def _is_consultation(before: Step, step: Step, after: Step) -> bool:
    """Internal, asked of nobody, between two steps of one other owner."""
    inner = step.first.is_internal and not step.has_receiver
    return inner and before.owner == after.owner and step.owner != before.owner


def _changes_hands(giver: Step, receiver: Step) -> bool:
    """Another owner or team, unless the table gave one touchpoint to another owner."""
    teams = giver.team, receiver.team
    other_team = None not in teams and teams[0] != teams[1]
    by_table = giver.first.owner_from_table and receiver.first.owner_from_table
    same_place = giver.touchpoint is not None and giver.touchpoint == receiver.touchpoint
    return (giver.owner != receiver.owner or other_team) and not (by_table and same_place)


def _ping_pongs(links: list[Step]) -> set[int]:
    """Steps that come back to an owner while the one between is known not to have solved it."""
    runs: list[list[Step]] = []
    for step in links:
        if runs and runs[-1][0].owner == step.owner:
            runs[-1].append(step)
        else:
            runs.append([step])
    found = set()
    for one, middle, other in zip(runs, runs[1:], runs[2:], strict=False):
        last = next((s.outcome for s in reversed(middle) if s.outcome), None)
        if one[0].owner == other[0].owner and last is not None and last not in SOLVED:
            found.add(other[0].seq)
    return found


def _context(giver: Step, receiver: Step, fields: Fields) -> Context:
    """What went over, as logged; as declared where only that says something."""
    given, taken = fields.of_step.get(giver.seq, []), fields.of_step.get(receiver.seq, [])
    start = receiver.first.n
    known = {f for f, n in fields.first_observed.items() if n < start}
    seen = _measured(
        known, [e for e in given if e.basis == OBSERVED], [e for e in taken if e.basis == OBSERVED]
    )
    if seen.is_measured:
        return seen
    said = _measured({f for f, n in fields.first_any.items() if n < start}, given, taken)
    if said.is_measured:
        said.is_declared = True
        return said
    return seen


def _measured(known: set[str], given: list[Entry], taken: list[Entry]) -> Context:
    passed = {e.field for e in (*given, *taken) if e.op == "passed"}
    again = {e.field for e in taken if e.asks}
    return Context(len(known), len(passed & known), len(again & known), bool(passed))


def asks(journey: Journey, passed: int) -> list[Ask]:
    """Hand-offs asked for; `passed` is the time until which every source has told all."""
    found = []
    for event in journey.events:
        if event.to_owner is not None and event.step is not None:
            due = event.us + event.kind.handoff_due
            received = next((e for e in journey.events[event.n + 1 :] if _takes(e, event)), None)
            found.append(Ask(event, event.step, due, received, received is None and due < passed))
    return found


def _takes(event: Event, asked: Event) -> bool:
    """By the owner asked, not the customer's own, and not a customer who came by himself."""
    if event.owner != asked.to_owner or event.actor_type == "customer":
        return False
    came = event.direction == "inbound" and event.actor_type != "human"
    return not came or event.visit is asked.visit
