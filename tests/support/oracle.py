"""The oracle: an independent second reading of the rules, in DuckDB SQL.

`compute` runs the files of `tests/oracle/` in the order of their names over an in-memory
database. It shares no code with the core but the declared schema and the settings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.dimensions import customer_records as records
from rejse.transforms.dimensions.tables import TABLES
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.schema.contract import LOGGED_WHEN_PRESENT, event_schema
from rejse.transforms.schema.parameters import Rules
from tests.support.paths import TESTS

FOLDER = TESTS / "oracle"
STATEMENTS = tuple(sorted(FOLDER.glob("*.sql")))


@dataclass(frozen=True)
class Case:
    """One input of the core: events and what they are joined with, as plain values."""

    events: pa.Table
    operational: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    frontiers: Mapping[str, int] | None = None
    records: pa.Table | None = None
    x_frontiers: Mapping[str, int] = field(default_factory=dict)
    #: Records of customers as they are published, by kind.
    known: Mapping[str, pa.Table] = field(default_factory=dict)
    #: Links of identities, as they are published.
    links: pa.Table | None = None


def _rows(rows: tuple[Mapping[str, Any], ...], schema: pa.Schema) -> pa.Table:
    """Rows as a table of `schema` plus `json`, which breaks ties among rows valid at one time."""
    known = [{name: row.get(name) for name in schema.names} for row in rows]
    table = pa.Table.from_pylist(known, schema=schema)
    texts = [json.dumps(row, sort_keys=True, default=str) for row in known]
    return table.append_column("json", pa.array(texts, pa.string()))


def _columns(table: pa.Table | None, schema: pa.Schema) -> pa.Table:
    """A table with every column of the contract, null where the source has none."""
    rows = 0 if table is None else table.num_rows
    columns = [
        table.column(field.name).cast(_plain(field.type))
        if table is not None and field.name in table.column_names
        else pa.nulls(rows, _plain(field.type))
        for field in schema
    ]
    return pa.table(columns, names=schema.names)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _types(con: duckdb.DuckDBPyConnection, rules: Rules) -> pa.Table:
    """Settings of every journey type that can occur, `other` among them."""
    query = " union ".join(
        f"select journey_type from {table}" for table in ("events", "touchpoints", "cases")
    )
    names = {"other"} | {name for (name,) in con.execute(query).fetchall() if name}
    named = [(name, rules.type_of(name)) for name in sorted(names)]
    rows = [
        {
            "name": name, "gap": t.gap, "case_gap": t.case_gap,
            "weak_end_outcomes": list(t.weak_end_outcomes),
            "reopen_window": t.reopen_window, "cap": t.cap, "handoff_due": t.handoff_due,
            "owner": t.owner, "start_activities": list(t.start_activities),
            "end_activities": list(t.end_activities), "end_outcomes": list(t.end_outcomes),
            "outcome_map": list(t.outcome_map.items()), "expects_outcome": t.expects_outcome,
            "is_problem": t.is_problem,
        }
        for name, t in named
    ]  # fmt: skip
    texts = pa.list_(pa.string())
    schema = pa.schema([
        ("name", pa.string()), ("gap", pa.int64()), ("case_gap", pa.int64()),
        ("weak_end_outcomes", texts), ("reopen_window", pa.int64()),
        ("cap", pa.int64()), ("handoff_due", pa.int64()), ("owner", pa.string()),
        ("start_activities", texts), ("end_activities", texts), ("end_outcomes", texts),
        ("outcome_map", pa.map_(pa.string(), pa.float64())), ("expects_outcome", pa.bool_()),
        ("is_problem", pa.bool_()),
    ])  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def _settings(rules: Rules) -> pa.Table:
    """One row: the windows and the numbers of the score."""
    w = rules.windows
    return pa.Table.from_pylist([{
        "session_gap": w.session_gap, "lateness": w.lateness, "identity_wait": w.identity_wait,
        "repeat_window": w.repeat, "give_up": w.promise_give_up, "largest_gap": rules.largest_gap,
        "coverage_floor": w.coverage_floor,
                "volatile_fields": list(w.volatile_fields),
                "question_activities": list(w.question_activities),
        "late_promise_weight": rules.late_promise_weight,
        "short_abandon_s": w.short_abandon / 1_000_000, "pressure_window": w.pressure_window,
        "pressure_cap": w.pressure_cap, "quick_intents": list(w.quick_intents),
        "x_touchpoint": w.x_touchpoint, "survey": w.survey,
        "ignored": w.ignored, "relief_friction": w.relief_friction,
    }], schema=pa.schema([
        ("session_gap", pa.int64()), ("lateness", pa.int64()), ("identity_wait", pa.int64()),
        ("repeat_window", pa.int64()), ("give_up", pa.int64()), ("largest_gap", pa.int64()),
        ("coverage_floor", pa.float64()), ("volatile_fields", pa.list_(pa.string())),
        ("question_activities", pa.list_(pa.string())),
        ("late_promise_weight", pa.float64()), ("short_abandon_s", pa.float64()),
        ("pressure_window", pa.int64()), ("pressure_cap", pa.int64()),
        ("quick_intents", pa.list_(pa.string())),
        ("x_touchpoint", pa.int64()), ("survey", pa.int64()),
        ("ignored", pa.int64()), ("relief_friction", pa.float64()),
    ]))  # fmt: skip


def _needs(operational: Mapping[str, tuple[Mapping[str, Any], ...]]) -> pa.Table:
    """Declared table of what kinds and metrics are made of, a row for each alternative.

    `@name` asks for an operational table: where it has rows nothing else is needed of it.
    """
    from rejse.transforms.schema.registry import metrics
    from rejse.transforms.scoring.friction import KINDS

    made_of = [("kind", kind.name, kind.inputs) for kind in KINDS.values() if kind.is_launch]
    made_of += [(metric.grain, metric.name, metric.inputs) for metric in metrics() if metric.inputs]
    rows = [
        {
            "grain": grain,
            "name": name,
            "fields": sorted(f for f in fields if not f.startswith("@")),
            "is_possible": all(operational.get(f[1:]) for f in fields if f.startswith("@")),
        }
        for grain, name, inputs in made_of
        for fields in inputs
    ]
    schema = pa.schema([
        ("grain", pa.string()), ("name", pa.string()), ("fields", pa.list_(pa.string())),
        ("is_possible", pa.bool_()),
    ])  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


def _links(links: pa.Table | None) -> pa.Table:
    return TABLES["identity_links"].schema.empty_table() if links is None else links


def _blom() -> pa.Table:
    """Expected extreme of n standard normal scores (Blom 1958), a number and no rule."""
    b = {n: NormalDist().inv_cdf((n - 3 / 8) / (n + 1 / 4)) for n in range(1, 101)}
    return pa.table({"n": list(b), "b": list(b.values())})


def declare(
    con: duckdb.DuckDBPyConnection,
    operational: Mapping[str, tuple[Mapping[str, Any], ...]],
    rules: Rules,
    frontiers: Mapping[str, int],
    x_frontiers: Mapping[str, int],
) -> None:
    """Create what rules are applied with, beside the tables `events`, `records` and of records."""
    for name, table in TABLES.items():
        _create(con, name, _rows(operational.get(name, ()), table.schema))
    weights = [{"kind": k, "weight": w} for k, w in rules.weights.items()]
    declared = pa.Table.from_pylist(
        [{"source": s, "field": f} for s, fields in rules.sources.items() for f in fields],
        schema=pa.schema([("source", pa.string()), ("field", pa.string())]),
    )
    frontier = pa.schema([("source", pa.string()), ("w", pa.int64())])
    for name, until in {"frontiers": frontiers, "x_frontiers": x_frontiers}.items():
        known = [{"source": s, "w": w} for s, w in until.items()]
        _create(con, name, pa.Table.from_pylist(known, schema=frontier))
    _create(con, "types", _types(con, rules))
    _create(con, "settings", _settings(rules))
    _create(con, "weights", pa.Table.from_pylist(
        weights, schema=pa.schema([("kind", pa.string()), ("weight", pa.float64())])
    ))  # fmt: skip
    _create(con, "needs", _needs(operational))
    _create(con, "blom", _blom())
    _create(con, "x_declared", declared)
    is_logged = pc.is_in(declared["field"], pa.array(sorted(LOGGED_WHEN_PRESENT)))
    _create(con, "declared_columns", declared.filter(is_logged))


def _create(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    con.register("incoming", table)
    con.execute(f"create table {name} as select * from incoming")
    con.unregister("incoming")


def connect(case: Case) -> duckdb.DuckDBPyConnection:
    """Database with the inputs of a case as tables, before any rule has run."""
    con = duckdb.connect(config={"threads": 1})
    give(con, case.events, case.records, case.known, case.links)
    declare(con, case.operational, case.rules, case.frontiers or {}, case.x_frontiers)
    return con


def give(
    con: duckdb.DuckDBPyConnection,
    events: pa.Table | None = None,
    answers: pa.Table | None = None,
    known: Mapping[str, pa.Table] | None = None,
    links: pa.Table | None = None,
) -> None:
    """Create the tables of what customers did, felt and are; empty where there is none."""
    _create(con, "events", _columns(events, event_schema()))
    _create(con, "records", _columns(answers, EXPERIENCE.pseudonymous()))
    _create(con, "links", _links(links))
    for kind in records.CONTRACTS:
        published = known[kind].to_pylist() if known and kind in known else []
        _create(con, kind, _rows(tuple(published), records.of_events(kind)))


def compute(case: Case) -> duckdb.DuckDBPyConnection:
    """Database after all rules: tables journey, step, session, … as the oracle sees them."""
    con = connect(case)
    for path in STATEMENTS:
        con.execute(path.read_text())
    return con


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Result of a query as a list of dicts."""
    result = con.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


