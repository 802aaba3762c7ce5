"""List the rules of every published table, made from its declarations; none is written by hand.

Two readings are made of each rule: a query of DuckDB, which decides (`one_pass`), and an
expectation of Great Expectations, which explains (`suites`). Rules of a column are named
`<column>.<promise>`: `required`, `range`, `values`; those of a key `key.unique`. Others are the row
rules of the contract and the laws of `sql/checks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from rejse.sql import Script, quoted, scripts
from rejse.transforms import published_tables
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.feedback.validate import RULES as ANSWER_RULES
from rejse.transforms.incremental.merge_customers import ANSWERS, EVENTS, LATE
from rejse.transforms.ingest import validate
from rejse.transforms.schema import contract
from rejse.transforms.schema.contract import INTERACTIONS, Contract
from rejse.transforms.schema.registry import Column, Table

Severity = Literal["critical", "warning"]
Promise = Literal["required", "values", "range"]

#: Contract and row rules of the tables that hold accepted rows.
_ACCEPTED: Mapping[str, tuple[Contract, Sequence[validate.Rule]]] = {
    EVENTS: (INTERACTIONS, validate.RULES),
    LATE: (INTERACTIONS, validate.RULES),
    ANSWERS: (EXPERIENCE, ANSWER_RULES),
}
#: A law about single rows, as its file writes it: one view, plain columns, one condition.
_OF_ROWS = re.compile(
    r"with (\w+) as \(\s+select[\w\s,]+from \w+\s+\),"
    r"\s+wrong as \(\s+select \*\s+from \1\s+where\s+(?P<condition>.+)\n\)\s+select \* from wrong",
    re.DOTALL,
)


@dataclass(frozen=True)
class Rule:
    """What must hold of a table. Breaking a `critical` rule refuses a publication."""

    table: str
    name: str
    description: str
    severity: Severity


@dataclass(frozen=True)
class RowRule(Rule):
    """A rule of single rows: `broken` is an SQL condition, true of a row that breaks it.

    `query` returns those rows; a rule of a column has none.
    """

    broken: str
    query: str = ""


@dataclass(frozen=True, kw_only=True)
class ColumnRule(RowRule):
    """What a column's declaration promises of its values."""

    column: Column
    promise: Promise


@dataclass(frozen=True)
class KeyRule(Rule):
    """No two rows have the same values in `columns`."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Law(Rule):
    """A rule of rows together: `query` returns what breaks it, from the tables `sources`.

    It holds of each customer by itself, unless it `is_whole`: a share over all rows.
    """

    query: str
    sources: tuple[str, ...]
    is_whole: bool


def view(table: Table) -> str:
    """Return the view of all rows of a table: the final ones, and those that may still change."""
    return table.name if len(table.stored) == 1 else f"v_{table.name}"


def by_table() -> dict[str, tuple[Rule, ...]]:
    """Return the rules of every published table by its name."""
    return {name: tuple(of_table(table)) for name, table in published_tables.TABLES.items()}


def of_table(table: Table) -> Iterator[Rule]:
    """Yield the rules of a table: columns, row rules of its contract, key, laws."""
    for column in _columns(table):
        yield from _of_column(table, column)
    yield from _of_contract(table)
    if table.key and table.lifecycle != "snapshot":  # those are as the user gave them
        about = f"one row per {', '.join(table.key)}"
        yield KeyRule(table.name, "key.unique", about, "critical", table.key)
    for check in scripts("checks").values():
        if check.header["table"] == table.name:
            yield _law(table, check)


def row_columns(table: Table) -> tuple[str, ...]:
    """Return the columns by which a report names a row: its key, and its journey."""
    journey = ("journey_id",) if any(c.name == "journey_id" for c in table.columns) else ()
    return tuple(dict.fromkeys((*table.key, *journey)))


def _columns(table: Table) -> Sequence[Column]:
    """Return the declared columns; of accepted rows, row rules say which are required."""
    if table.name not in _ACCEPTED:
        return table.columns
    fields = _ACCEPTED[table.name][0].by_name
    bucket = Column(
        contract.BUCKET, pa.int16(), "Virtual bucket.", low=0, high=4095, nullable=False
    )
    key = Column(contract.CUSTOMER_KEY, contract.TEXT, "Keyed pseudonym of the customer.",
                 nullable=False)  # fmt: skip
    own = (fields[column.name] for column in table.columns if column.name in fields)
    listed = (Column(f.name, f.type, f.description, f.unit, values=f.values) for f in own)
    return (key, bucket, *listed)


def _of_column(table: Table, column: Column) -> Iterator[ColumnRule]:
    name = f'"{column.name}"'

    def rule(promise: Promise, broken: str) -> ColumnRule:
        return ColumnRule(
            table.name, f"{column.name}.{promise}", column.description, "critical", broken,
            column=column, promise=promise,
        )  # fmt: skip

    if not column.nullable:
        yield rule("required", f"{name} is null")
    if column.values:
        yield rule("values", f"{name} not in ({', '.join(map(quoted, column.values))})")
    ends = [f"{name} < {column.low}"] * (column.low is not None)
    ends += [f"{name} > {column.high}"] * (column.high is not None)
    if ends and not pa.types.is_list(column.type):
        yield rule("range", " or ".join(ends))


def _of_contract(table: Table) -> Iterator[RowRule]:
    """Yield the row rules that written rows can break; raw identities are never written.

    Lists of values are promised by the columns already.
    """
    _, declared = _ACCEPTED.get(table.name, (None, ()))
    for rule in declared:
        is_listed = rule.reason.startswith("unknown_")
        if not is_listed and not set(rule.columns) & set(contract.IDENTITY_FIELDS):
            broken = f"not ({rule.sql})"
            query = f"select {', '.join(row_columns(table))} from {view(table)} where {broken}"
            yield RowRule(table.name, rule.name, rule.says, "critical", broken, query)


def _law(table: Table, check: Script) -> Rule:
    header, of_rows = check.header, _OF_ROWS.search(check.text)
    named = (table.name, check.name, header["purpose"])
    severity: Severity = "warning" if header["severity"] == "warning" else "critical"
    if of_rows is not None and check.sources == (view(table),):
        return RowRule(*named, severity, of_rows["condition"], check.text)
    return Law(*named, severity, check.text, check.sources, header.get("scope") == "table")
