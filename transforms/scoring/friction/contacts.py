"""Friction between contacts: channel switches, repeat contacts, fallbacks to a human."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.groups import pick
from rejse.transforms.features.contacts import intents_agree, next_of
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys import event_flags
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence
from rejse.transforms.scoring.friction.kinds import kind

SATISFIED = ("resolved", "sold", "informed")


@kind(
    "edge",
    "switches",
    {"channel"},
    label="Channel switch",
    story="had to change channel",
    launch=False,
    circular_with={"bad_end": "a good outcome before it excuses it, and may be the end"},
)
def channel_switch(ctx: JourneyContext) -> Evidence:
    """Consecutive inbound contacts of different channel families and of the same or unknown
    intent, the earlier of which did not end resolved, sold or informed; unknown outcome:
    confidence .5 (after Gartner's effort drivers; docs/reference/friction.md#contacts).
    """
    earlier, later = switches(ctx)
    sure = np.where(ctx.contacts.outcome.known[earlier], 1.0, 0.5)
    last = last_before(ctx, earlier, later, np.arange(ctx.sessionised.events.n))
    return between(ctx, "channel_switch", last, later, confidence=sure)


def switches(ctx: JourneyContext) -> tuple[Ints, Ints]:
    """Return the sessions before and after each channel switch."""
    contacts = ctx.contacts
    following = next_of(contacts.inbound, contacts.journey)
    other = contacts.family.codes != pick(contacts.family.codes, following)
    unsettled = ~contacts.outcome.of_names(SATISFIED)
    earlier = np.flatnonzero((following >= 0) & other & unsettled)
    later = following[earlier]
    same = intents_agree(contacts, earlier, later)
    return earlier[same], later[same]


@kind(
    "edge",
    "contacts",
    {"intent", "outcome"},
    label="Repeat contact",
    story="had to make contact again for the same thing",
    circular_with={"bad_end": "`informed` or `sold` before it excuses it, and may be the end"},
)
def repeat_contact(ctx: JourneyContext) -> Evidence:
    """Inbound contact with an earlier one of the same customer and intent within W, start to
    start, where the earlier one's outcome is known and neither `informed` nor `sold`: a sale
    serves the customer (docs/reference/friction.md#contacts).
    """
    contacts = ctx.contacts
    earlier = ctx.repeats
    known = pick(contacts.outcome.known, earlier, False)
    served = pick(contacts.outcome.of_names(("informed", "sold")), earlier, False)
    later = np.flatnonzero((earlier >= 0) & known & ~served)
    # The two may be of different journeys: only the total order compares their events.
    last = last_before(ctx, earlier[later], later, ctx.sessionised.rank)
    return between(ctx, "repeat_contact", last, later)


@kind(
    "edge",
    "contacts",
    {"channel"},
    label="Digital to human",
    story="did not get there digitally and had to ask a person",
    circular_with={"bad_end": "a good outcome before it excuses it, and may be the end"},
)
def channel_fallback(ctx: JourneyContext) -> Evidence:
    """Digital to human: an inbound contact without a human on web, app, chatbot or device whose
    next inbound contact of the same or unknown intent has one, or a chatbot that gives over to a
    human inside a session; not after resolved, sold, informed; unknown outcome: confidence .5
    (docs/reference/friction.md#contacts).
    """
    earlier, later = fallbacks(ctx)
    contacts = ctx.contacts
    sure = np.where(contacts.outcome.known[earlier], 1.0, 0.5)
    last = last_before(ctx, earlier, later, np.arange(ctx.sessionised.events.n))
    step_of = ctx.sessionised.steps.ids
    inner_row, inner_before, inner_proof, inner_sure = _inside_sessions(ctx)
    steps = np.concatenate([step_of[contacts.first[later]], step_of[inner_row]])
    previous = np.concatenate([step_of[last], inner_before])
    rows = np.concatenate([contacts.first[later], inner_row])
    proof = np.concatenate([last, inner_proof])
    sure = np.concatenate([sure, inner_sure])
    return make_evidence(
        ctx, "channel_fallback", steps, rows, previous=previous, earlier=proof, confidence=sure
    )


def fallbacks(ctx: JourneyContext) -> tuple[Ints, Ints]:
    """Return each failed self-service contact and the human contact that follows it."""
    contacts = ctx.contacts
    alone = (
        contacts.inbound & ~contacts.has_human & contacts.channel.of_names(event_flags.SELF_SERVICE)
    )
    following = next_of(contacts.inbound, contacts.journey)
    human_next = pick(contacts.has_human, following, False)
    failed = alone & human_next & ~contacts.outcome.of_names(SATISFIED)
    earlier = np.flatnonzero(failed)
    later = following[earlier]
    same = intents_agree(contacts, earlier, later)
    return earlier[same], later[same]


def _inside_sessions(ctx: JourneyContext) -> tuple[Ints, Ints, Ints, np.ndarray]:  # type: ignore[type-arg]
    """Find fallbacks from chatbot to human within one session.

    Returns the event of the human, the session's step before it (-1 where both are in one), the
    event before it, and the confidence.
    """
    sessionised, contacts = ctx.sessionised, ctx.contacts
    events, order, seg = sessionised.events, sessionised.session_order, sessionised.sessions
    bot = events.is_any("channel", "chatbot")[order]
    if not bot.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    human = event_flags.is_human(events)[order]
    first_human, first_bot = seg.first_row(human), seg.first_row(bot & ~human)
    bot_first = (first_bot >= 0) & (first_human > first_bot) & contacts.inbound
    outcome = events.coded("outcome")
    last_outcome = seg.last_row_before(outcome.known[order])
    outcome_row = pick(order, pick(last_outcome, first_human))
    fine = pick(outcome.of_names(SATISFIED), outcome_row, False)
    chosen = np.flatnonzero(bot_first & ~fine)
    at = first_human[chosen]
    step = sessionised.steps.ids[order]
    begun = seg.last_row_before(seg.changed(step), inclusive=True)[at]
    before = pick(step, np.where(begun >= 0, begun - 1, NULL))
    return order[at], before, order[at - 1], np.where(outcome_row[chosen] >= 0, 1.0, 0.5)


def between(
    ctx: JourneyContext, name: str, last: Ints, later: Ints, *, confidence: Reals | None = None
) -> Evidence:
    """Make evidence on the edge from an event of one contact to the first step of a later one."""
    first, step_of = ctx.contacts.first[later], ctx.sessionised.steps.ids
    return make_evidence(
        ctx,
        name,
        step_of[first],
        first,
        previous=step_of[last],
        earlier=last,
        confidence=confidence,
    )


def last_before(ctx: JourneyContext, earlier: Ints, later: Ints, place: Ints) -> Ints:
    """Return the last event of each earlier contact before the later one begins.

    Contacts of two channel families may overlap: later events of the earlier contact did not lead
    to the later one. `place` of each event is the order in which contacts are earlier or later. No
    contact may be in `earlier` twice.
    """
    contacts, sessionised = ctx.contacts, ctx.sessionised
    began, last = place[contacts.first[later]], contacts.last[earlier]
    if (place[last] < began).all():
        return last
    until = np.zeros(len(contacts), dtype=np.int64)
    until[earlier] = began
    order, seg = sessionised.session_order, sessionised.sessions
    rows = seg.last_row(place[order] < seg.broadcast(until))
    return np.asarray(order[rows[earlier]])
