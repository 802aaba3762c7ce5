"""Same answers? Order-free fingerprints of what rejse published and of what the rivals wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from rejse.pipelines.publication import catalogue
from tests.bench.rival_duckdb import TABLES

#: What only one side has: constants of a run, and columns that this log leaves null.
LEFT_OUT: Mapping[str, frozenset[str]] = {
    # An event that asks two fields names one of the two events that gave them: either is right.
    "friction_evidence": frozenset({"event_ids"}),
    # Nested values: their hashes are compared through info_requests.value_agrees and promises.
    "events": frozenset({"info", "promise"}),
}
#: What the DuckDB rival, the oracle, does not write: proofs and texts that only rejse names so.
NOT_OF_ALL: Mapping[str, frozenset[str]] = {
    "friction_evidence": frozenset({"detail", "event_ids", "expected_value"}),
}
TOLERANCE = 1e-6
#: By so many weights a row's numbers are told from those of other rows.
WEIGHTS = 1009
HEADLINES = {
    "journeys": "select count(*) from journeys",
    "steps": "select count(*) from steps",
    "sessions": "select count(*) from sessions",
    "evidence": "select count(*) from friction_evidence",
    "sum of hazards": "select sum(hazard) from friction_evidence",
    "mean F": "select avg(friction_score) from journeys",
    "mean health_ops": "select avg(health_ops) from journeys",
    "cost of friction, DKK": "select sum(cost) from friction_evidence where currency = 'DKK'",
    "levels breached": "select count(*) from sla_results where status = 'breached'",
    "answers": "select count(*) from experience",
    "answers joined": "select count(join_method) from experience",
    "mean experience": "select avg(experience01) from journey_experience",
    "mean health": "select avg(health) from journey_experience",
}
BY_KIND = "select kind, count(*), sum(hazard) from friction_evidence group by kind order by kind"


@dataclass(frozen=True)
class Side:
    """One program's tables: `relation` says how a query names each."""

    name: str
    con: Any
    relation: Mapping[str, str]

    def columns(self, table: str) -> dict[str, str]:
        """Type of each column; none where there is no such table."""
        if table not in self.relation:
            return {}
        described = self.con.execute(f"describe select * from {self.relation[table]}").fetchall()
        return {row[0]: row[1] for row in described}

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query that names tables by their plain names."""
        names = ", ".join(f"{t} as (select * from {r})" for t, r in self.relation.items())
        rows: list[tuple[Any, ...]] = self.con.execute(f"with {names} {query}").fetchall()
        return rows


def of_rejse(store: Path) -> Side:
    """What rejse published, final and live rows together."""
    con = catalogue.connect(store)
    return Side("rejse", con, {t: t if t == "events" else f"v_{t}" for t in TABLES})


def of_rival(name: str, out: Path) -> Side:
    """What a rival wrote: of each table one file or several."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    # Beam writes `journeys-00000-of-00001.parquet`, which is no part of `journey_experience`.
    files = {t: sorted(map(str, (*out.glob(f"{t}.*"), *out.glob(f"{t}-*")))) for t in TABLES}
    return Side(name, con, {t: f"read_parquet({some})" for t, some in files.items() if some})


def differences(first: Side, other: Side) -> list[str]:
    """Every table and column in which the two differ; empty where the answers are the same.

    Only tables and columns that both have are compared: `lacking` tells which one of them has not.
    """
    differing = []
    for table in (t for t in TABLES if t in first.relation and t in other.relation):
        mine, theirs = first.columns(table), other.columns(table)
        shared = [c for c in mine if c in theirs and c not in LEFT_OUT.get(table, ())]
        exact = [c for c in shared if mine[c] != "DOUBLE"]
        query = _fingerprint(table, exact, [c for c in shared if mine[c] == "DOUBLE"])
        here, there = (side.ask(query)[0] for side in (first, other))
        names = ["rows", "whole rows", *exact]
        reals = ("n", "sum", "sum by row")
        names += [f"{what} of {c}" for c in shared if mine[c] == "DOUBLE" for what in reals]
        for name, a, b in zip(names, here, there, strict=True):
            if not _equal(a, b):
                differing.append(f"{table}: {name}: {first.name} {a}, {other.name} {b}")
    return differing


def lacking(first: Side, other: Side) -> list[str]:
    """Columns that only one of two rivals wrote, who must write the same ones but NOT_OF_ALL."""
    return [
        f"{table}: {column}: not of both"
        for table in TABLES
        for column in sorted(
            (set(first.columns(table)) ^ set(other.columns(table)))
            - NOT_OF_ALL.get(table, frozenset())
        )
    ]


def _fingerprint(table: str, exact: list[str], real: list[str]) -> str:
    """Rows, a hash over whole rows, one a column, and count and sums of each real column.

    The second sum weighs each number by the hash of its row, so that each must be in its place.
    """
    plain = [_plain(column) for column in exact]
    row = f"hash({', '.join(plain)})"
    hashes = [f"sum(cast({row} as hugeint))"]
    hashes += [f"sum(cast(hash({column}) as hugeint))" for column in plain]
    sums = [
        f"count({c}), coalesce(sum({c}), 0), coalesce(sum({c} * ({row} % {WEIGHTS})), 0)"
        for c in real
    ]
    return f"select count(*), {', '.join(hashes + sums)} from {table}"


def _plain(column: str) -> str:
    """The column in a type that does not depend on who wrote it; times lose their zone."""
    return f"replace(cast({column} as varchar), '+00', '')"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return bool(abs(a - b) <= TOLERANCE * max(1.0, abs(a)))
    return bool(a == b)


def headlines(side: Side) -> dict[str, float]:
    """The numbers that a reader may want to see with their eyes."""
    values = {name: float(side.ask(query)[0][0]) for name, query in HEADLINES.items()}
    for kind, n, hazard in side.ask(BY_KIND):
        values[f"{kind}: pieces"], values[f"{kind}: hazard"] = float(n), float(hazard)
    return values
