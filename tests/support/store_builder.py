"""A small, lawful published world made from the declarations, for tests of store and serving."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.places import place as places
from rejse.pipelines.publication import publish
from rejse.pipelines.store import delta_log, delta_store, errors, staging
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from rejse.transforms.schema.log_tables import PUBLICATIONS

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
Rows = dict[str, list[dict[str, Any]]]


def key_of(customer: int) -> str:
    """A pseudonym of the right form."""
    return hashlib.sha256(str(customer).encode()).hexdigest()[:32]


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Table `name` with its declared columns; what a row does not say is null or neutral."""
    shape = published_tables.schema(name)
    columns = published_tables.table_of(name).columns
    least = {column.name: column.low for column in columns if column.low}
    rest = {field.name: _neutral(field) for field in shape} | least
    whole = [{field.name: row.get(field.name, rest[field.name]) for field in shape} for row in rows]
    coded = [field.with_type(_plain(field.type)) for field in shape]
    return pa.Table.from_pylist(whole, schema=pa.schema(coded, shape.metadata))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _neutral(field: pa.Field) -> Any:
    kind = _plain(field.type)
    if field.nullable:
        return None
    if field.name == "revision":
        return 1
    for is_kind, value in (
        (pa.types.is_boolean, False),
        (pa.types.is_integer, 0),
        (pa.types.is_floating, 0.0),
        (pa.types.is_timestamp, START),
        (pa.types.is_list, ()),
    ):
        if is_kind(kind):
            return value
    return "first" if field.name == "revision_reason" else "x"


def journey(
    number: int,
    steps: Sequence[Mapping[str, Any]],
    evidence: Sequence[Mapping[str, Any]] = (),
    **own: Any,
) -> Rows:
    """Rows of one lawful journey: a step, a session and an event for each of `steps`.

    Each of `evidence` has kind, severity, `at` (index of its step) and, for an edge, locus.
    """
    customer, name = own.pop("customer_key", key_of(number)), f"j{number:04d}"
    start = own.pop("started_at", START + timedelta(days=number))
    rows: Rows = {"journeys": [], "steps": [], "sessions": [], "events": []}
    for place, step in enumerate(steps):
        at = start + timedelta(hours=place)
        both = {"journey_id": name, "customer_key": customer, "started_at": at, "ended_at": at,
                "is_final": True, "seq": place + 1, "n_events": 1, "channel": "web",
                "session_id": f"{name}-s{place + 1}", "direction": "inbound"}  # fmt: skip
        rows["steps"].append({**both, "step_id": f"{name}-{place + 1}", **step})
        rows["sessions"].append({**both, "source": "crm", "is_contact": True,
                                 "is_need_driven": True, "channel_family": "digital",
                                 **step})  # fmt: skip
        rows["events"].append(_event(customer, f"{name}-{place + 1}", at, step))
    rows["friction_evidence"] = _evidence(name, customer, start, evidence)
    for place, step in enumerate(rows["steps"]):
        hazards = [e["hazard"] for e in rows["friction_evidence"] if e["at"] == place]
        step["hazard"], step["friction"] = sum(hazards), 100 * (1 - math.exp(-sum(hazards)))
    hazard = sum(piece["hazard"] for piece in rows["friction_evidence"])
    score = 100 * (1 - math.exp(-hazard))
    end = start + timedelta(hours=len(steps) - 1)
    span = (end - start).total_seconds()
    rows["journeys"].append(
        {
            "journey_id": name, "customer_key": customer, "started_at": start, "ended_at": end,
            "journey_type": "claim", "state": "closed", "close_reason": "silence",
            "is_final": True, "n_steps": len(steps), "n_events": len(steps),
            "n_need_driven": len(steps),
            "throughput_s": span, "busy_s": 0, "idle_s": span, "friction_hazard": hazard,
            "friction_score": score, "friction_score_lo": score, "friction_score_hi": score,
            "delivery01": math.exp(-hazard), "evidence_coverage": 1.0, **own,
        }
    )  # fmt: skip
    return rows


def _event(customer: str, name: str, at: datetime, step: Mapping[str, Any]) -> dict[str, Any]:
    facts = {"channel": "web", "direction": "inbound", "actor_type": "customer", **step}
    return {**facts, "customer_key": customer, "bucket": int(customer[:3], 16), "source": "crm",
            "id": name, "time": at, "identitytype": "customer", "activity": "question"}  # fmt: skip


