"""Make expectations from the declarations of a table's columns; none is written by hand.

Rules are named `<column>.<promise>`: `required`, `range`, `values`; and `key.unique`,
`columns.present`. Breaking a declaration is critical.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import great_expectations.expectations as gxe
import pyarrow as pa

from rejse.expectations.gx_stateless import serialised_once
from rejse.sql import scripts
from rejse.transforms.schema.registry import Column

CRITICAL = "critical"


def rule(
    kind: Any, name: str, description: str, severity: str = CRITICAL, **arguments: Any
) -> gxe.Expectation:
    """Make an expectation of a `kind` of Great Expectations whose results carry the rule's name."""
    expectation = serialised_once(kind)
    return expectation(description=description, severity=severity, meta={"rule": name}, **arguments)


def query(name: str, description: str, sql: str, severity: str = CRITICAL) -> gxe.Expectation:
    """Make an expectation that a query returns no rows."""
    doubled = sql.replace("{", "{{").replace("}", "}}")  # Great Expectations formats queries
    kind = gxe.UnexpectedRowsExpectation
    return rule(kind, name, description, severity, unexpected_rows_query=doubled)


def columns(declared: Iterable[Column]) -> list[gxe.Expectation]:
    """Make expectations of all columns: present, required, in range, in the list of values."""
    listed = list(declared)
    names = [column.name for column in listed]
    present = rule(
        gxe.ExpectTableColumnsToMatchSet,
        "columns.present",
        f"has its {len(names)} declared columns",
        column_set=names,
        exact_match=False,
    )
    return [present, *(promise for column in listed for promise in _column(column))]


def key(names: Sequence[str]) -> gxe.Expectation:
    """Make the expectation that no two rows have the same key."""
    description = f"one row per {', '.join(names)}"
    if len(names) == 1:
        kind = gxe.ExpectColumnValuesToBeUnique
        return rule(kind, "key.unique", description, column=names[0])
    kind = gxe.ExpectCompoundColumnsToBeUnique
    return rule(kind, "key.unique", description, column_list=list(names))


def laws(table: str) -> list[gxe.Expectation]:
    """Make expectations of the laws in `sql/checks` about `table`: queries for breaking rows."""
    return [
        query(check.name, check.header["purpose"], check.text, check.header["severity"])
        for check in scripts("checks").values()
        if check.header["table"] == table
    ]


def _column(column: Column) -> Iterator[gxe.Expectation]:
    def promise(kind: Any, suffix: str, **arguments: Any) -> gxe.Expectation:
        name = f"{column.name}.{suffix}"
        return rule(kind, name, column.description, column=column.name, **arguments)

    if not column.nullable:
        yield promise(gxe.ExpectColumnValuesToNotBeNull, "required")
    if column.values:
        yield promise(gxe.ExpectColumnValuesToBeInSet, "values", value_set=list(column.values))
    if (column.low is not None or column.high is not None) and not pa.types.is_list(column.type):
        kind = gxe.ExpectColumnValuesToBeBetween
        yield promise(kind, "range", min_value=column.low, max_value=column.high)
