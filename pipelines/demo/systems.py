"""Write drawn events as the logs of the synthetic company's systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rejse.pipelines.demo import specs as demo_specs
from rejse.pipelines.demo.journeys import FAULTS, NOTHING, Drawn
from rejse.pipelines.demo.specs import CASE_PREFIX, Spec
from rejse.sql import SESSION

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class System:
    """A system of the company: suffix and format of its files, and the faults it makes."""

    suffix: str
    options: str
    faults: frozenset[str]


_ALL = frozenset(FAULTS[1:])
_TYPED = _ALL - {"bad_time"}  # a typed time column cannot hold an unreadable time
PARQUET = "format parquet, compression zstd"
SYSTEMS: Mapping[str, System] = {
    "web": System("jsonl", "format json", _ALL),
    "contact_centre": System("csv", "format csv, header true", _ALL),
    "back_office": System("parquet", PARQUET, _TYPED),
    "campaigns": System("parquet", PARQUET, _TYPED),
}
OWNED = "owned"  # the source of owned products
REGISTER = "customers"  # the source of customer records
_TEXTS = (
    "customer", "case_no", "journey_type", "product_id", "touchpoint", "activity", "direction",
    "actor_type", "intent", "outcome", "to_owner", "lifecycle", "waiting_for",
)  # fmt: skip


def places() -> dict[str, str]:
    """Return the system of each touchpoint."""
    import csv

    text = (demo_specs.folder() / "tables" / "touchpoints.csv").read_text(encoding="utf-8")
    return {row["touchpoint"]: row["system"] for row in csv.DictReader(text.splitlines())}


def _row(spec: Spec, cases: bool) -> dict[str, object]:
    name, kind, op, due = spec.promise
    message, _, basis = (spec["message"] or "").partition(" ")
    prefix = CASE_PREFIX.get(spec["journey_type"] or "") if cases and spec.at is None else None
    return {column: spec[column] for column in _TEXTS} | {
        "spec": spec.spec,
        "case_prefix": prefix,
        "lasts": spec.lasts,
        "info": spec.info or None,
        "promise_no": name,
        "promise_kind": kind,
        "promise_op": op,
        "promise_due": due,
        "claim_topic": spec.claim[0],
        "claim_value": spec.claim[1],
        "message_kind": message or None,
        "relevance_basis": basis or None,
        "error_code": "E_PAGE" if spec["outcome"] == "error" else None,
        "results_n": 0 if spec["outcome"] == "no_result" else None,
    }


def _spec_table(specs: tuple[Spec, ...], cases: bool) -> pa.Table:
    import pyarrow as pa

    more = ("case_prefix", "promise_no", "promise_kind", "promise_op", "message_kind",
            "relevance_basis", "error_code", "claim_topic", "claim_value")  # fmt: skip
    info = pa.list_(
        pa.struct([("field", pa.string()), ("op", pa.string()), ("variant", pa.string())])
    )
    schema = pa.schema(
        [(name, pa.string()) for name in _TEXTS + more]
        + [
            ("spec", pa.int64()),
            ("info", info),
            ("promise_due", pa.int64()),
            ("lasts", pa.int64()),
            ("results_n", pa.int32()),
        ]
    )
    return pa.Table.from_pylist([_row(spec, cases) for spec in specs], schema=schema)


def _statement(name: str) -> str:
    text = (demo_specs.folder() / "made" / f"{name}.sql").read_text(encoding="utf-8")
    return text.rstrip().removesuffix(";")


def connect(specs: tuple[Spec, ...], cases: bool = True) -> duckdb.DuckDBPyConnection:
    """Open an in-memory session with the tables `specs` and `touchpoints`; the caller closes it."""
    import duckdb

    con = duckdb.connect()
    con.execute(SESSION)
    con.register("given_specs", _spec_table(specs, cases))
    con.execute("create table specs as select * from given_specs")
    con.execute(
        "create table touchpoints as select touchpoint, channel, owner, system from read_csv(?)",
        [str(demo_specs.folder() / "tables" / "touchpoints.csv")],
    )
    return con


def _drawn_table(drawn: Drawn) -> pa.Table:
    import pyarrow as pa

    def seconds(values: np.ndarray) -> pa.Array:
        return pa.array(values.astype(np.int32), mask=values == NOTHING)

    faults = pa.DictionaryArray.from_arrays(drawn.fault.astype(np.int32), pa.array(FAULTS))
    return pa.table(
        {
            "journey": drawn.journey,
            "customer": drawn.customer,
            "spec": drawn.spec,
            "number": drawn.number,
            "at": pa.array(drawn.at).cast(pa.timestamp("us", tz="UTC")),
            "wait_s": seconds(drawn.wait_s),
            "talk_s": seconds(drawn.talk_s),
            "fault": faults,
        }
    )


def write(con: duckdb.DuckDBPyConnection, drawn: Drawn, data: Path, part: str) -> dict[str, int]:
    """Write `data/<system>/<part>.<suffix>` and owned products; return rows by source."""
    con.register("drawn", _drawn_table(drawn))
    con.execute(f"create or replace temp table events as {_statement('events')}")
    rows = {}
    for name, system in SYSTEMS.items():
        (data / name).mkdir(parents=True, exist_ok=True)
        rows[name] = copy(con, name, data / name / f"{part}.{system.suffix}", system.options)
    (data / OWNED).mkdir(parents=True, exist_ok=True)
    rows[OWNED] = copy(con, OWNED, data / OWNED / f"{part}.csv", "format csv, header true")
    return rows


def write_register(con: duckdb.DuckDBPyConnection, customers: int, data: Path) -> dict[str, int]:
    """Write the register of so many customers, with or without contacts; return its rows."""
    people = f"select range as number from range({int(customers)})"
    con.execute(f"create or replace temp view people as {people}")
    (data / REGISTER).mkdir(parents=True, exist_ok=True)
    return {
        REGISTER: copy(con, REGISTER, data / REGISTER / "register.csv", "format csv, header true")
    }


def write_log(con: duckdb.DuckDBPyConnection, drawn: Drawn, file: Path, options: str) -> int:
    """Write all events as one log; return its rows."""
    con.register("drawn", _drawn_table(drawn))
    con.execute(f"create or replace temp view events as {_statement('events')}")
    return copy(con, "one_source", file, options)


def copy(con: duckdb.DuckDBPyConnection, name: str, file: Path, options: str) -> int:
    """Write the result of a statement of `made`; return its rows."""
    path = str(file).replace("'", "''")
    done = con.execute(f"copy ({_statement(name)}) to '{path}' ({options})").fetchone()
    return int(done[0]) if done else 0
