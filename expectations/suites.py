"""Make the suites of Great Expectations: one a table, from its rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import great_expectations.expectations as gxe

from rejse.expectations.gx_stateless import serialised_once
from rejse.expectations.rules import ColumnRule, KeyRule, Law, RowRule, Rule


def expectations(rules: Iterable[Rule]) -> list[gxe.Expectation]:
    """Make an expectation of each rule."""
    return [_expectation(rule) for rule in rules]


def _expectation(rule: Rule) -> gxe.Expectation:
    match rule:
        case ColumnRule(promise="required", column=column):
            return _of(rule, gxe.ExpectColumnValuesToNotBeNull, column=column.name)
        case ColumnRule(promise="values", column=column):
            values = list(column.values)
            return _of(rule, gxe.ExpectColumnValuesToBeInSet, column=column.name, value_set=values)
        case ColumnRule(column=column):
            return _of(
                rule, gxe.ExpectColumnValuesToBeBetween, column=column.name,
                min_value=column.low, max_value=column.high,
            )  # fmt: skip
        case KeyRule(columns=(column,)):
            return _of(rule, gxe.ExpectColumnValuesToBeUnique, column=column)
        case KeyRule(columns=columns):
            return _of(rule, gxe.ExpectCompoundColumnsToBeUnique, column_list=list(columns))
        case RowRule(query=query) | Law(query=query):
            doubled = query.replace("{", "{{").replace("}", "}}")  # Great Expectations formats it
            return _of(rule, gxe.UnexpectedRowsExpectation, unexpected_rows_query=doubled)
    raise TypeError(f"expected a rule of a column, key, row or law, came {rule!r}")


def _of(rule: Rule, kind: Any, **arguments: Any) -> gxe.Expectation:
    """Make an expectation of a `kind` of Great Expectations that carries the rule's name."""
    return serialised_once(kind)(
        description=rule.description, severity=rule.severity, meta={"rule": rule.name}, **arguments
    )