#: What makes a row of the oracle's and one of the core's the same row, where it is not the key.
MATCH: Mapping[str, tuple[str, ...]] = {
    "friction_evidence": ("step_id", "kind", "kind_rank", "severity"),
    "handoffs": ("journey_id", "occurred_at", "from_step", "to_step", "due_at", "to_owner"),
}


def compare(name: str, mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    """Differences of two lists of rows in the columns that both have; numbers to 1e-9."""
    keys = MATCH.get(name) or x_tables.all_tables()[name].key
    a, b = _keyed(mine, keys), _keyed(theirs, keys)
    out = [f"{name}: only the oracle has {k}" for k in a.keys() - b.keys()]
    out += [f"{name}: only the core has {k}" for k in b.keys() - a.keys()]
    for key in a.keys() & b.keys():
        for column in a[key].keys() & b[key].keys():
            if not _same(a[key][column], b[key][column]):
                out.append(
                    f"{name} {key}: {column}: oracle {a[key][column]!r}, core {b[key][column]!r}"
                )
    return sorted(out)


def _same(mine: Any, theirs: Any) -> bool:
    """Numbers are not rounded first: two that differ by nothing may round apart."""
    if all(
        isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in (mine, theirs)
    ):
        return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return bool(_plain_value(mine) == _plain_value(theirs))


def _keyed(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    keyed: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = repr([_plain_value(row[k]) for k in keys])
        while key in keyed:
            key += "+"
        keyed[key] = row
    return keyed


def _plain_value(value: Any) -> Any:
    """A value by which rows of two engines can be compared."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return round(float(value), 9) + 0.0
    return value
