"""Hand-made published rows for the tests of `explain` and the report, in an in-memory DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import exp, log1p
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines.publication import catalogue_build
from rejse.pipelines.reporting.explain.what_if import Evidence
from rejse.pipelines.reporting.html import page, queries
from rejse.transforms.dimensions import customer_records
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.scoring import output_tables
from tests.support import report_fixture

START = datetime(2025, 5, 3, 9, 12, tzinfo=UTC)
TABLES = x_tables.all_tables()


def _schema(name: str) -> pa.Schema:
    columns = {c.name: c.type for c in (*TABLES[name].columns, *output_tables.STAMP)}
    return pa.schema(list(columns.items()))


#: Served scripts that the report and `explain` read.
SERVED = (
    "bands", "intervals", "survival", "v_friction_cost", "v_health", "v_journey_types",
    "v_ranked_journeys", "v_responses", "v_publication", "v_type_rules", "v_journey_times",
    "v_survival", "v_durations", "v_horizons", "v_journey_cohorts",
)  # fmt: skip
PUBLISHED = """
    create table publications as
    select
        3 as publication, 'run-1' as run_id, 'c0ffee00c0ffee00' as config_version,
        timestamptz '2025-08-12 06:00:00+00' as published_at, 'passed' as audit,
        map {'log': timestamptz '2026-03-01 00:00:00+00'} as frontiers,
        map {}::map(varchar, timestamptz) as x_frontiers,
        map {}::map(varchar, bigint) as windows, map {}::map(varchar, double) as thresholds;
    create table runs as
    select
        'run-1' as run_id, 1010 as n_read, 1000 as n_kept, 6 as n_duplicate, 1 as n_late,
        3 as n_rejected, 0 as n_erased, 0 as n_heartbeat;
"""


def session(tables: Mapping[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """A session with the views of a catalogue over these tables."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    empty = {n: _schema(n).empty_table() for n in x_tables.tables()}  # nobody said anything
    for name, table in {**empty, **tables}.items():
        con.register(f"arrow_{name}", table)
        con.execute(f"create table v_{name} as from arrow_{name}")
        con.unregister(f"arrow_{name}")
    owned = customer_records.tables()[
        "owned_products"
    ].schema.empty_table()  # nobody is known to own any
    con.register("arrow_owned", owned)
    con.execute("create table owned_products as from arrow_owned")
    con.unregister("arrow_owned")
    con.execute(PUBLISHED)
    for script in catalogue_build.served():
        if script.name in SERVED:
            con.execute(script.text)
    return con


