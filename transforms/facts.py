"""Plain facts of an event on which several rules stand: family, who drove it, end, outcome."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rejse.transforms.arrays import NULL, Bools, Reals, valid
from rejse.transforms.events import Coded, Events
from rejse.transforms.rules import JourneyType, Rules
from rejse.transforms.segments import Array

FAMILIES = {
    "web": "digital", "app": "digital", "device": "digital", "chat": "chat", "chatbot": "chat",
    "ivr": "voice", "phone": "voice", "email": "written", "sms": "written", "letter": "written",
    "branch": "place", "visit": "place",
}  # fmt: skip
PUSHED = ("marketing", "upsell", "survey")
HUMAN_CHANNELS = ("phone", "branch", "visit", "chat")
SELF_SERVICE = ("web", "app", "chatbot", "device")


def family(channel: Coded) -> Coded:
    """Channel family of each event; channels without one are a family of their own."""
    names = [FAMILIES.get(name, name) for name in channel.names.to_pylist()]
    found = sorted(set(names))
    codes = channel.lookup([found.index(name) for name in names], NULL)
    return Coded.named(codes, found)


def is_human(events: Events) -> Bools:
    """A human of the company acted, or a channel that humans answer carried it."""
    return events.is_one("actor_type", "human") | events.is_one("channel", *HUMAN_CHANNELS)


def is_by_machine(events: Events) -> Bools:
    """Outbound by bot or system."""
    return events.is_one("direction", "outbound") & events.is_one("actor_type", "bot", "system")


def is_message(events: Events) -> Bools:
    """Outbound by bot or system with a message kind: a contact of its own, in no session."""
    return is_by_machine(events) & events.coded("message_kind").known


def is_pushed(events: Events) -> Bools:
    """Outbound marketing, upsell or survey."""
    return events.is_one("direction", "outbound") & events.is_one("message_kind", *PUSHED)


def is_need_driven(events: Events) -> Bools:
    """Inbound, or outbound with a relevance basis and (where logged) consent for its kind."""
    based = events.is_one("relevance_basis", "due", "need", "preference")
    outbound = events.is_one("direction", "outbound") & based
    if outbound.any() and events.has("consent_purpose"):
        outbound &= _consented(events)
    return events.is_one("direction", "inbound") | outbound


def _consented(events: Events) -> Bools:
    """The message's kind is among the purposes consented to, or no consent is logged."""
    column = events.column("consent_purpose")
    kinds = events.coded("message_kind").arrow().to_pylist()
    logged = valid(column)
    given = np.ones(events.n, dtype=bool)
    for row in np.flatnonzero(logged):
        given[row] = kinds[row] in (column[row].as_py() or [])
    return given


def by_type(kind: Coded, rules: Rules, value: Callable[[JourneyType], int]) -> Array:
    """A setting of each row's journey type, that of `other` where the type is null."""
    names = kind.names.to_pylist()
    return kind.lookup([value(rules.type_of(n)) for n in names], value(rules.type_of(None)))


def is_end(events: Events, kind: Coded, rules: Rules) -> Bools:
    """End activity or end outcome of the row's journey type."""

    def ends(of: JourneyType, rows: Bools) -> Array:
        by_outcome = events.is_one("outcome", *of.end_outcomes)
        if not of.end_activities:
            return by_outcome & rows
        return (by_outcome | events.is_one("activity", *of.end_activities)) & rows

    return _each_type(events, kind, rules, ends, np.zeros(events.n, dtype=bool))


def outcome01(events: Events, kind: Coded, rules: Rules) -> Reals:
    """Value of the event's outcome by its journey type's map; NaN where none is mapped."""
    outcome = events.coded("outcome")
    names = outcome.names.to_pylist()

    def mapped(of: JourneyType, rows: Bools) -> Array:
        value = outcome.lookup([of.outcome_map.get(n, np.nan) for n in names], np.nan)
        return np.where(rows, value, 0.0)

    return _each_type(events, kind, rules, mapped, np.zeros(events.n))


def _each_type(
    events: Events,
    kind: Coded,
    rules: Rules,
    rule: Callable[[JourneyType, Bools], Array],
    out: Array,
) -> Array:
    """Sum of a rule over the journey types present, each on its own rows."""
    groups: dict[int, tuple[JourneyType, list[int]]] = {}
    for code, name in [*enumerate(kind.names.to_pylist()), (NULL, None)]:
        of = rules.type_of(name)
        groups.setdefault(id(of), (of, []))[1].append(code)
    for of, codes in groups.values():
        everyone = len(groups) == 1
        rows = np.ones(events.n, bool) if everyone else np.isin(kind.codes, codes)
        if rows.any():
            found = rule(of, rows)
            out = out | found if out.dtype == bool else out + found
    return out
