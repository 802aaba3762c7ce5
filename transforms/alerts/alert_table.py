"""The published table of alerts: a row for each alert of the ledger, as it is at publication."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from rejse.transforms.alerts.ledger import SEVERITIES, Alert
from rejse.transforms.schema.contract import TIME
from rejse.transforms.schema.registry import Column, Table

_TEXT, _FLAG = pa.string(), pa.bool_()

ALERTS = Table("alerts", "alert that fired", ("alert_id",), (
    Column("alert_id", _TEXT, "Alert: hash of rule, customer and what it is about. The idempotence"
           " key of its messages begins with it.", nullable=False),
    Column("rule", _TEXT, "Rule that fired it.", nullable=False),
    Column("severity", _TEXT, "How much it matters.", values=SEVERITIES, nullable=False),
    Column("journey_id", _TEXT, "Journey that it is about.", nullable=False),
    Column("customer_key", _TEXT, "Keyed pseudonym of the customer.", nullable=False),
    Column("opening_event", _TEXT, "Event or feedback record that made it so, as source/id.",
           nullable=False),
    Column("owner", _TEXT, "Who is to act; null: nobody is known."),
    Column("reason", _TEXT, "Why it fired, in known words and numbers.", nullable=False),
    Column("fired_at", TIME, "When it fired.", "UTC", nullable=False),
    Column("delivered_at", TIME, "When the first receiver had it.", "UTC"),
    Column("withdrawn_at", TIME, "When it was withdrawn; null: it stands.", "UTC"),
    Column("withdrawn_because", _TEXT, "Why it was withdrawn, in words."),
    Column("n_withdrawn", pa.int32(), "How often it was withdrawn.", "1", 0, nullable=False),
    Column("acknowledged_at", TIME, "When somebody took it up.", "UTC"),
    Column("acknowledged_by", _TEXT, "Role or pseudonym of who did."),
    Column("closed_at", TIME, "When somebody closed the loop.", "UTC"),
    Column("closed_by", _TEXT, "Role or pseudonym of who did."),
    Column("is_true", _FLAG, "Whether it was right, as judged at closing; null: not judged."),
))  # fmt: skip


def rows(alerts: Iterable[Alert], since: int | None = None) -> pa.Table:
    """Return the rows of alerts, sorted by their ids.

    Args:
        since: Microseconds; what fired before is left out.
    """
    kept = sorted(
        (alert for alert in alerts if since is None or alert.fired_at >= since),
        key=lambda alert: alert.key,
    )
    return pa.Table.from_pylist([_row(alert) for alert in kept], schema=ALERTS.schema)


def _row(alert: Alert) -> dict[str, Any]:
    return {
        **{column.name: getattr(alert, column.name, None) for column in ALERTS.columns},
        "alert_id": alert.key,
        "delivered_at": alert.first_delivered_at,
        "n_withdrawn": alert.n_announced // 2,
    }
