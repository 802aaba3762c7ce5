"""Events of the contract as record batches."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tests.support.edge import KEY

PRESENT = {"previousidentity", "previousidentitytype", "actor_id", "info", "claims"}
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def sign(text: str, digits: int) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()[:digits]


def batch(*events: dict[str, Any]) -> pa.RecordBatch:
    from rejse.transforms.schema.contract import INTERACTIONS

    return pa.RecordBatch.from_pylist(list(events), schema=INTERACTIONS.canonical(PRESENT))


def event(**given: Any) -> dict[str, Any]:
    base = {
        "id": "e1", "source": "crm", "time": NOON, "identity": "c1", "identitytype": "customer",
        "activity": "view", "channel": "web", "direction": "inbound", "actor_type": "customer",
    }  # fmt: skip
    return {**base, **given}