@dataclass
class Store:
    """Rows by table; `connect` makes the session that explain and the report read."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {n: [] for n in TABLES})

    def connect(self) -> duckdb.DuckDBPyConnection:
        return session(
            {n: pa.Table.from_pylist(rows, schema=_schema(n)) for n, rows in self.rows.items()}
        )

    def add(self, name: str, **row: Any) -> None:
        self.rows[name].append({"config_version": "c0ffee00c0ffee00", "run_id": "run-1", **row})


def _score(hazard: float, outcome01: float | None) -> dict[str, float | None]:
    """The score written out once more, by the formulas of the design and not by our code."""
    scored: dict[str, float | None] = {"friction_hazard": hazard}
    for end, factor in (("", 1.0), ("_lo", 0.5), ("_hi", 1.5)):
        scored[f"friction_score{end}"] = 100 * (1 - exp(-hazard * factor))
        delivery = max(exp(-hazard * factor), 0.1)
        if outcome01 is not None:
            health = 75 / (0.35 / max(outcome01, 0.1) + 0.40 / delivery)
            scored[f"health_ops{ {'_lo': '_hi', '_hi': '_lo'}.get(end, '') }"] = health
    return {**scored, "delivery01": exp(-hazard)}


def journey(
    store: Store,
    journey_id: str,
    steps: list[dict[str, Any]],
    *,
    outcome: str | None = "resolved",
    outcome01: float | None = 1.0,
    **own: Any,
) -> None:
    """Add a journey: each step a dict of columns, with `after` (timedelta), `evidence`, `asked`."""
    start = own.pop("started_at", START)
    pieces = [piece for step in steps for piece in _incident(step.get("evidence", []))]
    hazard = sum(piece["hazard"] for piece in pieces)
    edges = sum(piece["hazard"] for piece in pieces if piece["locus"] == "edge")
    moment = start
    for seq, step in enumerate(steps, 1):
        moment += step.pop("after", timedelta(hours=1))
        _add_step(store, journey_id, seq, moment, step, hazard)
    owners = [step.get("owner") for step in steps]
    closed = {"state": "closed", "close_reason": "silence", "is_final": True}
    counts = {
        "n_steps": len(steps),
        "n_contacts": len(steps),
        "n_channels": len({step.get("channel") for step in steps}),
        "n_silos": len(set(owners)),
        "n_evidence": len(pieces),
    }
    store.add(
        "journeys",
        **{
            "journey_id": journey_id,
            "customer_key": f"of-{journey_id}",
            "journey_type": "claim",
            "owner": owners[0],
            "started_at": start,
            "ended_at": moment,
            "throughput_s": (moment - start).total_seconds(),
            "outcome": outcome,
            "outcome01": outcome01,
            "evidence_coverage": 0.75,
            "friction_edge_share": edges / hazard if hazard else None,
            "limiting_component": "delivery" if hazard else None,
            **closed,
            **counts,
            **_score(hazard, outcome01),
            **own,
        },
    )


def _incident(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for rank, piece in enumerate(sorted(pieces, key=lambda p: -p["severity"])):
        piece.setdefault("locus", "node")
        piece |= {"kind_rank": rank, "hazard": -(0.5**rank) * log1p(-piece["severity"])}
    return pieces


def _add_step(
    store: Store, journey_id: str, seq: int, at: datetime, step: dict[str, Any], total: float
) -> None:
    step_id = f"{journey_id}-{seq}"
    keys = {"journey_id": journey_id, "step_id": step_id, "customer_key": f"of-{journey_id}"}
    final = {"is_final": True, "owner": step.get("owner"), "touchpoint": step.get("touchpoint")}
    for number, piece in enumerate(step.pop("evidence", [])):
        store.add(
            "friction_evidence",
            **{
                **keys,
                **final,
                "evidence_id": f"{step_id}-{piece['kind']}-{number}",
                "occurred_at": at,
                "basis": "observed",
                "raw_value": 1.0,
                "base_weight": piece["severity"],
                "intensity": 1.0,
                "confidence": 1.0,
                "share": piece["hazard"] / total,
                "event_ids": [f"log/{step_id}"],
                **piece,
            },
        )
    for asked in step.pop("asked", []):
        store.add(
            "info_requests", **{**keys, **final, "occurred_at": at, "is_reask": False, **asked}
        )
    for hand in step.pop("handoffs", []):
        near = {"handoff_id": step_id, "to_step": step_id, "is_ping_pong": False}
        store.add("handoffs", **{**keys, **near, "occurred_at": at, "is_final": True, **hand})
    for promise in step.pop("promises", []):
        store.add("promises", **{**keys, "made_at": at, "n_moves": 0, "is_final": True, **promise})
    store.add(
        "steps",
        **{
            **keys,
            "seq": seq,
            "session_id": f"{journey_id}-s{seq}",
            "event_ids": [f"log/{step_id}"],
            "activity": "contact",
            "direction": "inbound",
            "actor_type": "customer",
            "started_at": at,
            "ended_at": at + timedelta(minutes=10),
            "processing_s": 600.0,
            "n_events": 1,
            "is_pushed": False,
            "is_final": True,
            **step,
        },
    )


def reasked(fields: int, owner: str = "Web", owner_to: str = "Claims") -> dict[str, Any]:
    """Evidence of so many fields asked again, severity by the formula of the design."""
    grown = 1 - exp(-fields / 4)
    return {
        "kind": "reasked_info", "locus": "edge", "owner": owner, "owner_to": owner_to,
        "raw_value": float(fields), "unit": "fields", "base_weight": 0.45, "intensity": grown,
        "severity": round(0.45 * grown, 12),
    }  # fmt: skip


def edge(
    kind: str, severity: float, owner: str = "Web", owner_to: str = "Claims"
) -> dict[str, Any]:
    """Evidence of a kind that lies between two steps."""
    return {
        "kind": kind, "locus": "edge", "severity": severity, "owner": owner, "owner_to": owner_to,
    }  # fmt: skip


def piece(evidence_id: str, step_id: str, kind: str, severity: float) -> Evidence:
    """A piece of evidence outside any store."""
    return Evidence(
        evidence_id=evidence_id, step_id=step_id, prev_step_id=None, kind=kind, locus="node",
        owner=None, owner_to=None, occurred_at=START, basis="observed", raw_value=1.0, unit=None,
        expected_value=None, base_weight=severity, intensity=1.0, confidence=1.0,
        severity=severity, kind_rank=0, hazard=0.0, share=0.0, minutes_customer=None,
        event_ids=(), detail=None,
    )  # fmt: skip


FIELDS = ("date", "damage", "phone", "place", "plate")


def claim(store: Store, journey_id: str = "c1a10000aaaa0001", **own: Any) -> None:
    """Story 1: the web asks five questions, the kind assessor asks them all again next day."""
    known = {
        "is_reask": True, "system_known": "Web", "known_step_id": f"{journey_id}-1",
        "system_asking": "Claims", "basis": "observed", "value_agrees": True,
    }  # fmt: skip
    web = {
        "touchpoint": "Claim form", "channel": "web", "owner": "Web", "stage": "before",
        "outcome": "informed", "asked": [{"field": name} for name in FIELDS],
    }  # fmt: skip
    assessor = {
        "touchpoint": "Assessor's call", "channel": "phone", "owner": "Claims", "stage": "during",
        "actor_type": "human", "actor_id": "5e1f00d5e1f00d00", "outcome": "resolved",
        "after": timedelta(days=1, hours=5), "queue_s": 2400,
        "asked": [{"field": name, **known} for name in FIELDS],
        "handoffs": [{
            "from_owner": "Web", "to_owner": "Claims", "latency_s": 104_400,
            "n_fields_known": 5, "n_fields_passed": 0, "context": "none",
        }],
        "evidence": [
            reasked(5), edge("handoff_without_context", 0.30), edge("channel_switch", 0.05),
        ],
    }  # fmt: skip
    own = {"case_id": "C-17", "n_fields_known": 5, "data_continuity": 0.0, **own}
    journey(store, journey_id, [web, assessor], **own)


def worked_example(store: Store, journey_id: str = "f00d0000bbbb0002") -> None:
    """The worked example of the scores: {.15} {.20} {.25} {.20, .30} {.45}, outcome 1."""
    plain = {"touchpoint": "Service line", "channel": "phone", "owner": "Service"}
    promise = {"promise_id": "p1", "kind": "date", "status": "broken", "made_by": "human"}
    steps: list[dict[str, Any]] = [
        {"evidence": [{"kind": "customer_wait", "severity": 0.15}]},
        {"evidence": [{"kind": "channel_fallback", "severity": 0.20, "locus": "edge"}]},
        {"evidence": [{"kind": "repeat_contact", "severity": 0.25, "locus": "edge"}]},
        {"evidence": [edge("handoff_without_context", 0.30), edge("channel_switch", 0.20)]},
        {
            "evidence": [{"kind": "promise_broken", "severity": 0.45}],
            "promises": [{**promise, "due_at": START + timedelta(days=3)}],
        },
    ]
    journey(store, journey_id, [{**plain, **step} for step in steps], journey_type="repair")


def stories() -> Store:
    """The claim, the worked example, an open journey and one in which nothing can be measured."""
    store = Store()
    claim(store)
    worked_example(store)
    waiting = {"touchpoint": "Sales desk", "channel": "branch", "owner": "Sales", "evidence": [
        edge("handoff_dropped", 0.5, "Sales", "Technicians")
    ], "handoffs": [{
        "from_owner": "Sales", "to_owner": "Technicians", "is_dropped": True, "to_step": None,
        "from_step": "0be20000cccc0003-1", "due_at": START + timedelta(days=3),
    }]}  # fmt: skip
    ongoing = {"state": "open", "close_reason": None, "is_final": False}
    journey(store, "0be20000cccc0003", [waiting], outcome=None, outcome01=None,
            journey_type="installation", n_handoffs_unknown=2, **ongoing)  # fmt: skip
    silent = dict.fromkeys(
        ("friction_score", "friction_score_lo", "friction_score_hi", "delivery01", "health_ops",
         "health_ops_lo", "health_ops_hi")
    )  # fmt: skip
    journey(store, "51130000dddd0004", [{"channel": "web"}], outcome=None, outcome01=None,
            evidence_coverage=0.1, owner=None, **silent)  # fmt: skip
    return store


#: (touchpoint, channel, owner, stage) of the synthetic company's claims, in their usual order.
PLACES = (
    ("Advert", "campaign", "Marketing", "before"),
    ("Web search", "web", "Web", "before"),
    ("Claim form", "web", "Web", "before"),
    ("Confirmation", "email", "Web", "during"),
    ("Chat", "chat", "Contact centre", "during"),
    ("Service line", "phone", "Contact centre", "during"),
    ("Assessor's call", "phone", "Claims", "during"),
    ("Workshop visit", "visit", "Workshops", "during"),
    ("Settlement letter", "letter", "Finance", "after"),
    ("Payment", "internal", "Finance", "after"),
    ("Thank-you call", "phone", "Claims", "after"),
)


def company(n_journeys: int = 240, seed: int = 7) -> Store:
    """The stories and a synthetic company whose web loses context on the way to Claims."""
    import random

    made, store = random.Random(seed), stories()
    for _ in range(n_journeys):
        kind = made.choices(("claim", "repair", "renewal"), (6, 3, 1))[0]
        picked = [place for place in PLACES if made.random() < 0.62] or list(PLACES[:1])
        if made.random() < 0.4:
            picked.insert(made.randrange(len(picked)), PLACES[5])
        steps = [_made_step(made, place, picked[max(0, i - 1)]) for i, place in enumerate(picked)]
        resolved = made.random() < 0.85
        started_at = START + timedelta(days=made.randrange(90), minutes=made.randrange(1440))
        journey(
            store, f"{made.getrandbits(64):016x}", steps, journey_type=kind, started_at=started_at,
            outcome="resolved" if resolved else "partly", outcome01=1.0 if resolved else 0.5,
            customer_wait_s=600.0 if made.random() < 0.6 else None,
            data_continuity=made.random() if made.random() < 0.5 else None,
        )  # fmt: skip
    return store


def _made_step(made: Any, place: tuple[str, ...], earlier: tuple[str, ...]) -> dict[str, Any]:
    touchpoint, channel, owner, stage = place
    way, evidence = (earlier[2], owner), []
    if way == ("Web", "Claims") or (owner == "Workshops" and made.random() < 0.4):
        evidence += [reasked(made.randint(1, 6), *way), edge("handoff_without_context", 0.3, *way)]
    if way[0] != way[1] and made.random() < 0.3:
        evidence.append(edge("channel_switch", 0.05, *way))
    if touchpoint == "Service line" and made.random() < 0.7:
        evidence.append({"kind": "customer_wait", "severity": 0.1 + 0.15 * made.random()})
    if touchpoint == "Settlement letter" and made.random() < 0.35:
        late = {"kind": "promise_broken", "severity": 0.25, "basis": "declared"}
        evidence.append({**late, "severity": 0.27})
    if touchpoint == "Chat" and made.random() < 0.3:
        evidence.append({**edge("channel_fallback", 0.1, *way), "basis": "inferred"})
    wait = made.randrange(30, 2000) if touchpoint == "Service line" else None
    return {
        "touchpoint": touchpoint, "channel": channel, "owner": owner, "stage": stage,
        "after": timedelta(minutes=made.randrange(5, 3000)), "evidence": evidence,
        "queue_s": wait,
    }  # fmt: skip


def render(store: report_fixture.Store, title: str = "Journey report") -> str:
    with store.connect() as con:
        return page.render(queries.read(con), title)


def plain_text(html: str) -> str:
    shown = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())
