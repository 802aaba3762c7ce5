"""Row rules of the contract: which interactions are accepted, and why others are rejected.

Each rule is declared once, as an Arrow mask and as equivalent SQL. The expectations of the audit
are made from the SQL; a differential test shows that both refuse the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.columnar.list_arrays import elements, with_elements, with_part
from rejse.transforms.columnar.string_arrays import coded, text
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.ingest.empty_strings import is_empty_string, without_empty_strings
from rejse.transforms.ingest.heartbeats import heartbeats
from rejse.transforms.schema.contract import (
    BY_NAME,
    INFO_OPS,
    INTERACTIONS,
    PROMISE_KINDS,
    PROMISE_OPS,
    REQUIRED,
    Contract,
    Field,
)
from rejse.transforms.schema.parameters import DAY, SECOND

#: Event times are in [1970, 2200); outside, a unit or a format was misread.
FIRST_TIME, END_TIME = 0, 7_258_118_400 * SECOND
TIMES = ("time", "recordedtime", "start_time", "end_time")
AMOUNTS = ("wait_s", "talk_s", "hold_s", "wrap_s", "agent_s", "results_n")


@dataclass(frozen=True)
class Rule:
    """A rule that every accepted row satisfies.

    `columns` are those it reads (it applies where a batch has all of them); `refuses` returns the
    mask of the rows that break it; `sql` is a condition, never null, true where it is kept.
    """

    name: str
    reason: str
    columns: tuple[str, ...]
    says: str
    sql: str
    refuses: Callable[[pa.RecordBatch], Bools]


def missing(field: Field) -> Rule:
    """Return a rule that refuses rows without the field; the empty text counts as missing."""
    name, is_text = field.name, pa.types.is_string(field.type)

    def refuses(batch: pa.RecordBatch) -> Bools:
        column = batch.column(name)
        return ~valid(column) | is_empty_string(column) if is_text else ~valid(column)

    sql = f"coalesce({name}, '') != ''" if is_text else f"{name} is not null"
    says = f"{name} is needed; map it in the SELECT"
    return Rule(f"{name}_given", f"missing_{name}", (name,), says, sql, refuses)


def listed(field: Field) -> Rule:
    """Return a rule that refuses values outside the field's closed list."""
    name, allowed = field.name, field.values

    def refuses(batch: pa.RecordBatch) -> Bools:
        column = coded(batch.column(name))
        is_unlisted = _is_unlisted(column.dictionary, allowed)
        if not is_unlisted.any():
            return np.zeros(len(column), dtype=bool)
        known = valid(column)
        return is_unlisted[np.where(known, values(column.indices), 0)] & known

    listed_values = ", ".join(f"'{value}'" for value in allowed)
    sql = f"coalesce({name} in ({listed_values}), true)"
    says = f"{name} is one of {', '.join(allowed)}"
    return Rule(f"{name}_known", f"unknown_{name}", (name,), says, sql, refuses)


def _is_unlisted(dictionary: pa.Array, allowed: tuple[str, ...]) -> Bools:
    return ~values(pc.is_in(dictionary, value_set=text(allowed)))


def in_range(name: str) -> Rule:
    """Return a rule that refuses times outside [1970, 2200)."""

    def refuses(batch: pa.RecordBatch) -> Bools:
        moments = values(batch.column(name))
        return ((moments < FIRST_TIME) | (moments >= END_TIME)) & valid(batch.column(name))

    sql = (
        f"coalesce({name} >= timestamptz '1970-01-01 00:00:00+00'"
        f" and {name} < timestamptz '2200-01-01 00:00:00+00', true)"
    )
    says = f"{name} lies in 1970 to 2199; check its unit and format"
    return Rule(f"{name}_in_range", "time_out_of_range", (name,), says, sql, refuses)


def _due_out_of_range(batch: pa.RecordBatch) -> Bools:
    promise = batch.column("promise")
    due = promise.field("due_time")
    moments, day = values(due), promise.field("due_date")
    days = values(day.cast(pa.int32())).astype(np.int64) * DAY
    wrong = ((moments < FIRST_TIME) | (moments >= END_TIME)) & valid(due)
    wrong |= ((days < FIRST_TIME) | (days >= END_TIME)) & valid(day)
    return np.asarray(wrong & valid(promise))


def _not_negative(name: str) -> Rule:
    def refuses(batch: pa.RecordBatch) -> Bools:
        return (values(batch.column(name)) < 0) & valid(batch.column(name))

    sql = f"coalesce({name} >= 0, true)"
    says = f"{name} is 0 or more"
    return Rule(f"{name}_not_negative", f"negative_{name}", (name,), says, sql, refuses)


def _end_before_start(batch: pa.RecordBatch) -> Bools:
    start, end = batch.column("start_time"), batch.column("end_time")
    return (values(end) < values(start)) & valid(start) & valid(end)


def _untyped_previous(batch: pa.RecordBatch) -> Bools:
    return valid(batch.column("previousidentity")) & ~valid(batch.column("previousidentitytype"))


PREVIOUS_TYPED = Rule(
    "previous_typed",
    "missing_previousidentitytype",
    ("previousidentity", "previousidentitytype"),
    "previousidentity comes with previousidentitytype",
    "previousidentity is null or previousidentitytype is not null",
    _untyped_previous,
)

