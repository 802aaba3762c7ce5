"""Hand-offs: changes of owner or team between steps, requested ones, and the context passed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import distinct, pick
from rejse.transforms.columnar.nearest_match import Candidates
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import KEY_MARK, AsOf, pair_key
from rejse.transforms.features.field_requests import (
    DECLARED,
    OBSERVED,
    PASSED,
    Entries,
    FieldRequests,
    given_since,
)
from rejse.transforms.features.slas import journey_types, rows_of_kind, time_limits
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
    """Observed hand-offs, one row each: giving and receiving step, and the context passed."""

    giver: Ints
    receiver: Ints
    n_known: Ints
    n_passed: Ints
    n_reasked: Ints
    context: Ints
    basis: Ints
    ping_pong: Reals  # confidence that work came back unsolved; 0: no ping-pong

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
class HandoffRequests:
    """Hand-offs requested by `to_owner` or `to_team`; `received` is -1 where none took it up."""

    row: Ints
    due: Ints
    received: Ints
    is_dropped: Bools

    @property
    def waiting(self) -> HandoffRequests:
        """Requests not taken up yet."""
        at = np.flatnonzero(self.received == NULL)
        return HandoffRequests(self.row[at], self.due[at], self.received[at], self.is_dropped[at])


def handoffs(
    sessionised: SessionisedEvents, steps: Steps, field_requests: FieldRequests
) -> Handoffs:
    """Return the hand-offs between neighbouring steps with a known owner.

    Pushed messages and consultations are skipped. Two steps of one touchpoint whose owners both
    came from the table are no hand-off.
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
        sessionised, steps, field_requests, giver, receiver, _ping_pong(steps, kept)[receiver]
    )


def links(sessionised: SessionisedEvents, steps: Steps) -> Bools:
    """Return steps between which work is handed over: owned, not pushed, no consultations."""
    kept = steps.owner.known & ~steps.is_pushed
    return kept & ~_consultations(sessionised, steps, kept)


def escalations(sessionised: SessionisedEvents, steps: Steps) -> tuple[Ints, Ints]:
    """Return neighbouring links (giver, receiver) of which the later has a team of a higher tier.

    Tiers are those of the steps' times. The owner may stay the same. A touchpoint whose row names
    another team from then on is no escalation but a re-organisation. Neither is an employee's
    promotion between two of their own steps.
    """
    giver, receiver = known_owner_pairs(steps, links(sessionised, steps))
    higher = steps.tier[receiver] > steps.tier[giver]  # false where either has none
    higher &= steps.team.codes[giver] != steps.team.codes[receiver]
    place = steps.touchpoint.codes
    same_place = (place[giver] == place[receiver]) & (place[giver] != NULL)
    by_table = steps.team_from_place[giver] & steps.team_from_place[receiver]
    rising = higher & ~(same_place & by_table) & ~_same_employee(sessionised, giver, receiver)
    return giver[rising], receiver[rising]


def _same_employee(sessionised: SessionisedEvents, giver: Ints, receiver: Ints) -> Bools:
    """Return pairs of steps of one employee: the first actor of each that is no customer."""
    actor, customer = (
        sessionised.events.coded("actor_id"),
        sessionised.events.is_one("actor_type", "customer"),
    )
    first = sessionised.steps.first_valid(np.where(customer, NULL, actor.codes))
    return np.asarray((first[giver] == first[receiver]) & (first[giver] != NULL))


