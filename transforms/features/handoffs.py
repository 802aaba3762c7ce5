"""Hand-offs: change of owner or team between steps, those asked for, and the context passed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals
from rejse.transforms.columnar.groups import distinct, pick
from rejse.transforms.columnar.nearest_match import Candidates
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.field_requests import (
    DECLARED,
    OBSERVED,
    PASSED,
    Entries,
    Information,
    given_since,
)
from rejse.transforms.features.slas import handoff_due
from rejse.transforms.features.steps import Steps, known_owner_pairs
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.journeys.watermarks import passed
from rejse.transforms.schema.parameters import Rules

CONTEXTS = ("none", "part", "full", "unknown")
NO_CONTEXT, PART, FULL, UNKNOWN = range(4)
SOLVED = ("resolved", "sold", "informed", "partly")


@dataclass(frozen=True)
class Handoffs:
    """Seen hand-offs, one row each: from step to step, with the context that went over."""

    giver: Ints
    receiver: Ints
    n_known: Ints
    n_passed: Ints
    n_reasked: Ints
    context: Ints
    basis: Ints
    ping_pong: Reals  # confidence that work came back unsolved; 0: it is no ping-pong

    @property
    def is_ping_pong(self) -> Bools:
        """Back to the owner it came from, not known to be solved in between."""
        return self.ping_pong > 0

    @property
    def passed_share(self) -> Reals:
        """|passed| / |known|, NaN where nothing is known."""
        known = np.where(self.n_known > 0, self.n_known, 1)
        return np.where(self.n_known > 0, self.n_passed / known, np.nan)


@dataclass(frozen=True)
class Asked:
    """Hand-offs asked for by `to_owner` or `to_team`; `received` is -1 where nobody took it up."""

    row: Ints
    due: Ints
    received: Ints
    is_dropped: Bools

    @property
    def waiting(self) -> Asked:
        """Those that nobody took up yet."""
        at = np.flatnonzero(self.received == NULL)
        return Asked(self.row[at], self.due[at], self.received[at], self.is_dropped[at])


def handoffs(sessionised: SessionisedEvents, steps: Steps, told: Information) -> Handoffs:
    """Hand-offs between neighbouring steps with a known owner.

    Pushed messages and consultations are no links of the chain; two steps of one touchpoint whose
    owners both came from the table are never a hand-off.
    """
    kept = links(sessionised, steps)
    giver, receiver = known_owner_pairs(steps, kept)
    owner, team = steps.owner.codes, steps.team.codes
    both_teams = (team[giver] != NULL) & (team[receiver] != NULL)
    moved = (owner[giver] != owner[receiver]) | (both_teams & (team[giver] != team[receiver]))
    place = steps.touchpoint.codes
    same_place = (place[giver] == place[receiver]) & (place[giver] != NULL)
    table_only = same_place & steps.owner_from_table[giver] & steps.owner_from_table[receiver]
    chosen = moved & ~table_only
    giver, receiver = giver[chosen], receiver[chosen]
    return _with_context(
        sessionised, steps, told, giver, receiver, _ping_pong(steps, kept)[receiver]
    )


def links(sessionised: SessionisedEvents, steps: Steps) -> Bools:
    """Steps that are links of the chain: of a known owner, neither pushed nor consultations."""
    kept = steps.owner.known & ~steps.is_pushed
    return kept & ~_consultations(sessionised, steps, kept)


def rises(sessionised: SessionisedEvents, steps: Steps) -> tuple[Ints, Ints]:
    """Neighbouring links (giver, receiver) of which the later has a team of a higher tier.

    Tiers are those of the steps' times. The owner may stay the same. A touchpoint whose own row
    names another team from now on is no rise: that is a re-organisation. Nor is an employee's
    promotion between two of his own steps: nobody else has the work.
    """
    giver, receiver = known_owner_pairs(steps, links(sessionised, steps))
    higher = steps.tier[receiver] > steps.tier[giver]  # false where either has none
    higher &= steps.team.codes[giver] != steps.team.codes[receiver]
    place = steps.touchpoint.codes
    same_place = (place[giver] == place[receiver]) & (place[giver] != NULL)
    by_table = steps.team_from_place[giver] & steps.team_from_place[receiver]
    rising = higher & ~(same_place & by_table) & ~_is_of_one(sessionised, giver, receiver)
    return giver[rising], receiver[rising]


def _is_of_one(sessionised: SessionisedEvents, giver: Ints, receiver: Ints) -> Bools:
    """Pairs of steps of one employee: the first whom each names, customers apart."""
    actor, customer = (
        sessionised.events.coded("actor_id"),
        sessionised.events.is_any("actor_type", "customer"),
    )
    first = sessionised.steps.first_valid(np.where(customer, NULL, actor.codes))
    return np.asarray((first[giver] == first[receiver]) & (first[giver] != NULL))


def _consultations(sessionised: SessionisedEvents, steps: Steps, kept: Bools) -> Bools:
    """Internal steps without a receiver, between two steps of one other owner."""
    if not steps.is_internal.any():
        return np.zeros(len(steps), dtype=bool)
    hands = sessionised.steps.any(sessionised.events.coded("to_owner").known)
    rows = np.flatnonzero(kept)
    owner, journey = steps.owner.codes[rows], steps.journey[rows]
    out = np.zeros(len(steps), dtype=bool)
    if len(rows) > 2:
        before, here, after = owner[:-2], owner[1:-1], owner[2:]
        same = (journey[:-2] == journey[1:-1]) & (journey[1:-1] == journey[2:])
        out[rows[1:-1]] = same & (before == after) & (here != before)
    return out & steps.is_internal & ~hands


def _ping_pong(steps: Steps, kept: Bools) -> Reals:
    """How sure it is of each step that it brings work back unsolved: owner i = owner i + 2, and
    the last known outcome of the owner in between settles nothing (1), or is not known (.5).
    Where it is not known both must have worked: a machine's message takes no work over, and who
    looks at a web page brings none back.
    """
    rows = np.flatnonzero(kept)
    same = steps.journey[rows[1:]] == steps.journey[rows[:-1]]
    owner = steps.owner.codes[rows]
    head = np.ones(len(rows), dtype=bool)
    head[1:] = ~(same & (owner[1:] == owner[:-1]))
    starts = rows[head]
    out = np.zeros(len(steps))
    if len(starts) > 2:
        last = _last_of_runs(rows, head, steps.outcome.known)[1:-1]
        worked = _last_of_runs(rows, head, steps.is_worked) != NULL
        solved = pick(steps.outcome.of_names(SOLVED), last, False)
        sure = np.where(solved, 0.0, np.where(last == NULL, 0.5 * (worked[1:-1] & worked[2:]), 1.0))
        journey, held = steps.journey[starts], steps.owner.codes[starts]
        back = (journey[:-2] == journey[2:]) & (held[:-2] == held[2:])
        out[starts[2:]] = np.where(back, sure, 0.0)
    return out


def _last_of_runs(rows: Ints, head: Bools, mask: Bools) -> Ints:
    """Last step of each run of one owner that is in `mask`, -1 if none is."""
    run = np.cumsum(head) - 1
    last = np.full(int(run[-1]) + 1, NULL, dtype=np.int64)
    chosen = mask[rows]
    last[run[chosen]] = rows[chosen]  # later rows overwrite earlier ones
    return last


def _with_context(
    sessionised: SessionisedEvents,
    steps: Steps,
    told: Information,
    giver: Ints,
    receiver: Ints,
    ping_pong: Reals,
) -> Handoffs:
    """Context by what events log; where they log nothing, by what the table declares."""
    seen = _Context.of(sessionised, steps, told, giver, receiver, OBSERVED)
    says_more = bool((told.entries.basis == DECLARED).any())
    said = _Context.of(sessionised, steps, told, giver, receiver, DECLARED) if says_more else seen
    declared = ~seen.measured & said.measured
    known = np.where(declared, said.known, seen.known)
    went = np.where(declared, said.passed, seen.passed)
    reasked = np.where(declared, said.reasked, seen.reasked)
    context = np.where(went == 0, NO_CONTEXT, np.where(went < known, PART, FULL))
    context = np.where(seen.measured | said.measured, context, UNKNOWN)
    basis = np.where(declared, DECLARED, OBSERVED)
    return Handoffs(giver, receiver, known, went, reasked, context, basis, ping_pong)


@dataclass(frozen=True)
class _Context:
    known: Ints
    passed: Ints
    reasked: Ints
    measured: Bools

    @classmethod
    def of(
        cls,
        sessionised: SessionisedEvents,
        steps: Steps,
        told: Information,
        giver: Ints,
        receiver: Ints,
        level: int,
    ) -> _Context:
        allowed = np.flatnonzero(told.entries.basis <= level)
        entries, asks = told.entries.rows(allowed), told.asks[allowed]
        given_row, given_field = told.given(sessionised, declared=level == DECLARED)
        start = steps.first[receiver]
        journey_start = sessionised.journeys.starts[steps.journey[receiver]]
        known = np.searchsorted(given_row, start) - np.searchsorted(given_row, journey_start)
        since = given_since(sessionised, entries, given_row, given_field.codes)
        pairs = _Pairs.of(sessionised, steps, entries, giver, receiver)
        was_known = since[pairs.entry] < start[pairs.handoff]
        passing = entries.op[pairs.entry] == PASSED
        asking = asks[pairs.entry] & pairs.at_receiver
        went = pairs.distinct(passing & was_known, entries)
        again = pairs.distinct(asking & was_known, entries)
        logs = np.bincount(pairs.handoff[passing], minlength=len(giver)) > 0
        return cls(known, went, again, (known > 0) & (logs | (again > 0)))


@dataclass(frozen=True)
class _Pairs:
    """Entries of the two steps of each hand-off."""

    n: int
    handoff: Ints
    entry: Ints
    at_receiver: Bools

    @classmethod
    def of(
        cls,
        sessionised: SessionisedEvents,
        steps: Steps,
        entries: Entries,
        giver: Ints,
        receiver: Ints,
    ) -> _Pairs:
        step = sessionised.steps.ids[entries.row]
        sides = []
        for side in (giver, receiver):
            handoff = np.full(len(steps), NULL, dtype=np.int64)
            handoff[side] = np.arange(len(side))
            sides.append(handoff[step])
        entry = np.concatenate([np.flatnonzero(s >= 0) for s in sides])
        handoff = np.concatenate([s[s >= 0] for s in sides])
        received = np.arange(len(entry)) >= int((sides[0] >= 0).sum())
        return cls(len(giver), handoff, entry, received)

    def distinct(self, mask: Bools, entries: Entries) -> Ints:
        """Number of distinct fields of each hand-off among the masked entries."""
        width = len(entries.field.names) + 1
        pairs = distinct(self.handoff[mask] * width + entries.field.codes[self.entry[mask]])
        return np.bincount(pairs // width, minlength=self.n)


def asked_for(
    sessionised: SessionisedEvents, data: Operational, rules: Rules, frontier: int
) -> Asked:
    """Hand-offs asked for, and the event that took each up; dropped if there is none when the
    frontier has passed the due time.

    Due by the receiver's SLA, else by the journey's type. Taken up by a later event of the
    receiver in this journey that is not the customer's own, and not inbound unless in the giver's
    session or by a human of the receiver.
    """
    events = sessionised.events
    to_owner, to_team = events.coded("to_owner"), events.coded("to_team")
    rows = np.flatnonzero(to_owner.known | to_team.known)
    due_in = event_flags.by_type(sessionised.journey_kind, rules, lambda of: of.handoff_due)
    usual = events.time[rows] + due_in[sessionised.journeys.ids[rows]]
    due = handoff_due(sessionised, data, rows, usual)
    owner, want_owner = sessionised.owner.aligned(to_owner)
    team, want_team = sessionised.team.aligned(to_team)
    human = events.is_any("actor_type", "human")
    answers = ~events.is_any("actor_type", "customer")
    inbound = events.is_any("direction", "inbound")

    in_time, moment = sessionised.by_time, sessionised.moment

    def takes_up(asking: Ints, found: Ints) -> Bools:
        asked, taken = in_time[asking], in_time[found]
        outward = (
            ~inbound[taken]
            | human[taken]
            | (sessionised.session[taken] == sessionised.session[asked])
        )
        return np.asarray(answers[taken] & outward)

    received = np.full(len(rows), events.n)
    for have, want in ((owner, want_owner[rows]), (team, want_team[rows])):
        width = int(max(have.max(initial=0), want.max(initial=0))) + 2
        held, named = np.flatnonzero(have != NULL), np.flatnonzero(want != NULL)
        key = sessionised.journeys.ids * width + have + 1
        wanted = sessionised.journeys.ids[rows[named]] * width + want[named] + 1
        takers = Candidates.of(moment[held], key[held], events.n)
        at = takers.later(moment[rows[named]], wanted, takes_up)
        received[named] = np.minimum(received[named], np.where(at >= 0, at, events.n))
    taken = np.append(in_time, NULL)[received]
    over = passed(due, frontier, rules.windows.lateness)
    return Asked(rows, due, taken, over & (taken == NULL))
