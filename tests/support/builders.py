"""Small inputs for tests: events in a compact writing, as the core's Arrow table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from rejse.transforms.dimensions import customer_records as records
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.feedback.text_scoring import TextScoring, score_texts
from rejse.transforms.feedback.vader import Vader
from rejse.transforms.schema.contract import event_schema

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
SECOND = 1_000_000
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}

#: What an event is when the test does not say.
DEFAULTS: Mapping[str, Any] = {
    "source": "crm", "identitytype": "customer", "activity": "contact", "channel": "web",
}  # fmt: skip


#: What an X-record is when the test does not say.
X_DEFAULTS: Mapping[str, Any] = {
    "source": "survey", "identitytype": "customer", "respondent_type": "customer",
    "instrument": "nps", "level": "touchpoint",
}  # fmt: skip
X_TIMES = ("time", "recordedtime", "invited_time", "responded_time", "action_time")


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def moment(text: Any) -> datetime:
    """A time from `2d 3h`, `90s`, `0` (after START) or from an ISO timestamp or datetime."""
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    if isinstance(text, int | float):
        return START + timedelta(seconds=text)
    if "T" in text or text.count("-") == 2:
        read = datetime.fromisoformat(text)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    return START + timedelta(seconds=seconds(text))


def seconds(text: str) -> float:
    """Seconds of a duration such as `1d 2h`, `30min`, `-5s`."""
    total, sign = 0.0, 1
    for part in text.split():
        sign = -1 if part.startswith("-") else 1
        number = part.lstrip("+-").rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = part.lstrip("+-")[len(number) :] or "s"
        total += sign * float(number) * UNITS[unit]
    return total


def key_of(customer: str) -> str:
    """Customer key of a test's customer: no secret, but of the right form."""
    return hashlib.sha256(customer.encode()).hexdigest()[:32]


def value_of(value: Any) -> str | None:
    """Stand-in for a keyed hash of a compared value."""
    return None if value is None else hashlib.sha256(str(value).encode()).hexdigest()[:16]


def full(event: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """An event with what it leaves out filled in, as a row of the event schema."""
    row: dict[str, Any] = {**DEFAULTS, "id": f"e{number:03d}", **event}
    row["time"] = moment(row["time"])
    customer = row.pop("customer", "ann")
    row.setdefault("customer_key", key_of(customer))
    row["bucket"] = int(row["customer_key"][:3], 16)
    if "direction" not in row:
        named = {"internal": "internal", "campaign": "outbound"}
        row["direction"] = named.get(row["channel"], "inbound")
    row.setdefault("actor_type", "customer" if row["direction"] == "inbound" else "system")
    for name in ("start_time", "end_time", "recordedtime"):
        if row.get(name) is not None:
            row[name] = moment(row[name])
    row["info"] = infos(row.get("info"))
    row["promise"] = promise(row.get("promise"))
    row["claims"] = claims(row.get("claims"))
    if row.get("cost_amount") is not None:
        row["cost_amount"] = Decimal(row["cost_amount"])
    return row


def infos(info: Any) -> list[dict[str, Any]] | None:
    """Fields from `{given: [name, plate], asked: [date]}` or from a list of structs.

    A field written `name=value` carries the hash of that value.
    """
    if info is None or isinstance(info, list):
        return info
    out = []
    for op, fields in info.items():
        for field in fields:
            name, _, value = str(field).partition("=")
            out.append({"field": name, "op": op, "value_hmac": value_of(value or None)})
    return out


def claims(stated: Any) -> list[dict[str, Any]] | None:
    """Claims from `{price: 10, date: x until 3d}` or from a list of structs."""
    if stated is None or isinstance(stated, list):
        return stated
    out = []
    for topic, text in stated.items():
        value, _, until = str(text).partition(" until ")
        out.append({"topic": topic, "value_hmac": value_of(value),
                      "valid_to": moment(until) if until else None})  # fmt: skip
    return out


def promise(stated: Any) -> dict[str, Any] | None:
    """A promise, its due time read as every time is."""
    if stated is None:
        return None
    due = stated.get("due_time")
    blank = {"id": "p1", "kind": "date", "op": "made", "value": None, "owner": None}
    day = stated.get("due_date")
    return {
        **blank,
        **stated,
        "due_time": None if due is None else moment(due),
        "due_date": date.fromisoformat(day) if isinstance(day, str) else day,
    }


def table(events: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Events as a table of the event schema; only the columns that some event fills."""
    rows = [full(event, number) for number, event in enumerate(events, start=1)]
    present = {name for row in rows for name, value in row.items() if value is not None}
    return pa.Table.from_pylist(rows, schema=event_schema(present))


def full_record(record: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """An X-record with what it leaves out filled in; `raw` is short for `raw_score`."""
    row: dict[str, Any] = {**X_DEFAULTS, "id": f"x{number:03d}", **record}
    if "raw" in row:
        row["raw_score"] = row.pop("raw")
    customer = row.pop("customer", "ann")
    row.setdefault("customer_key", key_of(customer))
    row["bucket"] = int(row["customer_key"][:3], 16)
    for name in X_TIMES:
        if row.get(name) is not None:
            row[name] = moment(row[name])
    return row


def x_table(records: Iterable[Mapping[str, Any]], validated: Sequence[str] = ()) -> pa.Table:
    """X-records as a table of their contract; only the columns that some record fills."""
    rows = [
        full_record(record, number) | heard(record, validated)
        for number, record in enumerate(records, start=1)
    ]
    present = {name for row in rows for name, value in row.items() if value is not None}
    return pa.Table.from_pylist(rows, schema=EXPERIENCE.pseudonymous(present))


def heard(record: Mapping[str, Any], validated: Sequence[str] = ()) -> dict[str, Any]:
    """What the edge makes of a record's text with the default scorers; nothing of none."""
    if record.get("text") is None:
        return {}
    names = [name for name in ("text", "language") if record.get(name) is not None]
    arrays = [pa.array([record[name]]) for name in names]
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    (row,) = score_texts(batch, TextScoring({"en": Vader()}, frozenset(validated))).to_pylist()
    return dict(row)


def full_of_kind(record: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """A record of a customer with what it leaves out filled in."""
    row: dict[str, Any] = {"source": "register", "id": f"r{number:03d}", **record}
    customer = row.pop("customer", "ann")
    row.setdefault("customer_key", key_of(customer))
    row["bucket"] = int(row["customer_key"][:3], 16)
    for name in ("time", "valid_to"):
        row[name] = moment(row[name]) if row.get(name) is not None else None
    return row


def record_table(kind: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Records of one kind as they are published."""
    whole = [full_of_kind(row, number) for number, row in enumerate(rows, start=1)]
    schema = records.CONTRACTS[kind].pseudonymous()
    return records.published(kind, pa.Table.from_pylist(whole, schema=schema))


def known(records: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Records of every kind as they are published."""
    return {kind: record_table(kind, rows) for kind, rows in records.items()}
