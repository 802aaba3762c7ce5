"""From a raw row to an event of a customer: row rules, canonical values, pseudonyms, duplicates."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from rejse.transforms.schema import (
    ACTOR_TYPES,
    BASES,
    CHANNELS,
    DIRECTIONS,
    MESSAGE_KINDS,
    OUTCOMES,
)

Row = dict[str, Any]
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
FIRST_TIME, LAST_TIME = EPOCH, datetime(2200, 1, 1, tzinfo=UTC)
NEEDED = ("identity", "activity", "channel")
KEPT = (
    "activity", "direction", "actor_type", "touchpoint", "owner", "journey_type", "intent",
    "to_owner", "wait_s", "talk_s",
)  # fmt: skip
CUSTOMER_DIGITS, ANSWER_DIGITS = 32, 16


def is_accepted(row: Row) -> bool:
    """Whether a raw row obeys the row rules."""
    if row["id"] is None or row["time"] is None or not all(row[name] for name in NEEDED):
        return False
    return (
        FIRST_TIME <= row["time"] < LAST_TIME
        and row["direction"] in DIRECTIONS
        and row["actor_type"] in ACTOR_TYPES
        and (row["wait_s"] or 0) >= 0
        and (row["talk_s"] or 0) >= 0
    )


def canonical(row: Row) -> Row:
    """The row in canonical columns, times in microseconds; unknown values as the contract says."""
    event = {name: row[name] for name in KEPT}
    event["identity"] = row["identity"]
    event["id"] = str(row["id"])
    event["time"] = microseconds(row["time"])
    event["channel"] = row["channel"] if row["channel"] in CHANNELS else "other"
    outcome = row["outcome"]
    event["outcome"] = outcome if outcome is None or outcome in OUTCOMES else "other"
    kind, basis = row["message_kind"], row["relevance_basis"]
    event["message_kind"] = kind if kind in MESSAGE_KINDS else None
    event["relevance_basis"] = basis if basis in BASES else None
    event["info"] = row["info"] and [
        {"field": one["name"], "op": one["use"], "value_hmac": one["answer"]} for one in row["info"]
    ]
    event["promise"] = _promise(row)
    return event


def _promise(row: Row) -> Row | None:
    if row["promise_no"] is None:
        return None
    due = row["promise_due"]
    return {
        "id": row["promise_no"], "kind": row["promise_kind"], "op": row["promise_op"],
        "due_time": None if due is None else microseconds(due),
    }  # fmt: skip


def microseconds(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - EPOCH) // MICROSECOND


def keyed(key: bytes, said: str, digits: int) -> str:
    """First digits of HMAC-SHA-256."""
    return hmac.digest(key, said.encode(), hashlib.sha256).hex()[:digits]


def pseudonymous(key: bytes, event: Row) -> tuple[str, Row]:
    """(customer key, the event without its identity and with its answers hashed)."""
    customer = keyed(key, f"customer:{event.pop('identity')}", CUSTOMER_DIGITS)
    for one in event["info"] or ():
        if one["value_hmac"] is not None:
            said = f"{one['field']}\x1f{one['value_hmac']}"
            one["value_hmac"] = keyed(key, said, ANSWER_DIGITS)
    return customer, event


def without_duplicates(events: Iterable[Row]) -> list[Row]:
    """A customer's events, each id once; of several the one whose canonical JSON is least."""
    once: dict[str, Row] = {}
    for event in events:
        other = once.get(event["id"])
        if other is None or _text(event) < _text(other):
            once[event["id"]] = event
    return list(once.values())


def _text(event: Row) -> str:
    return json.dumps(event, sort_keys=True)
