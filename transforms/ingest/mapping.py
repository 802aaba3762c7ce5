"""The mapping of a source: one SELECT from its own columns to the contract's.

Columns that the SELECT passes through, and constants, never enter DuckDB. An expression over one
dictionary-encoded column is computed once a distinct value. The result is the same.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from threading import Timer
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, arrow, flat, take, valid, values
from rejse.transforms.columnar.string_arrays import constant
from rejse.transforms.ingest import select_check
from rejse.transforms.ingest.casts import REJECT, cast_to
from rejse.transforms.ingest.select_check import Item, MappingError, Select
from rejse.transforms.schema.contract import INTERACTIONS, TEXT, TIME, Contract

#: Output column that marks rows whose sequence is no integer.
BAD_SEQUENCE = "_bad_sequence"
ROW_ID = "_row_id"
#: DuckDB gives messages row by row; further failing rows of a batch get the last message.
MESSAGES = 100
#: Longest time for the rows of one batch, by default.
SECONDS = 120.0


@dataclass
class _Plan:
    """How each output column is made: taken from a raw column, constant, or computed."""

    taken: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    by_column: dict[str, list[str]] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    casts: dict[str, str] = field(default_factory=dict)


class SourceMapping:
    """A checked mapping of one source, to apply to any number of its raw batches.

    `columns` are the canonical columns it gives (a literal null is none). `reads` is the schema of
    the raw columns it needs: all of them where no `id` is mapped, because the row's hash is the id.
    `timeout` is in seconds.
    Raises MappingError where the SELECT is not row-wise, gives an unknown column or a type that
    does not fit, or leaves out what the contract needs of every mapping (of interactions `time`,
    `identity`, `activity`, `channel`).
    """

    def __init__(
        self,
        sql: str,
        raw_schema: pa.Schema,
        source: str,
        contract: Contract = INTERACTIONS,
        timeout: float = SECONDS,
    ) -> None:
        self.sql, self.raw_schema, self.source = sql, raw_schema, source
        self.contract, self.timeout = contract, timeout
        self._connection: duckdb.DuckDBPyConnection | None = None
        try:
            select = select_check.parse(self.connection, sql, raw_schema)
            self._plan, self.columns = _planned(select, contract)
        except MappingError as fault:
            raise MappingError(f"mapping of source {source}: {fault}") from None
        self._failure_tests = _failure_test_sql(select, self._plan, contract)
        #: Columns that are null where a raw value cannot be cast, with their raw columns.
        self.nullable_casts = {
            item.name.casefold(): raw_columns
            for item in select.items or ()
            if item.name.casefold() in self.columns and (raw_columns := select_check.tried(item))
        }
        names = set(select.reads) if "id" in self.columns else set(raw_schema.names)
        self.reads = pa.schema([column for column in raw_schema if column.name in names])

    def __getstate__(self) -> dict[str, Any]:
        # The checked plan goes to the workers; each opens its own connection when needed.
        return {**self.__dict__, "_connection": None}

    def close(self) -> SourceMapping:
        """Close the connection (some 30 MB) until it is needed again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        return self

    def may_give(self, column: str, value: str) -> bool:
        """Return whether a canonical column may have this text in some row."""
        return column in self.columns and self._plan.constants.get(column, value) == value

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The sandboxed connection of this worker, opened on first use."""
        if self._connection is None:
            self._connection = select_check.sandboxed_connection()
        return self._connection

    def run(self, raw: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return the output columns of a raw batch that has at least the columns `reads`.

        Raises duckdb.Error where an expression fails for some row, MappingError where it takes
        longer than the timeout.
        """
        plan, columns = self._plan, {}
        for name, column in plan.taken.items():
            columns[name] = raw.column(column)
        for name, text in plan.constants.items():
            columns[name] = constant(text, raw.num_rows)
        computed = list(plan.general)
        for column, names in plan.by_column.items():
            if _has_few_values(raw.column(column)):
                columns |= self._by_value(raw, column, names)
            else:
                computed += names
        if computed:
            columns |= self._compute(self._with_all_columns(raw, raw), computed)
        if "id" not in self.columns:
            columns["id"] = self._row_ids(raw)
        return columns

    def _compute(self, source: pa.RecordBatch, names: list[str]) -> dict[str, pa.Array]:
        casts = ", ".join(f'{self._plan.casts[name]} as "{name}"' for name in names)
        table = self._query(source, f"select {casts} from ({self._inner()}\n) as mapped")
        return {name: flat(table.column(name)) for name in names}

    def _inner(self) -> str:
        return self.sql.strip().rstrip(";")

    def _query(self, source: pa.RecordBatch, sql: str) -> pa.Table:
        self.connection.register("source", source)
        watch = Timer(self.timeout, self.connection.interrupt)
        watch.daemon = True
        watch.start()
        try:
            return self.connection.sql(sql).to_arrow_table()
        except duckdb.InterruptException:
            raise MappingError(
                f"mapping of source {self.source}: {source.num_rows} rows took longer than"
                f" {self.timeout} s; make its expressions simpler"
            ) from None
        finally:
            watch.cancel()

    def _with_all_columns(self, raw: pa.RecordBatch, known: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with all raw columns that the SELECT may name; missing ones are null."""
        if set(known.schema.names).issuperset(self.raw_schema.names):
            return known
        arrays = [
            known.column(column.name)
            if column.name in known.schema.names
            else pa.nulls(known.num_rows, column.type)
            for column in self.raw_schema
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self.raw_schema.names)

    def _by_value(self, raw: pa.RecordBatch, column: str, names: list[str]) -> dict[str, pa.Array]:
        """Compute columns that depend on one dictionary-encoded column over its dictionary."""
        encoded = raw.column(column)
        texts = pa.concat_arrays([encoded.dictionary, pa.nulls(1, encoded.type.value_type)])
        rows = np.where(valid(encoded), values(encoded.indices), len(texts) - 1)
        only = pa.RecordBatch.from_arrays([texts], names=[column])
        try:
            by_value = self._compute(self._with_all_columns(raw, only), names)
        except duckdb.Error:  # a dictionary value that no row uses may fail
            return self._compute(self._with_all_columns(raw, raw), names)
        return {name: _by_code(array, rows) for name, array in by_value.items()}

    def _row_ids(self, raw: pa.RecordBatch) -> pa.Array:
        """Hash each row's canonical JSON: raw columns by name, 16 hex digits."""
        parts = ", ".join(
            f'"{_escaped(name)}" := "{_escaped(name)}"' for name in sorted(self.reads.names)
        )
        sql = f"substr(sha256(cast(to_json(struct_pack({parts})) as varchar)), 1, 16)"
        return flat(self._query(raw, f'select {sql} as "{ROW_ID}" from source').column(0))

    def failing_rows(self, raw: pa.RecordBatch) -> tuple[Bools, list[str]]:
        """Return the mask of rows for which an expression fails, and DuckDB's message for each.

        One query finds them where each column can be tested by itself. Otherwise the batch is
        halved until each failing row is alone.
        """
        mask = self._tested(raw)
        if mask is None or not mask.any() or not self._passes(raw.filter(arrow(~mask))):
            mask = np.zeros(raw.num_rows, dtype=bool)
            self._halve(raw, 0, mask)
        rows = np.flatnonzero(mask)
        messages = [self._message(raw.slice(int(row), 1)) for row in rows[:MESSAGES]]
        return mask, messages + [messages[-1]] * (len(rows) - len(messages)) if messages else []

    def _tested(self, raw: pa.RecordBatch) -> Bools | None:
        if not self._failure_tests:
            return None
        fails = " or ".join(f"({test}) is null" for test in self._failure_tests)
        sql = f"select {fails} as is_failing from source"
        try:
            return values(self._query(self._with_all_columns(raw, raw), sql).column(0)).copy()
        except duckdb.Error:
            return None

    def _passes(self, raw: pa.RecordBatch) -> bool:
        try:
            self.run(raw)
        except duckdb.Error:
            return False
        return True

    def _halve(self, raw: pa.RecordBatch, first: int, mask: Bools) -> None:
        if raw.num_rows == 0 or self._passes(raw):
            return
        if raw.num_rows == 1:
            mask[first] = True
            return
        half = raw.num_rows // 2
        self._halve(raw.slice(0, half), first, mask)
        self._halve(raw.slice(half), first + half, mask)

    def _message(self, row: pa.RecordBatch) -> str:
        try:
            self.run(row)
        except duckdb.Error as fault:
            return str(fault).split("\n\nLINE ")[0]
        return "fails beside other rows"


def _has_few_values(column: pa.Array) -> bool:
    return pa.types.is_dictionary(column.type) and 2 * len(column.dictionary) < len(column)


def _by_code(by_value: pa.Array, rows: np.ndarray[Any, Any]) -> pa.Array:
    """Return values computed over a dictionary, one for each row; texts stay dictionary-encoded."""
    if not pa.types.is_string(by_value.type):
        return take(by_value, rows)
    encoded = by_value.dictionary_encode()
    return pa.DictionaryArray.from_arrays(take(encoded.indices, rows), encoded.dictionary)


def _escaped(name: str) -> str:
    return name.replace('"', '""')


def _planned(select: Select, contract: Contract) -> tuple[_Plan, tuple[str, ...]]:
    """Return how to make each column, and the canonical columns in the contract's order."""
    plan = _Plan()
    items = {item.name.casefold(): item for item in select.items or ()}
    for output_name, kind in select.types.items():
        name = output_name.casefold()
        _check_name(contract, name)
        item = items.get(name)
        if (item and item.form == "null") or kind.id == "null":
            continue
        cast = cast_to(contract, name, kind, f'"{_escaped(output_name)}"')
        if item and _passes_through(contract, item, name, kind):
            (plan.taken if item.form == "column" else plan.constants)[name] = (
                item.raw if item.form == "column" else item.value
            )
            continue
        _add_computed(plan, name, item, cast)
        if name == "sequence":
            _add_computed(
                plan, BAD_SEQUENCE, item, f"({output_name} is not null and ({cast}) is null)"
            )
    mapped = {*plan.taken, *plan.constants, *plan.general}.union(*plan.by_column.values())
    missing = [name for name in contract.needed if name not in mapped]
    if missing:
        what = "" if contract.kind == "interaction" else f"{contract.kind} "
        raise MappingError(
            f"{' and '.join(missing)} not mapped;"
            f" every {what}source needs {', '.join(contract.needed)}"
        )
    return plan, tuple(name for name in contract.by_name if name in mapped)


def _failure_test_sql(select: Select, plan: _Plan, contract: Contract) -> tuple[str, ...]:
    """Return SQL for each computed column that is null for the rows where it fails.

    Empty where some column cannot be tested by itself: then only halving finds such rows.
    """
    items = select.items
    if items is None or any(i.form == "computed" and not i.expression for i in items):
        return ()
    tests = []
    for item in items:
        if item.name.casefold() in plan.casts and item.form in ("computed", "column"):
            expression = f"({item.expression})" if item.expression else f'"{_escaped(item.raw)}"'
            cast = cast_to(contract, item.name, select.types[item.name], expression)
            tests.append(f"try(({cast}) is null)")
    return tuple(tests)


def _add_computed(plan: _Plan, name: str, item: Item | None, cast: str) -> None:
    plan.casts[name] = cast
    if item is not None and len(item.reads) == 1:
        plan.by_column.setdefault(next(iter(item.reads)), []).append(name)
    else:
        plan.general.append(name)


def _check_name(contract: Contract, name: str) -> None:
    if name in contract.by_name or name == REJECT:
        return
    near = difflib.get_close_matches(name, [*contract.by_name, REJECT], 1)
    hint = f"did you mean {near[0]}?" if near else "put what the contract does not know in attrs"
    raise MappingError(f"{name} is no column of the contract; {hint}")


def _passes_through(contract: Contract, item: Item, name: str, kind: Any) -> bool:
    """Return whether a column or constant has the canonical type already."""
    if name == REJECT or (contract.by_name[name].type == TEXT and kind.id != "varchar"):
        return False
    if item.form == "constant":
        return contract.by_name[name].coded
    if item.form != "column":
        return False
    exact: dict[Any, str] = {
        TIME: "timestamp with time zone",
        TEXT: "varchar",
        pa.int32(): "integer",
    }
    return bool(exact.get(contract.by_name[name].type) == kind.id)