def _consultations(sessionised: SessionisedEvents, steps: Steps, kept: Bools) -> Bools:
    """Return internal steps without a receiver, between two steps of one other owner."""
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
    """Return the confidence that each step brings work back unsolved.

    Owner i = owner i + 2, and the last known outcome of the owner in between settles nothing (1) or
    is not known (.5). Where it is not known both owners must have worked: neither an automatic
    message nor a self-service visit takes work over.
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
    """Return the last step in `mask` of each run of one owner, -1 if none."""
    run = np.cumsum(head) - 1
    last = np.full(int(run[-1]) + 1, NULL, dtype=np.int64)
    chosen = mask[rows]
    last[run[chosen]] = rows[chosen]  # later rows overwrite earlier ones
    return last


def _with_context(
    sessionised: SessionisedEvents,
    steps: Steps,
    field_requests: FieldRequests,
    giver: Ints,
    receiver: Ints,
    ping_pong: Reals,
) -> Handoffs:
    """Add the context passed: as events log it, else as the table declares."""
    logged_context = _Context.of(sessionised, steps, field_requests, giver, receiver, OBSERVED)
    has_declared = bool((field_requests.entries.basis == DECLARED).any())
    declared_context = (
        _Context.of(sessionised, steps, field_requests, giver, receiver, DECLARED)
        if has_declared
        else logged_context
    )
    use_declared = ~logged_context.measured & declared_context.measured
    n_known = np.where(use_declared, declared_context.known, logged_context.known)
    n_passed = np.where(use_declared, declared_context.passed, logged_context.passed)
    n_reasked = np.where(use_declared, declared_context.reasked, logged_context.reasked)
    context = np.where(n_passed == 0, NO_CONTEXT, np.where(n_passed < n_known, PART, FULL))
    context = np.where(logged_context.measured | declared_context.measured, context, UNKNOWN)
    basis = np.where(use_declared, DECLARED, OBSERVED)
    return Handoffs(giver, receiver, n_known, n_passed, n_reasked, context, basis, ping_pong)


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
        field_requests: FieldRequests,
        giver: Ints,
        receiver: Ints,
        level: int,
    ) -> _Context:
        allowed = np.flatnonzero(field_requests.entries.basis <= level)
        entries, asks = field_requests.entries.rows(allowed), field_requests.asks[allowed]
        given_row, given_field = field_requests.given(sessionised, declared=level == DECLARED)
        start = steps.first[receiver]
        journey_start = sessionised.journeys.starts[steps.journey[receiver]]
        known = np.searchsorted(given_row, start) - np.searchsorted(given_row, journey_start)
        since = given_since(sessionised, entries, given_row, given_field.codes)
        pairs = _Pairs.of(sessionised, steps, entries, giver, receiver)
        was_known = since[pairs.entry] < start[pairs.handoff]
        passing = entries.op[pairs.entry] == PASSED
        asking = asks[pairs.entry] & pairs.at_receiver
        n_passed = pairs.distinct(passing & was_known, entries)
        n_reasked = pairs.distinct(asking & was_known, entries)
        logs = np.bincount(pairs.handoff[passing], minlength=len(giver)) > 0
        return cls(known, n_passed, n_reasked, (known > 0) & (logs | (n_reasked > 0)))


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
        """Return the number of distinct fields of each hand-off among the masked entries."""
        width = len(entries.field.names) + 1
        pairs = distinct(self.handoff[mask] * width + entries.field.codes[self.entry[mask]])
        return np.bincount(pairs // width, minlength=self.n)


def handoff_requests(
    sessionised: SessionisedEvents, data: Operational, rules: Rules, watermark: int
) -> HandoffRequests:
    """Return the requested hand-offs, and the event that took each up.

    A hand-off without one is dropped when the watermark has passed its due time. It is due by the
    receiver's SLA, else by the journey's type. It is taken up by a later event of the receiver in
    the journey that is not the customer's own, nor inbound unless in the giver's session or by a
    human of the receiver.
    """
    events = sessionised.events
    to_owner, to_team = events.coded("to_owner"), events.coded("to_team")
    rows = np.flatnonzero(to_owner.known | to_team.known)
    due_in = event_flags.by_type(sessionised.journey_kind, rules, lambda of: of.handoff_due)
    usual = events.time[rows] + due_in[sessionised.journeys.ids[rows]]
    due = handoff_due(sessionised, data, rows, usual)
    owner, want_owner = sessionised.owner.aligned(to_owner)
    team, want_team = sessionised.team.aligned(to_team)
    human = events.is_one("actor_type", "human")
    answers = ~events.is_one("actor_type", "customer")
    inbound = events.is_one("direction", "inbound")

    in_time, moment = sessionised.by_time, sessionised.moment

    def takes_up(requests: Ints, candidates: Ints) -> Bools:
        request, taken = in_time[requests], in_time[candidates]
        outward = (
            ~inbound[taken]
            | human[taken]
            | (sessionised.session[taken] == sessionised.session[request])
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
    over = passed(due, watermark, rules.windows.lateness)
    return HandoffRequests(rows, due, taken, over & (taken == NULL))


def handoff_due(sessionised: SessionisedEvents, data: Operational, rows: Ints, usual: Ints) -> Ints:
    """Return when the hand-offs requested by the events `rows` are due (microseconds).

    By the SLA for the receiver, else for any receiver, else `usual`; `usual` also where the
    receiver's working hours are not known.
    """
    index: AsOf | None = data.once("slas of hand-offs", lambda: _handoff_slas(data))
    if index is None or not len(rows):
        return usual
    kind = journey_types(sessionised).rows(sessionised.journeys.ids[rows])
    to_owner = sessionised.events.coded("to_owner").rows(rows)
    any_receiver = Categorical.named(np.zeros(len(rows)), [""])
    time = sessionised.events.time[rows]
    row = index.rows(pair_key(kind, to_owner), time)
    row = np.where(row == NULL, index.rows(pair_key(kind, any_receiver), time), row)
    limit, working = time_limits(index, row)
    due = np.where(row == NULL, usual, time + limit)
    worked_until, known = data.calendar.after(to_owner, time, limit)
    return np.where(working, np.where(known, worked_until, usual), due)


def _handoff_slas(data: Operational) -> AsOf | None:
    """Index the hand-off rows of `slas` by journey type and receiver, "" for any; None: no rows."""
    table = rows_of_kind(data, "handoff")
    if not table.num_rows:
        return None
    receiver = pc.fill_null(table.column("to_owner"), "")
    key = pc.binary_join_element_wise(table.column("journey_type"), receiver, KEY_MARK)
    return AsOf.of(table.append_column("key", key), "key")
