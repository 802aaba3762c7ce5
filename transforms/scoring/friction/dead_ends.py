"""Friction of contacts without a result: dead ends, abandonment, self-rescue."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.groups import pick
from rejse.transforms.columnar.nearest_match import Candidates
from rejse.transforms.features.contacts import intents_agree, next_of
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.scoring.friction.contacts import between, last_before
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import kind

FAILED = ("error", "no_result", "abandoned")


@kind(
    "node",
    "dead ends",
    {"outcome"},
    {"error_code"},
    {"results_n"},
    label="Dead end",
    story="got stuck, and had to go elsewhere or gave up",
    launch=False,
    circular_with={
        "bad_end": "it is a bad outcome, which may be the end",
        "repeat_contact": "the next contact makes it one, or that there is none",
    },
)
def dead_end(ctx: JourneyContext) -> Evidence:
    """Inbound contact whose last event with an outcome, an error code or no results failed (error,
    no_result, abandoned; where no outcome is logged the error or the empty result), and whose next
    inbound contact of equal or unknown intent has another channel, or there is none when the
    journey closes (docs/reference/friction.md#contacts).
    """
    sessionised, contacts, events = ctx.sessionised, ctx.contacts, ctx.sessionised.events
    results, counted = events.number("results_n")
    fault = events.coded("error_code").known | (counted & (results == 0))
    outcome = events.coded("outcome")
    failed = events.is_any("outcome", *FAILED) | (fault & ~outcome.known)
    if not failed.any():
        return no_evidence(ctx, "dead_end")
    order = sessionised.session_order
    row = pick(order, sessionised.sessions.last_row((outcome.known | fault)[order]))
    stuck = np.flatnonzero(contacts.inbound & pick(failed, row, False))
    inbound = np.flatnonzero(contacts.inbound)
    coming = Candidates.of(inbound, contacts.journey[inbound], len(contacts))
    following = coming.later(
        stuck, contacts.journey[stuck], lambda a, b: intents_agree(contacts, a, b)
    )
    elsewhere = pick(contacts.channel.codes, following) != contacts.channel.codes[stuck]
    given_up = ctx.closed[contacts.journey[stuck]]
    row = row[stuck[np.where(following >= 0, elsewhere, given_up)]]
    return make_evidence(ctx, "dead_end", sessionised.steps.ids[row], row)


@kind(
    "node",
    "abandonments",
    {"outcome"},
    label="Abandoned",
    story="gave up waiting",
    launch=False,
    circular_with={"bad_end": "it is a bad outcome, which may be the end"},
)
def abandonment(ctx: JourneyContext) -> Evidence:
    """Contact whose outcome is abandoned, after a logged wait of at least the short-abandon
    threshold; an unknown wait counts (docs/reference/friction.md#contacts).
    """
    sessionised, contacts, events = ctx.sessionised, ctx.contacts, ctx.sessionised.events
    if not events.is_any("outcome", "abandoned").any():
        return no_evidence(ctx, "abandonment")
    order, seg = sessionised.session_order, sessionised.sessions
    wait, logged = events.number("wait_s")
    wait, logged = wait[order], logged[order]
    waited = seg.sum(np.where(logged, wait, 0)) * SECOND
    short = seg.any(logged) & (waited < ctx.rules.windows.short_abandon)
    left = np.flatnonzero(contacts.is_contact & contacts.outcome.of_names(("abandoned",)) & ~short)
    row = pick(order, seg.last_row(events.coded("outcome").known[order]))[left]
    return make_evidence(ctx, "abandonment", sessionised.steps.ids[row], row)


@kind(
    "edge",
    "self-rescues",
    {"channel", "intent", "outcome"},
    label="Self-rescue",
    story="was not helped, and had to search for themselves",
    launch=False,
    circular_with={"bad_end": "it needs a bad outcome, which may be the end"},
)
def self_rescue(ctx: JourneyContext) -> Evidence:
    """Human to own search: an inbound contact with a human that left the problem open, whose next
    inbound contact is on the web without a human, of the same known intent
    (docs/reference/friction.md#contacts).
    """
    contacts = ctx.contacts
    failed = (
        contacts.inbound & contacts.has_human & contacts.outcome.of_names(event_flags.LEAVES_OPEN)
    )
    if not failed.any():
        return no_evidence(ctx, "self_rescue")
    following = next_of(contacts.inbound, contacts.journey)
    alone = contacts.channel.of_names(("web",)) & ~contacts.has_human
    earlier = np.flatnonzero(failed & pick(alone, following, False))
    later = following[earlier]
    known = contacts.intent.known[earlier] & contacts.intent.known[later]
    same = known & intents_agree(contacts, earlier, later)
    earlier, later = earlier[same], later[same]
    last = last_before(ctx, earlier, later, np.arange(ctx.sessionised.events.n))
    return between(ctx, "self_rescue", last, later)
