"""The tables that a publication writes itself: publications, runs, erasures."""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.schema.contract import IDENTITY_TYPES, TIME
from rejse.transforms.schema.registry import Column, Table

COUNTS = ("read", "kept", "duplicate", "late", "rejected", "erased", "heartbeat")
_COUNTED = pa.map_(pa.string(), pa.int64())
_NAMED = pa.map_(pa.string(), pa.string())
_MEASURED = pa.map_(pa.string(), pa.float64())


def _of(name: str, kind: pa.DataType, about: str, unit: str = "") -> Column:
    return Column(name, kind, about, unit=unit)


PUBLICATIONS = Table("publications", "publication: one consistent state of all tables",
                     ("publication",), (
    _of("publication", pa.int64(), "Number of the publication, from 1.", "1"),
    _of("run_id", pa.string(), "Run that published."),
    _of("fingerprint", pa.string(), "Hash of all that the result depends on."),
    _of("config_version", pa.string(), "Hash of the configuration."),
    _of("published_at", TIME, "When it was published.", "UTC"),
    _of("versions", _COUNTED, "Delta version of every table."),
    _of("rows", _COUNTED, "Rows of every table.", "1"),
    _of("positions", _NAMED, "How far each source was read."),
    _of("core_version", pa.string(), "Hash of rules, code and key."),
    _of("core_versions", _NAMED, "Hashes of rules and code by part: accepted rows depend on"
        " `ingest`, what is made of them on `score`."),
    _of("sources", _NAMED, "Hash of each source's mapping and schema."),
    _of("latest", pa.map_(pa.string(), TIME), "Latest time read, by kind, source and name (JSON).",
        "UTC"),
    _of("frontiers", pa.map_(pa.string(), TIME), "How far each source is complete.", "UTC"),
    _of("x_frontiers", pa.map_(pa.string(), TIME), "How far each source of answers is complete.",
        "UTC"),
    _of("windows", _COUNTED, "Windows of the configuration: `repeat`, `cap.claim`, others.", "us"),
    _of("thresholds", _MEASURED, "Thresholds of the configuration: `csat.satisfied_from`, others in"
        " points of the answers' scale, `is_problem.claim` as 1 or 0."),
    _of("counts", _COUNTED, f"Input rows: {', '.join(COUNTS)}.", "1"),
    _of("audit", pa.string(), "passed, warned or skipped."),
    _of("promise_checks", _NAMED, "SQL of the configuration that judges claims, by its name."),
))  # fmt: skip

#: How a run ends.
RUN_ENDS = ("published", "audit_failed", "failed", "interrupted", "killed")
RUNS = Table("runs", "run that published, with its reconciliation, or that failed", ("run_id",), (
    _of("run_id", pa.string(), "Run."),
    _of("publication", pa.int64(), "Publication that it made; null where it failed.", "1"),
    Column("status", pa.string(), "How it ended; null before it was kept. One that failed stands in"
           " the publication after it.", values=RUN_ENDS),
    _of("error", pa.string(), "Error of a run that failed; of a fault of the program its class."),
    _of("mode", pa.string(), "increment: what is new; rebuild: all sources read again; rescore:"
        " stored rows scored anew; repair: late events; reconcile: changed identity links."),
    _of("reason", pa.string(), "Why all was read or scored again; null where it was not."),
    _of("config_version", pa.string(), "Hash of the configuration."),
    _of("started_at", TIME, "When it began: the clock after which rows lay in the future.", "UTC"),
    _of("finished_at", TIME, "When it published or failed; null where it was killed.", "UTC"),
    *(_of(f"n_{name}", pa.int64(), f"Input rows {name}.", "1") for name in COUNTS),
    _of("difference", pa.int64(), "read less all others.", "1"),
    _of("reasons", _COUNTED, "Rejected rows by reason.", "1"),
    _of("notes", _COUNTED, "Changes, guesses, records that join nothing: counted kept rows.", "1"),
))  # fmt: skip

ERASURES = Table("erasures", "erased identity: receipt without it", ("tombstone",), (
    Column("tombstone", pa.string(), "Keyed hash of the erased identity, no customer's key.",
           nullable=False),
    Column("identitytype", pa.string(), "Kind of identity.", values=IDENTITY_TYPES,
           nullable=False),
    Column("erased_at", TIME, "When it was erased.", "UTC", nullable=False),
    Column("publication", pa.int64(), "First publication without it.", "1", nullable=False),
    Column("rows", pa.map_(pa.string(), pa.int64()), "Rows removed, by table.", "1"),
))  # fmt: skip