def _evidence(
    name: str, customer: str, start: datetime, pieces: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    rows = []
    for rank_of, piece in enumerate(pieces):
        edge = piece.get("locus") == "edge"
        same = [other for other in pieces if other["at"] == piece["at"]]
        rank = sorted(same, key=lambda p: -p["severity"]).index(piece)
        rows.append({
            "evidence_id": f"{name}-e{rank_of}", "journey_id": name, "customer_key": customer,
            "step_id": f"{name}-{piece['at'] + 1}", "locus": "node", "basis": "observed",
            "prev_step_id": f"{name}-{piece['at']}" if edge else None, "is_final": True,
            "occurred_at": start, "base_weight": 0.5, "kind_rank": rank, "confidence": 1.0,
            "hazard": 0.5**rank * -math.log(1 - piece["severity"]), **piece,
        })  # fmt: skip
    total = sum(row["hazard"] for row in rows)
    return [{**row, "share": row["hazard"] / total} for row in rows]


def joined(*parts: Rows) -> Rows:
    """The rows of several journeys together."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: [row for part in parts for row in part.get(name, [])] for name in names}


def world() -> Rows:
    """Two customers, three journeys, friction of both loci."""
    smooth = journey(1, [{"touchpoint": "web_form", "owner": "Online"}], outcome="resolved")
    rough = journey(
        2,
        [{"touchpoint": "web_form", "owner": "Online"}, {"touchpoint": "hotline", "owner": "Care"}],
        [{"kind": "customer_wait", "severity": 0.2, "at": 1, "owner": "Care"},
         {"kind": "handoff_without_context", "severity": 0.3, "at": 1, "locus": "edge",
          "owner": "Online", "owner_to": "Care"}],
    )  # fmt: skip
    again = journey(3, [{"touchpoint": "hotline", "owner": "Care"}], customer_key=key_of(1))
    return joined(smooth, rough, again)


def staged(store: Path, rows: Rows) -> list[StagedFile]:
    """Stage all rows, a file a table."""
    files = [
        staging.write(store, name, table(name, rows_of_table))
        for name, rows_of_table in rows.items()
    ]
    return [file for file in files if file is not None]


def run_of(number: int = 1, **own: Any) -> publish.Run:
    """What run `number` says about itself; it balances."""
    run: dict[str, Any] = {
        "run_id": f"run-{number}", "fingerprint": f"print-{number}", "config_version": "c0ffee",
        "started_at": 1_770_000_000_000_000, "counts": {"read": 5, "kept": 4, "rejected": 1},
        "reasons": {"missing_time": 1}, "positions": {"crm": "a.csv:5"},
        "frontiers": {"crm": 1_790_000_000_000_000}, "windows": {"repeat": 604_800_000_000},
    }  # fmt: skip
    return publish.Run(**{**run, **own})


def published(store: Path, rows: Rows | None = None, number: int = 1, **own: Any) -> Publication:
    """Publish a world without audit."""
    with publish.writing(store) as writer:
        files = staged(store, world() if rows is None else rows)
        return publish.publish(writer, files, run_of(number, **own), audit=None)


@contextmanager
def files_apart() -> Iterator[None]:
    """Publications join no small files, as those of earlier versions did not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "join_small", lambda store, previous, files: files)
        yield


@cache
def _template(publications: int) -> tempfile.TemporaryDirectory[str]:
    """A store with so many publications of the world, in a folder that ends with the process."""
    folder = tempfile.TemporaryDirectory(prefix="rejse-world-")
    if publications:
        shutil.copytree(_template(publications - 1).name, folder.name, dirs_exist_ok=True)
        published(Path(folder.name), number=publications)
    return folder


def copied(store: Path, publications: int = 1) -> Path:
    """The store with so many publications of the world, which are made once for all tests."""
    return Path(shutil.copytree(_template(publications).name, store, dirs_exist_ok=True))


def lengthen_logs(store: Path) -> None:
    """Commit nothing, so often that the logs of two tables are to be shortened."""
    for name in ("journeys", PUBLICATIONS.name):
        shape = published_tables.schema(name)
        for _ in range(delta_log.SPARE):
            with places.of(store).committing(name) as folder:
                table_at = errors.opened(folder)
                delta_store.transact(store, name, table_at, [], shape, "none", 0, "append", [])
