"""How texts are kept: as codes of one or two bytes, so that sorts and shifts move little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import polars as pl

CHANNEL = pl.Enum([
    "web", "app", "chat", "chatbot", "ivr", "phone", "email", "sms", "letter", "branch", "visit",
    "social", "campaign", "partner", "device", "internal", "other",
])  # fmt: skip
DIRECTION = pl.Enum(["inbound", "outbound", "internal"])
ACTOR = pl.Enum(["customer", "human", "bot", "system", "partner"])
OUTCOME = pl.Enum([
    "resolved", "partly", "unresolved", "transferred", "escalated", "abandoned", "declined",
    "error", "no_result", "informed", "sold", "other",
])  # fmt: skip
MESSAGE = pl.Enum(["service", "reminder", "marketing", "upsell", "survey"])
BASIS = pl.Enum(["due", "need", "preference", "none"])
FAMILY = pl.Enum([
    "digital", "chat", "voice", "written", "place", "social", "campaign", "partner", "internal",
    "other", "message",
])  # fmt: skip
#: In the order of the alphabet, which breaks ties of severity.
KIND = pl.Enum([
    "abandonment", "channel_fallback", "channel_switch", "customer_wait", "dead_end", "escalation",
    "handoff_dropped", "handoff_without_context", "info_conflict", "internal_wait", "over_pressure",
    "ping_pong", "promise_broken", "reasked_info", "reopened", "repeat_contact", "rework",
    "self_rescue", "transfer", "upsell_in_problem",
])  # fmt: skip
NODES = (
    "customer_wait", "promise_broken", "reopened", "dead_end", "abandonment", "internal_wait",
    "rework", "upsell_in_problem", "over_pressure",
)  # fmt: skip
OPERATION = pl.Enum(["given", "asked", "passed"])
RESPONDENT = pl.Enum(["customer", "employee", "partner"])
LEVEL = pl.Enum(["touchpoint", "journey", "relationship", "product"])
INSTRUMENT = pl.Enum([
    "nps", "csat", "ces", "star", "sentiment", "emotion", "effort", "empathy", "enps", "review",
    "complaint", "other",
])  # fmt: skip

Dtype: TypeAlias = pl.DataType | type[pl.DataType]
SECOND = 1_000_000
DAY = 86_400 * SECOND
#: What the log may still send: times before the latest minus a day are settled.
LATENESS = DAY

_FAMILIES = {
    "web": "digital", "app": "digital", "device": "digital", "chatbot": "chat", "ivr": "voice",
    "phone": "voice", "email": "written", "sms": "written", "letter": "written", "branch": "place",
    "visit": "place",
}  # fmt: skip
_VALUES = {
    **dict.fromkeys(("resolved", "sold", "informed"), 1.0),
    **dict.fromkeys(("partly", "declined"), 0.5),
    **dict.fromkeys(("unresolved", "abandoned", "error", "no_result"), 0.0),
}


def vocabulary(name: str) -> pl.Categorical:
    """Texts that only the log knows: codes are given as they come."""
    return pl.Categorical(pl.Categories(f"rival_{name}", physical=pl.UInt16))


ACTIVITY, TOUCHPOINT, INTENT = (vocabulary(name) for name in ("activity", "touchpoint", "intent"))
TYPE, FIELD = vocabulary("journey_type"), vocabulary("field")
#: Owners, teams, silos and systems name one another, so they share a vocabulary.
NAME = vocabulary("name")


def looked_up(coded: pl.Expr, values: Sequence[Any], dtype: Any) -> pl.Expr:
    """The value that belongs to each code: one gather, where a comparison of texts takes many."""
    return pl.lit(pl.Series(values, dtype=dtype)).gather(coded.to_physical().cast(pl.UInt32))


def family(channel: pl.Expr) -> pl.Expr:
    """Family of a channel."""
    return looked_up(channel, [_FAMILIES.get(c, c) for c in CHANNEL.categories], FAMILY)


def as_name(channel: pl.Expr) -> pl.Expr:
    """A channel among the names of owners and systems."""
    return looked_up(channel, CHANNEL.categories.to_list(), NAME)


def outcome_value(outcome: pl.Expr) -> pl.Expr:
    """What an outcome is worth, 0 to 1; null for those that say nothing."""
    return looked_up(outcome, [_VALUES.get(o) for o in OUTCOME.categories], pl.Float64)


def bit(coded: pl.Expr, kind: pl.Enum) -> pl.Expr:
    """A bit for each value of an enum."""
    return looked_up(coded, [1 << n for n in range(len(kind.categories))], pl.UInt32)


def one_of(coded: pl.Expr, kind: pl.Enum, *chosen: str) -> pl.Expr:
    """Whether it is one of these values; false where there is none."""
    return looked_up(coded, [c in chosen for c in kind.categories], pl.Boolean).fill_null(False)


def latest(when: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Value of the latest row for which it holds, this one included."""
    return pl.when(when).then(value).forward_fill()


def changed(column: str) -> pl.Expr:
    """Whether it differs from that of the row before; null equals null."""
    return pl.col(column).ne_missing(pl.col(column).shift())


def at(frame: pl.DataFrame, rows: pl.Series, *names: str, suffix: str = "") -> pl.DataFrame:
    """Columns of the rows with these numbers; null where the number is."""
    return frame.select(pl.col(n).gather(rows.cast(pl.UInt32)).alias(n + suffix) for n in names)
