"""Messages on alerts as CloudEvents 1.0, in JSON.

The id of a message is its idempotence key: the same state of an alert has the same id however often
it is delivered. A summary is made of messages that have their own.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from rejse.transforms.alerts.ledger import FACTS, Alert
from rejse.transforms.alerts.schedule import Parcel
from rejse.transforms.schema.moments import micros, moment

SOURCE = "/rejse/alerts"
Message = dict[str, Any]


def of(parcel: Parcel) -> Message:
    """Return the message of a parcel."""
    if not parcel.is_summary:
        return single(parcel.alerts[0])
    parts = [{"id": alert.message(), **_data(alert)} for alert in parcel.alerts]
    joined = "\x1f".join(part["id"] for part in parts)
    return _event(
        hashlib.sha256(joined.encode()).hexdigest()[:16],
        "summary",
        max(alert.changed_at for alert in parcel.alerts),
        {"owner": parcel.alerts[0].owner, "alerts": parts},
    )


def single(alert: Alert) -> Message:
    """Return the message on one alert."""
    kind = "fired" if alert.n_announced == 1 else "restored" if alert.is_standing else "withdrawn"
    event = _event(alert.message(), kind, alert.changed_at, _data(alert))
    return {**event, "subject": alert.journey_id}


def alert_of(message: Message) -> Alert:
    """Return the alert that a message on one alert is about, as far as it says."""
    data, at = message["data"], micros(datetime.fromisoformat(message["time"]))
    key, _, number = message["id"].rpartition(".")
    is_withdrawn = message["type"].endswith(".withdrawn")
    return Alert(
        key, **{name: data[name] for name in FACTS},
        fired_at=micros(datetime.fromisoformat(data["fired_at"])), base=0,
        withdrawn_at=at if is_withdrawn else None, withdrawn_because=data.get("because"),
        n_announced=int(number), changed_at=at,
    )  # fmt: skip


def _event(ident: str, kind: str, at: int, data: Message) -> Message:
    return {
        "specversion": "1.0", "id": ident, "source": SOURCE, "type": f"rejse.alert.{kind}",
        "time": iso(at), "datacontenttype": "application/json", "data": data,
    }  # fmt: skip


def _data(alert: Alert) -> Message:
    facts = {name: getattr(alert, name) for name in ("key", *FACTS)}
    withdrawn = {"because": alert.withdrawn_because} if alert.withdrawn_because else {}
    return {**facts, "fired_at": iso(alert.fired_at), **withdrawn}


def iso(at: int) -> str:
    """Return microseconds as ISO 8601 in UTC."""
    return moment(at).isoformat().replace("+00:00", "Z")
