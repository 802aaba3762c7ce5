"""Ask the rules of alerts over rows of some customers, in one warm, sealed DuckDB.

A rule is one SELECT over the views `v_journeys`, `v_steps` and the others of derived tables, with a
row for each alert. It reads nothing else, neither clock nor chance: the same rows give the same
matches. What goes by time says from when it holds (`holds_from`), and holds once the watermark of
all sources has passed that; so a source that is silent raises no alarm.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.publication import steady_sql
from rejse.pipelines.runtime.text_safety import clean
from rejse.pipelines.store.state_reader import concatenated
from rejse.sql import SESSION, Script
from rejse.transforms import published_tables
from rejse.transforms.alerts.changes import NO_LONGER, Ends
from rejse.transforms.alerts.ledger import SEVERITIES, Match
from rejse.transforms.schema.moments import micros
from rejse.transforms.schema.registry import LIVE

LOG = logging.getLogger(__name__)
NEEDED = ("journey_id", "customer_key", "opening_event", "severity", "owner", "reason")
OPTIONAL = ("subject", "holds_from")
#: Who is told; nobody in particular where it is null.
OWNER = "owner"
#: What is read of journeys, whatever the rules read.
LOOKED = frozenset({"v_journeys", "journey_id", "customer_key", "state"})
#: Most characters of a reason.
REASON = 300
Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class Rule:
    """A rule of alerts: its name, its SQL, and what its header says."""

    script: Script

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return self.script.name

    @property
    def ends(self) -> Ends:
        """Return how its alerts end."""
        header = self.script.header
        return Ends(header.get("until", NO_LONGER), header.get("per") == "journey")

    @cached_property
    def about(self) -> tuple[str, ...]:
        """Return the stored tables of its first source: without a row of them it has none."""
        (view,) = self.script.sources[:1] or ("v_journeys",)
        table = view.removeprefix("v_")
        return (table, table + LIVE)

    @cached_property
    def words(self) -> frozenset[str]:
        """Return the names of columns and tables that it uses; `*` for all."""
        return steady_sql.words(self.script.text)


class Evaluator:
    """Rules on one connection, which reaches nothing but the rows that it is given."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        """Bind the rules.

        Raises:
            SettingsError: one is not a SELECT that only reads, or has not the columns of an alert.
        """
        for rule in rules.values():
            if problem := steady_sql.problem(rule.script.text):
                raise _refused(rule.name, problem)
        self.rules = rules
        self._words = LOOKED.union(*(rule.words for rule in rules.values()))
        self._con = duckdb.connect(
            ":memory:", config={"threads": 1, "python_enable_replacements": "false"}
        )
        self._con.execute(f"{SESSION}; set memory_limit = '512MB'")
        self._con.execute("set enable_external_access = false; set lock_configuration = true")
        self._empty: set[str] = set()
        self._lay({})
        for rule in rules.values():
            self._refuse_columns(rule)

    @cached_property
    def tables(self) -> dict[str, list[str]]:
        """Return the columns that the rules read of each stored table that they read."""
        return {
            name: [column for column in published_tables.schema(name).names if self._reads(column)]
            for table in _served()
            if f"v_{table}" in self._words
            for name in published_tables.table_of(table).stored
        }

    def matches(self, tables: Tables) -> tuple[list[Match], frozenset[str]]:
        """Return what the rules match, and the names of those that did not fail.

        Args:
            tables: Rows of some customers by stored table, complete for each of their journeys.
        """
        self._lay(tables)
        matches: list[Match] = []
        failed = set()
        for name, rule in self.rules.items():
            if not any(tables[part].num_rows for part in rule.about if part in tables):
                continue  # binding a query takes longer than all else
            try:
                matches += self._asked(rule)
            except duckdb.Error as fault:
                LOG.error("the rule of alerts %s failed: %s", name, fault)
                failed.add(name)
        return matches, frozenset(self.rules.keys() - failed)

    def about(self, rule: str, tables: Tables) -> frozenset[str]:
        """Return the journeys of the rows that a rule is about: those of its first source."""
        parts = [tables[name] for name in self.rules[rule].about if name in tables]
        columns = (part.column("journey_id").to_pylist() for part in parts)
        return frozenset(journey for column in columns for journey in column if journey)

    def close(self) -> None:
        """Close the connection."""
        self._con.close()

    def _reads(self, column: str) -> bool:
        return "*" in self._words or column in self._words

    def _lay(self, tables: Tables) -> None:
        """Let the views have these rows."""
        for name in _served():
            if f"v_{name}" not in self._words:
                continue
            columns = self.tables[name]
            has_rows = any(tables[part].num_rows for part in (name, name + LIVE) if part in tables)
            if not has_rows and name in self._empty:
                continue
            (self._empty.discard if has_rows else self._empty.add)(name)
            shape = pa.schema([published_tables.schema(name).field(c) for c in columns])
            parts = [tables[part].select(columns) for part in (name, name + LIVE) if part in tables]
            self._con.register(f"v_{name}", concatenated(parts) or shape.empty_table())

    def _asked(self, rule: Rule) -> Iterator[Match]:
        asked = self._con.execute(rule.script.text)
        columns = [column[0] for column in asked.description]
        for values in asked.fetchall():
            row = dict(zip(columns, values, strict=True))
            if row["severity"] in SEVERITIES and all(row[name] for name in NEEDED if name != OWNER):
                yield _match(rule.name, row)

    def _refuse_columns(self, rule: Rule) -> None:
        try:
            described = self._con.execute(f"describe {rule.script.text}").fetchall()
        except duckdb.Error as fault:
            raise _refused(rule.name, f"one that fails: {fault}") from None
        columns = [row[0] for row in described]
        if not set(NEEDED) <= set(columns) <= {*NEEDED, *OPTIONAL}:
            raise _refused(rule.name, f"the columns {', '.join(columns)}")


def _served() -> list[str]:
    """Return the names of the tables of derived rows, those of private ones left out."""
    tables = published_tables.TABLES.values()
    return [t.name for t in tables if t.lifecycle == "final+live" and not t.is_private]


def _match(rule: str, row: Mapping[str, Any]) -> Match:
    since = row.get("holds_from")
    return Match(
        rule,
        row["severity"],
        row["journey_id"],
        row["customer_key"],
        row["opening_event"],
        row["owner"],
        clean(row["reason"], limit=REASON),
        row.get("subject"),
        None if since is None else micros(since),
    )


def _refused(name: str, problem: str) -> SettingsError:
    return SettingsError(
        f"alerts: rule {name}: expected one SELECT over the views of derived tables with the"
        f" columns {', '.join(NEEDED)} and, if need be, {', '.join(OPTIONAL)}, came {problem}"
    )
