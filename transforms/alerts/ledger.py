"""The alerts of a ledger: its entries, in order, folded into one state for each alert.

An alert is identified by rule, customer and subject (what it is about: the event that made it so,
unless the rule names something more stable). The id of its journey is none of these: the journey of
provisional rows gets another id when an earlier event comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
#: An entry of the ledger: `kind`, `key`, `at` (microseconds), and what the kind has beside. Kinds:
#: fired, withdrawn, restored, moved, acknowledged, closed, delivered, undelivered, state.
Entry = Mapping[str, Any]
#: Kinds of entries that a receiver hears of.
ANNOUNCED = ("fired", "withdrawn", "restored")


@dataclass(frozen=True)
class Match:
    """A row of a rule: what is so in a journey, and which event made it so.

    Attributes:
        holds_from: Microseconds of the watermark from which it holds; None: at once.
    """

    rule: str
    severity: str
    journey_id: str
    customer_key: str
    opening_event: str
    owner: str | None
    reason: str
    subject: str | None = None
    holds_from: int | None = None

    @property
    def key(self) -> str:
        """Return 16 hex digits that identify the alert, also for those who receive it."""
        parts = (self.rule, self.customer_key, self.subject or self.opening_event)
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Alert:
    """An alert as the entries so far leave it. Times are microseconds.

    Attributes:
        base: Publication on whose rows it fired, or was restored.
        n_announced: Entries that a receiver hears of; the last one is the state to announce.
        changed_at: Time of the last of these.
        delivered: Time of the last delivery by channel and number of the announced entry.
        undelivered: Channels and numbers that were given up.
    """

    key: str
    rule: str
    severity: str
    journey_id: str
    customer_key: str
    opening_event: str
    owner: str | None
    reason: str
    fired_at: int
    base: int
    withdrawn_at: int | None = None
    withdrawn_because: str | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    closed_at: int | None = None
    closed_by: str | None = None
    is_true: bool | None = None
    n_announced: int = 1
    changed_at: int = 0
    delivered: Mapping[tuple[str, int], int] = field(default_factory=dict)
    undelivered: frozenset[tuple[str, int]] = frozenset()

    @property
    def touched_at(self) -> int:
        """Return when anything last became of it, but for deliveries."""
        return max(self.changed_at, self.acknowledged_at or 0, self.closed_at or 0)

    @property
    def is_standing(self) -> bool:
        """Return whether it is neither withdrawn nor closed."""
        return self.withdrawn_at is None and self.closed_at is None

    @property
    def first_delivered_at(self) -> int | None:
        """Return when a receiver first heard of it; None where none has."""
        return min(self.delivered.values(), default=None)

    def message(self) -> str:
        """Return the idempotence key of its last announced entry."""
        return f"{self.key}.{self.n_announced}"


#: What a `fired` entry says of the alert.
FACTS = ("rule", "severity", "journey_id", "customer_key", "opening_event", "owner", "reason")


def fired(match: Match, at: int, base: int) -> Entry:
    """Return the entry of a new alert."""
    facts = {name: getattr(match, name) for name in FACTS}
    return {"kind": "fired", "key": match.key, "at": at, "base": base, **facts}


def fold(entries: Iterable[Entry], alerts: Mapping[str, Alert] | None = None) -> dict[str, Alert]:
    """Return the alerts by key after the entries; those of an unknown alert are passed over.

    Args:
        entries: In the order of the ledger.
        alerts: Alerts before them.
    """
    out = dict(alerts or {})
    for entry in entries:
        alert = _after(out.get(entry["key"]), entry)
        if alert is not None:
            out[alert.key] = alert
    return out


def _after(alert: Alert | None, entry: Entry) -> Alert | None:
    kind, at = entry["kind"], entry["at"]
    if kind == "state":
        return _of_state(entry)
    if kind == "fired":
        facts = {name: entry[name] for name in ("key", "base", *FACTS)}
        return alert or Alert(**facts, fired_at=at, changed_at=at)  # once
    if alert is None:
        return None
    announced: dict[str, Any] = {"n_announced": alert.n_announced + 1, "changed_at": at}
    match kind:
        case "withdrawn":
            because = entry["because"]
            return replace(alert, withdrawn_at=at, withdrawn_because=because, **announced)
        case "restored":
            return replace(
                alert, withdrawn_at=None, withdrawn_because=None, base=entry["base"], **announced
            )
        case "moved":
            return replace(alert, journey_id=entry["journey_id"])
        case "acknowledged":
            return replace(alert, acknowledged_at=at, acknowledged_by=entry["by"])
        case "closed":
            acknowledged = {} if alert.acknowledged_at else {"acknowledged_at": at}
            return replace(
                alert, closed_at=at, closed_by=entry["by"], is_true=entry["is_true"], **acknowledged
            )
        case "delivered":
            sent = (entry["channel"], entry["n"])
            return replace(alert, delivered={**alert.delivered, sent: at})
        case "undelivered":
            failed = (entry["channel"], entry["n"])
            return replace(alert, undelivered=alert.undelivered | {failed})
    return alert  # of a later version


def state_of(alert: Alert) -> Entry:
    """Return one entry that says the same as all entries of the alert."""
    facts = {f.name: getattr(alert, f.name) for f in fields(alert)}
    sent = [[*sent, at] for sent, at in sorted(alert.delivered.items())]
    failed = sorted(map(list, alert.undelivered))
    return {
        "kind": "state", "at": alert.changed_at, **facts, "delivered": sent, "undelivered": failed,
    }  # fmt: skip


def _of_state(entry: Entry) -> Alert:
    facts = {f.name: entry[f.name] for f in fields(Alert)}
    sent = {(channel, n): at for channel, n, at in entry["delivered"]}
    failed = frozenset((channel, n) for channel, n in entry["undelivered"])
    return Alert(**{**facts, "delivered": sent, "undelivered": failed})
