"""Expectations made from the declarations: what a table's columns promise, nothing by hand.

Rules are named `<column>.<promise>`: `required`, `range`, `values`; and `key.unique`,
`columns.present`. Breaking a declaration is critical.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import great_expectations.expectations as gxe
import pyarrow as pa

from rejse.sql import Script, scripts
from rejse.transforms.schema.registry import Column

CRITICAL = "critical"


def rule(name: str) -> dict[str, Any]:
    """Metadata that carries a rule's name through Great Expectations."""
    return {"meta": {"rule": name}}


def columns(declared: Iterable[Column]) -> list[gxe.Expectation]:
    """Expectations of all columns: present, required, in range, in the list of values."""
    every = list(declared)
    names = [column.name for column in every]
    found: list[gxe.Expectation] = [
        gxe.ExpectTableColumnsToMatchSet(
            column_set=names,
            exact_match=False,
            severity=CRITICAL,
            description=f"has its {len(names)} declared columns",
            **rule("columns.present"),
        )
    ]
    for column in every:
        found += _column(column)
    return found


def key(names: Sequence[str]) -> gxe.Expectation:
    """Expectation that no two rows have the same key."""
    about = {"severity": CRITICAL, "description": f"one row per {', '.join(names)}"}
    if len(names) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=names[0], **about, **rule("key.unique"))
    return gxe.ExpectCompoundColumnsToBeUnique(
        column_list=list(names), **about, **rule("key.unique")
    )


def laws(table: str) -> list[gxe.Expectation]:
    """The laws in `sql/checks` about `table`: queries that return the rows which break them."""
    return [_law(check) for check in scripts("checks").values() if check.header["table"] == table]


def escaped(query: str) -> str:
    """The query as Great Expectations wants it: braces doubled, it formats queries."""
    return query.replace("{", "{{").replace("}", "}}")


def _law(check: Script) -> gxe.Expectation:
    return gxe.UnexpectedRowsExpectation(
        unexpected_rows_query=escaped(check.text),
        severity=check.header["severity"],
        description=check.header["purpose"],
        **rule(check.name),
    )


def _column(column: Column) -> list[gxe.Expectation]:
    about = {"column": column.name, "severity": CRITICAL, "description": column.description}
    found: list[gxe.Expectation] = []
    if not column.nullable:
        found.append(gxe.ExpectColumnValuesToNotBeNull(**about, **rule(f"{column.name}.required")))
    if column.values:
        found.append(
            gxe.ExpectColumnValuesToBeInSet(
                value_set=list(column.values), **about, **rule(f"{column.name}.values")
            )
        )
    if (column.low is not None or column.high is not None) and not pa.types.is_list(column.type):
        found.append(
            gxe.ExpectColumnValuesToBeBetween(
                min_value=column.low,
                max_value=column.high,
                **about,
                **rule(f"{column.name}.range"),
            )
        )
    return found
