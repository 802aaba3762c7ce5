"""Rows that break every declared rule, made from the declarations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rejse.expectations.rules import ColumnRule, KeyRule, Law, RowRule, Rule, by_table
from rejse.transforms import published_tables
from tests.support import store_builder
from tests.support.store_builder import START, Rows, key_of

Row = dict[str, Any]
FAR = START + timedelta(days=365 * 300)
BEFORE = START - timedelta(days=1)
#: Columns that break a rule of rows or a law; a new one is added here, or the test of it fails.
CHANGES: dict[str, Row] = {
    "ends_after_start": {"start_time": START, "end_time": BEFORE},
    "promise_in_range": {"promise": {"due_time": FAR}},
    "scale_upright": {"scale_min": 5.0, "scale_max": 1.0},
    "confidence_is_share": {"confidence": 2.0},
    "closed_journeys_say_why": {"state": "closed", "close_reason": None},
    "final_journeys_are_closed": {"state": "open", "is_final": True},
    "friction_follows_hazard": {"friction_hazard": 0.0, "friction_score": 50.0},
    "journeys_end_after_start": {"ended_at": START - timedelta(days=99)},
    "score_bounds_are_ordered": {"friction_score": 0.0, "friction_score_lo": 50.0},
    "throughput_is_busy_and_idle": {"throughput_s": 9.0, "busy_s": 1.0, "idle_s": 1.0},
    "steps_end_after_start": {"ended_at": START - timedelta(days=99)},
    "edges_have_two_ends": {"locus": "node", "prev_step_id": "x"},
    "final_rows_stand_apart": {"is_final": False},
    "health_ops_lies_between": {"health_ops": 99.0, "outcome01": 0.0, "delivery01": 0.0},
    "health_lies_between": {"health": 99.0, "experience01": 0.0, "delivery01": 0.0},
    "keys_are_pseudonyms": {"customer_key": "Anna"},
    "hazard_is_ranked": {"hazard": 9.0},
    "evidence_has_its_steps": {"step_id": "lost"},
    "answers_have_their_steps": {"journey_id": "lost"},
    "friction_is_never_diluted": {"friction_score": 0.0},
    "hazards_add_up": {"friction_hazard": 9.0},
    "shares_add_up": {"share": 0.5},
    "steps_are_numbered": {"seq": 9},
    "steps_carry_the_hazard": {"hazard": 9.0},
    "steps_have_their_journey": {"journey_id": "lost"},
    "journeys_have_their_steps": {"n_steps": 9},
    "journeys_have_their_events": {"n_events": 9},
    "coverage_is_enough": {"friction_score": None},
    "channels_are_known": {"channel": "other"},
}
#: Rows that are most of a table's, for what is a share of all.
MOST = 200
#: Keys that a changed row keeps, or it would break nothing.
KEPT = ("friction_is_never_diluted", "hazards_add_up", "steps_carry_the_hazard")


def broken_rows() -> Rows:
    """A lawful world, and for each rule a row that breaks it."""
    rows = store_builder.world()
    for table, rules in by_table().items():
        own = rows.setdefault(table, [])
        base = own[:2][-1] if own else {"customer_key": key_of(1)}  # a journey with friction
        for number, rule in enumerate(rules):
            own += _breaking(rule, copy.deepcopy(base), number)
    return rows


def _breaking(rule: Rule, base: Row, number: int) -> Iterator[Row]:
    row = base if rule.name in KEPT else {**base, **_key(rule.table, f"{rule.name}!", number)}
    match rule:
        case ColumnRule():
            yield {**row, rule.column.name: _wrong(rule)}
        case KeyRule():
            yield from (row, row)
        case RowRule() if rule.name not in CHANGES:
            for end, value in (("_given", None), ("_in_range", FAR), ("_not_negative", -1)):
                if rule.name.endswith(end):
                    yield {**row, rule.name.removesuffix(end): value}
        case Law(is_whole=True):
            for n in range(MOST):
                yield {**row, **_key(rule.table, f"{rule.name} {n}", n), **CHANGES[rule.name]}
        case _:
            yield {**row, **CHANGES[rule.name]}


def _key(table: str, name: str, number: int) -> Row:
    """A key of its own, whose text says which rule the row breaks."""
    kinds = published_tables.schema(table)
    for column in reversed(published_tables.TABLES[table].key):
        if column != "customer_key" and "string" in str(kinds.field(column).type):
            return {column: name}
    return {published_tables.TABLES[table].key[-1]: number}


def _wrong(rule: ColumnRule) -> Any:
    column = rule.column
    if rule.promise == "required":
        return None
    if rule.promise == "values":
        return "strange"
    return column.low - 1 if column.low is not None else column.high + 1  # type: ignore[operator]
