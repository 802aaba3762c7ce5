"""Raw logs without sense, in which all kinds of friction occur: inputs of the rivals' tests."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
RAW: Row = {
    "id": 7, "time": datetime(2025, 3, 1, tzinfo=UTC), "identity": "C1", "activity": "called",
    "channel": "phone", "direction": "inbound", "actor_type": "customer", "touchpoint": None,
    "owner": None, "journey_type": None, "intent": None, "outcome": None, "to_owner": None,
    "wait_s": 0, "talk_s": None, "message_kind": None, "relevance_basis": None, "info": None,
    "promise_no": None, "promise_kind": None, "promise_op": None, "promise_due": None,
}  # fmt: skip


WILD: dict[str, tuple[Any, ...]] = {
    "activity": ("called", "looked", "wrote"),
    "journey_type": ("support", "claim", None),
    "intent": ("fault", "claim", None),
    "owner": ("claims", "billing", None, None),
    "touchpoint": ("phone_support", "claims_desk", "claims_assessor", "phone_sales", "web_help",
                   None),
    "outcome": ("resolved", "unresolved", "informed", "transferred", "escalated", "abandoned",
                "error", "strange", *[None] * 6),
    "channel": ("web", "chatbot", "chat", "ivr", "phone", "email", "internal", "campaign"),
    "direction": ("inbound", "inbound", "outbound", "internal"),
    "actor_type": ("customer", "human", "bot", "system"),
    "message_kind": ("service", "marketing", "upsell", "survey", "odd", None),
    "relevance_basis": ("due", "none", None),
    "to_owner": ("claims", "billing", *[None] * 8),
    "wait_s": (-1, *[None, 10, 200, 1_000] * 20),
    "promise_op": ("made", "moved", "delivered", "cancelled", *[None] * 8),
}  # fmt: skip
USES = ("given", "given", "asked", "passed", "shown", "verify")


def wild(rng: random.Random, n: int) -> Iterator[Row]:
    """Raw rows without sense, with all forms that the rivals know; ties, so that order counts."""
    clock: dict[str, datetime] = {}
    for number in range(n):
        row = {**RAW, **{name: rng.choice(values) for name, values in WILD.items()}, "id": number}
        person = row["identity"] = f"P{rng.randrange(n // 30)}"
        minutes = rng.choice((0, 0, 1, 5, 20, 30, 40, 100, 1_500, 4_000))
        row["time"] = clock[person] = clock.get(person, RAW["time"]) + timedelta(minutes=minutes)
        fields = rng.sample(("plate", "address", "product"), rng.choice((0, 0, 1, 2)))
        uses = [(name, rng.choice(USES)) for name in fields]
        row["info"] = [
            {"name": name, "use": use, "answer": rng.choice("xy") if use == "given" else None}
            for name, use in uses
        ]
        if row["promise_op"] is not None:
            due = row["time"] + timedelta(days=rng.choice((1, 5, 40)))
            row |= {"promise_no": f"{rng.randrange(3)}", "promise_kind": "date", "promise_due": due}
        yield row
    yield {**RAW, "id": n, "identity": "last", "time": RAW["time"] + timedelta(days=70)}


def written(rows: list[Row], log: Path, folder: Path) -> Path:
    """A log like the other, but of these raw rows, without cases and answers."""
    shutil.copytree(log, folder, ignore=shutil.ignore_patterns("data", "duckdb", "polars", "store"))
    schema = pq.read_schema(next((log / "data").glob("*.parquet")))
    loose = pa.schema([field.with_nullable(True) for field in schema])
    (folder / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, loose), folder / "data" / "part-0000.parquet")
    for name in ("cases", "surveys"):
        (folder / "data" / name).mkdir()
        kind = pq.read_schema(next((log / "data" / name).glob("*.parquet")))
        pq.write_table(kind.empty_table(), folder / "data" / name / "part-0000.parquet")
    return folder


KEY = bytes.fromhex("5e" * 32)


def known_to_both(row: Row) -> Row:
    """Without what neither rival looks for: moved promises, verified fields, equal times."""
    info = [field for field in row["info"] or () if field["use"] != "verify"]
    known = {**row, "info": info, "time": row["time"] + timedelta(microseconds=int(row["id"]))}
    if row["promise_op"] == "moved":
        known |= {"promise_no": None, "promise_op": None}
    return known