#: All row rules, in the order in which they give a row its reason.
RULES: tuple[Rule, ...] = (
    *(missing(BY_NAME[name]) for name in REQUIRED),
    *(listed(BY_NAME[name]) for name in ("identitytype", "direction", "actor_type")),
    *(in_range(name) for name in TIMES),
    Rule(
        "ends_after_start", "end_before_start", ("start_time", "end_time"),
        "end_time is not before start_time",
        "coalesce(end_time >= start_time, true)", _end_before_start,
    ),
    PREVIOUS_TYPED,
    Rule(
        "promise_in_range", "time_out_of_range", ("promise",),
        "promise.due_time and due_date lie in 1970 to 2199; null where nothing is due",
        in_range("promise.due_time").sql
        + " and coalesce(promise.due_date >= date '1970-01-01'"
        " and promise.due_date < date '2200-01-01', true)",
        _due_out_of_range,
    ),
    *(_not_negative(name) for name in AMOUNTS),
)  # fmt: skip


def accept(
    batch: pa.RecordBatch, rules: tuple[Rule, ...] = RULES, contract: Contract = INTERACTIONS
) -> tuple[pa.RecordBatch, pa.Table, dict[str, int]]:
    """Split rows into those that satisfy all rules and rejects; count changes as notes.

    `batch` is canonical (of `contract`, with the row numbers that `normalise` adds). An empty text
    in a field that may be null becomes null; `notes` counts these as `empty_<field>`, inside
    structures as `empty_<field>.<part>`. An unknown value of an enum becomes `other` where the list
    has it, else null; `notes` counts these as `unknown_<field>`. A row that breaks several rules
    has the reason of the first. Of a heartbeat only the time is looked at. Raises KeyError where an
    R column is missing.
    """
    for name in contract.required:
        batch.column(name)
    batch, empty = without_empty_strings(batch, contract)
    names = set(batch.schema.names)
    bad, is_heartbeat = np.zeros(batch.num_rows, dtype=bool), heartbeats(batch)
    refused = []
    for rule in rules:
        if not names.issuperset(rule.columns):
            continue
        broken = rule.refuses(batch) & ~bad
        if is_heartbeat is not None and rule.columns != ("time",):
            broken &= ~is_heartbeat
        if broken.any():
            bad |= broken
            refused.append(refusals.of_rows(batch.filter(arrow(broken)), rule.reason, rule.says))
    accepted = batch.filter(arrow(~bad)) if bad.any() else batch
    accepted, notes = _with_known_values(accepted, contract)
    return accepted, refusals.join(refused), empty | notes


def _with_known_values(
    batch: pa.RecordBatch, contract: Contract
) -> tuple[pa.RecordBatch, dict[str, int]]:
    notes: dict[str, int] = {}
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for field in contract.fields:
        if field.name in arrays and field.values:
            arrays[field.name], unknown = _known_enum(arrays[field.name], field)
            if unknown:
                notes[f"unknown_{field.name}"] = unknown
    if "info" in arrays:
        arrays["info"] = _known_info(arrays["info"], notes)
    if "promise" in arrays:
        arrays["promise"] = _known_promise(arrays["promise"], notes)
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=batch.schema), notes


def _known_enum(column: pa.Array, field: Field) -> tuple[pa.Array, int]:
    column = coded(column)
    other = "other" if "other" in field.values else None
    return _replaced(column, field.values, other, valid(column))


def _replaced(
    column: pa.DictionaryArray, allowed: tuple[str, ...], other: str | None, known: Bools
) -> tuple[pa.Array, int]:
    """Replace values that are not allowed by `other`; return the column and how many rows changed.

    Only `known` rows count.
    """
    is_unlisted = _is_unlisted(column.dictionary, allowed)
    if not is_unlisted.any():
        return column, 0
    rows = np.where(known, values(column.indices), 0)
    unknown = int((is_unlisted[rows] & known).sum())
    if not unknown:
        return column, 0
    code_of = {value: code for code, value in enumerate(allowed)}
    fallback = code_of[other] if other else -1
    codes = np.array([code_of.get(v, fallback) for v in column.dictionary.to_pylist()], np.int32)
    recoded = np.where(known, codes[rows], -1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(arrow(recoded, ok=recoded >= 0), text(allowed)), unknown


def _known_part(
    column: pa.StructArray, part: str, allowed: tuple[str, ...]
) -> tuple[pa.StructArray, int]:
    part_values = coded(column.field(part))
    replaced, unknown = _replaced(part_values, allowed, None, valid(part_values) & valid(column))
    if not unknown:
        return column, 0
    return with_part(column, part, replaced.cast(pa.string())), unknown


def _known_info(column: pa.Array, notes: dict[str, int]) -> pa.Array:
    inner, unknown = _known_part(elements(column), "op", INFO_OPS)
    if not unknown:
        return column
    notes["unknown_info.op"] = unknown
    return with_elements(column, inner)


def _known_promise(column: pa.Array, notes: dict[str, int]) -> pa.Array:
    for part, allowed in (("kind", PROMISE_KINDS), ("op", PROMISE_OPS)):
        column, unknown = _known_part(column, part, allowed)
        if unknown:
            notes[f"unknown_promise.{part}"] = unknown
    return column
