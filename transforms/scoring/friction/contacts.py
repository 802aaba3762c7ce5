"""Friction between contacts: channel switches, coming again, falling back to a human."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.groups import pick
from rejse.transforms.features.contacts import intents_agree, next_of
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys import event_flags
from rejse.transforms.scoring.friction.evidence import Found, found, kind

SATISFIED = ("resolved", "sold", "informed")


@kind(
    "edge",
    "switches",
    {"channel"},
    launch=False,
    circular_with={"bad_end": "a good outcome before it excuses it, and may be the end"},
)
def channel_switch(ctx: JourneyContext) -> Found:
    """Consecutive inbound contacts of different channel families and of the same or unknown
    intent, the earlier of which did not end resolved, sold or informed; unknown outcome:
    confidence .5 (after Gartner's effort drivers; docs/reference/friction.md#contacts).
    """
    earlier, later = switches(ctx)
    sure = np.where(ctx.contacts.outcome.known[earlier], 1.0, 0.5)
    last = last_before(ctx, earlier, later, np.arange(ctx.sessionised.events.n))
    return between(ctx, "channel_switch", last, later, confidence=sure)


def switches(ctx: JourneyContext) -> tuple[Ints, Ints]:
    """Sessions before and after each channel switch."""
    met = ctx.contacts
    following = next_of(met.inbound, met.journey)
    other = met.family.codes != pick(met.family.codes, following)
    unsettled = ~met.outcome.of_names(SATISFIED)
    earlier = np.flatnonzero((following >= 0) & other & unsettled)
    later = following[earlier]
    same = intents_agree(met, earlier, later)
    return earlier[same], later[same]


@kind(
    "edge",
    "contacts",
    {"intent", "outcome"},
    circular_with={"bad_end": "`informed` or `sold` before it excuses it, and may be the end"},
)
def repeat_contact(ctx: JourneyContext) -> Found:
    """Inbound contact with an earlier one of the same customer and intent within W, start to
    start, where the earlier one's outcome is known and neither `informed` nor `sold`: who has
    bought was served (docs/reference/friction.md#contacts).
    """
    met = ctx.contacts
    earlier = ctx.repeats
    known = pick(met.outcome.known, earlier, False)
    served = pick(met.outcome.of_names(("informed", "sold")), earlier, False)
    later = np.flatnonzero((earlier >= 0) & known & ~served)
    # The two may be of different journeys: only the total order compares their events.
    last = last_before(ctx, earlier[later], later, ctx.sessionised.rank)
    return between(ctx, "repeat_contact", last, later)


@kind(
    "edge",
    "contacts",
    {"channel"},
    circular_with={"bad_end": "a good outcome before it excuses it, and may be the end"},
)
def channel_fallback(ctx: JourneyContext) -> Found:
    """Digital to human: an inbound contact without a human on web, app, chatbot or device whose
    next inbound contact of the same or unknown intent has one, or a chatbot that gives over to a
    human inside a session; not after resolved, sold, informed; unknown outcome: confidence .5
    (docs/reference/friction.md#contacts).
    """
    earlier, later = fallbacks(ctx)
    met = ctx.contacts
    sure = np.where(met.outcome.known[earlier], 1.0, 0.5)
    last = last_before(ctx, earlier, later, np.arange(ctx.sessionised.events.n))
    step_of = ctx.sessionised.steps.ids
    inner_row, inner_before, inner_proof, inner_sure = _inside_sessions(ctx)
    steps = np.concatenate([step_of[met.first[later]], step_of[inner_row]])
    previous = np.concatenate([step_of[last], inner_before])
    rows = np.concatenate([met.first[later], inner_row])
    proof = np.concatenate([last, inner_proof])
    sure = np.concatenate([sure, inner_sure])
    return found(
        ctx, "channel_fallback", steps, rows, previous=previous, earlier=proof, confidence=sure
    )


def fallbacks(ctx: JourneyContext) -> tuple[Ints, Ints]:
    """Self-service contact and the human contact that had to follow it."""
    met = ctx.contacts
    alone = met.inbound & ~met.has_human & met.channel.of_names(event_flags.SELF_SERVICE)
    following = next_of(met.inbound, met.journey)
    human_next = pick(met.has_human, following, False)
    failed = alone & human_next & ~met.outcome.of_names(SATISFIED)
    earlier = np.flatnonzero(failed)
    later = following[earlier]
    same = intents_agree(met, earlier, later)
    return earlier[same], later[same]


def _inside_sessions(ctx: JourneyContext) -> tuple[Ints, Ints, Ints, np.ndarray]:  # type: ignore[type-arg]
    """Chatbot to human within one session: event of the human, the session's last step before
    (-1 where both are in one), its event before, and confidence.
    """
    sessionised, met = ctx.sessionised, ctx.contacts
    events, order, seg = sessionised.events, sessionised.session_order, sessionised.sessions
    bot = events.is_any("channel", "chatbot")[order]
    if not bot.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    human = event_flags.is_human(events)[order]
    first_human, first_bot = seg.first_row(human), seg.first_row(bot & ~human)
    met_bot_first = (first_bot >= 0) & (first_human > first_bot) & met.inbound
    outcome = events.coded("outcome")
    last_said = seg.last_row_before(outcome.known[order])
    said = pick(order, pick(last_said, first_human))
    fine = pick(outcome.of_names(SATISFIED), said, False)
    chosen = np.flatnonzero(met_bot_first & ~fine)
    at = first_human[chosen]
    step = sessionised.steps.ids[order]
    begun = seg.last_row_before(seg.changed(step), inclusive=True)[at]
    before = pick(step, np.where(begun >= 0, begun - 1, NULL))
    return order[at], before, order[at - 1], np.where(said[chosen] >= 0, 1.0, 0.5)


def between(
    ctx: JourneyContext, name: str, last: Ints, later: Ints, *, confidence: Reals | None = None
) -> Found:
    """Evidence on the edge from an event of one contact to the first step of a later one."""
    first, step_of = ctx.contacts.first[later], ctx.sessionised.steps.ids
    return found(
        ctx, name, step_of[first], first, previous=step_of[last], earlier=last,
        confidence=confidence,
    )  # fmt: skip


def last_before(ctx: JourneyContext, earlier: Ints, later: Ints, place: Ints) -> Ints:
    """Last event of each earlier contact that stands before the later one begins.

    Contacts of two channel families may overlap: what the earlier one did afterwards did not lead
    to the later one. `place` of each event is the order by which earlier was told from later; no
    contact may be an earlier one twice.
    """
    met, sessionised = ctx.contacts, ctx.sessionised
    began, last = place[met.first[later]], met.last[earlier]
    if (place[last] < began).all():
        return last
    until = np.zeros(len(met), dtype=np.int64)
    until[earlier] = began
    order, seg = sessionised.session_order, sessionised.sessions
    rows = seg.last_row(place[order] < seg.broadcast(until))
    return np.asarray(order[rows[earlier]])
