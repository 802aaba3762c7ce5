"""Flags of an event that several rules read: channel family, driver, end, outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Reals, valid
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Array
from rejse.transforms.schema.parameters import JourneyType, Rules

FAMILIES = {
    "web": "digital", "app": "digital", "device": "digital", "chat": "chat", "chatbot": "chat",
    "ivr": "voice", "phone": "voice", "email": "written", "sms": "written", "letter": "written",
    "branch": "place", "visit": "place",
}  # fmt: skip
PUSHED = ("marketing", "upsell", "survey")
#: Reasons for which an outbound message is one that the customer needs.
RELEVANT = ("due", "need", "preference")
#: Outcomes that leave a problem open.
LEAVES_OPEN = ("unresolved", "partly", "error", "no_result", "abandoned", "escalated")
HUMAN_CHANNELS = ("phone", "branch", "visit", "chat")
SELF_SERVICE = ("web", "app", "chatbot", "device")


def family(channel: Categorical) -> Categorical:
    """Return the channel family of each event; a channel without one is its own family."""
    names = [FAMILIES.get(name, name) for name in channel.names.to_pylist()]
    families = sorted(set(names))
    codes = channel.lookup([families.index(name) for name in names], NULL)
    return Categorical.named(codes, families)


def is_human(events: Events) -> Bools:
    """Return events by a human of the company, or on a channel that humans answer."""
    return events.is_one("actor_type", "human") | events.is_one("channel", *HUMAN_CHANNELS)


def is_by_machine(events: Events) -> Bools:
    """Return outbound events of a bot or system."""
    return events.is_one("direction", "outbound") & events.is_one("actor_type", "bot", "system")


def is_own_service(events: Events) -> Bools:
    """Return what customers do alone on a self-service channel."""
    return events.is_one("actor_type", "customer") & events.is_one("channel", *SELF_SERVICE)


def is_message(events: Events) -> Bools:
    """Return outbound messages of a bot or system: each a contact of its own, in no session."""
    return is_by_machine(events) & events.coded("message_kind").known


def is_company_driven(events: Events) -> Bools:
    """Return outbound messages, of any actor, that the customer neither asked for nor needs."""
    outbound = events.is_one("direction", "outbound")
    if not outbound.any():
        return outbound
    return outbound & events.coded("message_kind").known & ~is_need_driven(events)


def is_pushed(events: Events) -> Bools:
    """Return outbound marketing, upsell and surveys."""
    return events.is_one("direction", "outbound") & events.is_one("message_kind", *PUSHED)


def is_need_driven(events: Events) -> Bools:
    """Return events that the customer's need drives.

    These are inbound events, and outbound ones with a relevance basis and, where logged, consent
    for their purpose: the campaign's (`campaigns.with_purpose`), else the message kind.
    """
    based = events.is_one("relevance_basis", *RELEVANT)
    outbound = events.is_one("direction", "outbound") & based
    if outbound.any() and events.has("consent_purpose"):
        outbound &= _consented(events)
    return events.is_one("direction", "inbound") | outbound


def _consented(events: Events) -> Bools:
    """Return events whose purpose is among those consented to, or without logged consent."""
    column = events.column("consent_purpose")
    purposes = events.coded("purpose").fallback(events.coded("message_kind")).arrow().to_pylist()
    logged = valid(column)
    given = np.ones(events.n, dtype=bool)
    for row in np.flatnonzero(logged):
        given[row] = purposes[row] in (column[row].as_py() or [])
    return given


def by_type(kind: Categorical, rules: Rules, value: Callable[[JourneyType], int]) -> Array:
    """Return a setting of each row's journey type, that of `other` where the type is null."""
    names = kind.names.to_pylist()
    return kind.lookup([value(rules.type_of(n)) for n in names], value(rules.type_of(None)))


def is_done_inside(events: Events) -> Bools:
    """Return completed internal tasks; an event without a lifecycle is complete."""
    inside = events.is_one("direction", "internal")
    if not inside.any():
        return inside
    return inside & (events.is_one("lifecycle", "complete") | ~events.coded("lifecycle").known)


def is_end(events: Events, kind: Categorical, rules: Rules) -> Bools:
    """Return events with an end activity or end outcome of their journey type."""
    by_outcome = _by_type_and(
        kind, events.coded("outcome"), rules, lambda of, outcome: outcome in of.end_outcomes
    )
    if not any(of.end_activities for of in (rules.default_type, *rules.types.values())):
        return by_outcome
    return by_outcome | _by_type_and(
        kind, events.coded("activity"), rules, lambda of, activity: activity in of.end_activities
    )


def is_weak_end(events: Events, kind: Categorical, rules: Rules) -> Bools:
    """Return bad outcomes that end their journey if only company-driven messages follow."""
    weak = _by_type_and(
        kind, events.coded("outcome"), rules, lambda of, outcome: outcome in of.weak_end_outcomes
    )
    return weak & ~is_end(events, kind, rules)


def outcome01(events: Events, kind: Categorical, rules: Rules) -> Reals:
    """Return the value of each outcome by the journey type's map, NaN where it has none."""
    return _by_type_and(
        kind,
        events.coded("outcome"),
        rules,
        lambda of, name: of.outcome_map.get(name, np.nan),
    )


def _by_type_and(
    kind: Categorical, other: Categorical, rules: Rules, value: Callable[[JourneyType, Any], Any]
) -> Array:
    """Return a value of each row by its journey type and another text; both may be null."""
    types = [rules.type_of(name) for name in (*kind.names.to_pylist(), None)]
    texts = [*other.names.to_pylist(), None]
    table = np.array([[value(of, text) for text in texts] for of in types])
    last = len(texts) - 1  # null; also the null type, as -1 indexes the last row
    column = np.where(other.codes < 0, last, other.codes)
    place = kind.codes.astype(np.int64) * len(texts) + column
    return np.asarray(table.ravel().take(place, mode="wrap"))
