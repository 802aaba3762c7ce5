"""The mapping of a source: one SELECT from its own columns to the contract's.

Columns that the SELECT passes on as they are, and constants, never enter DuckDB; an expression
over one dictionary-encoded column is computed once a distinct value. The answer is the same.
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

#: Marks rows whose sequence is no integer.
BAD_SEQUENCE = "_bad_sequence"
ROW_ID = "_row_id"
#: Messages of DuckDB are asked row by row; beyond so many of a batch the first ones speak for all.
MESSAGES = 100
#: Longest time that the rows of one batch may take.
SECONDS = 120.0


@dataclass
class _Plan:
    """How each output column is made: taken over, repeated, or computed."""

    taken: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    by_column: dict[str, list[str]] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    casts: dict[str, str] = field(default_factory=dict)


class SourceMapping:
    """A checked mapping of one source, to run over any number of its raw batches.

    `columns` are the canonical columns it gives (a literal null is none), `reads` the schema of
    the raw columns it needs: all of them where no `id` is mapped, for the row's hash is the id.
    Raises MappingError where the SELECT is not row-wise, gives an unknown column or a type that
    does not fit, or leaves out what the contract needs of every mapping (of interactions `time`,
    `identity`, `activity`, `channel`).
    """

    def __init__(
        self, sql: str, raw_schema: pa.Schema, source: str, contract: Contract = INTERACTIONS
    ) -> None:
        self.sql, self.raw_schema, self.source = sql, raw_schema, source
        self.contract = contract
        self._connection: duckdb.DuckDBPyConnection | None = None
        try:
            chosen = select_check.parse(self.connection, sql, raw_schema)
            self._plan, self.columns = _planned(chosen, contract)
        except MappingError as fault:
            raise MappingError(f"mapping of source {source}: {fault}") from None
        self._tries = _tries(chosen, self._plan, contract)
        #: Columns that are null where a raw value cannot be read, with the raw columns tried.
        self.tried = {
            item.name.casefold(): tried
            for item in chosen.items or ()
            if item.name.casefold() in self.columns and (tried := select_check.tried(item))
        }
        names = set(chosen.reads) if "id" in self.columns else set(raw_schema.names)
        self.reads = pa.schema([one for one in raw_schema if one.name in names])

    def __getstate__(self) -> dict[str, Any]:
        # What was found out goes to the workers, which open a connection where they need one.
        return {**self.__dict__, "_connection": None}

    def close(self) -> SourceMapping:
        """Close the connection, some 30 MB, until it is asked for again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        return self

    def may_give(self, column: str, value: str) -> bool:
        """Whether some row may have that text in a canonical column."""
        return column in self.columns and self._plan.constants.get(column, value) == value

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The sealed connection of this worker, opened when first asked for."""
        if self._connection is None:
            self._connection = select_check.sandboxed_connection()
        return self._connection

    def run(self, raw: pa.RecordBatch) -> dict[str, pa.Array]:
        """Output columns of a raw batch that has at least the columns `reads`.

        Raises duckdb.Error where an expression fails for some row, MappingError where it takes
        longer than SECONDS.
        """
        plan, found = self._plan, {}
        for name, column in plan.taken.items():
            found[name] = raw.column(column)
        for name, text in plan.constants.items():
            found[name] = constant(text, raw.num_rows)
        wanted = list(plan.general)
        for column, names in plan.by_column.items():
            if _folds(raw.column(column)):
                found |= self._by_value(raw, column, names)
            else:
                wanted += names
        if wanted:
            found |= self._compute(self._padded(raw, raw), wanted)
        if "id" not in self.columns:
            found["id"] = self._row_ids(raw)
        return found

    def _compute(self, source: pa.RecordBatch, names: list[str]) -> dict[str, pa.Array]:
        casts = ", ".join(f'{self._plan.casts[name]} as "{name}"' for name in names)
        table = self._answer(source, f"select {casts} from ({self._inner()}\n) as mapped")
        return {name: flat(table.column(name)) for name in names}

    def _inner(self) -> str:
        return self.sql.strip().rstrip(";")

    def _answer(self, source: pa.RecordBatch, sql: str) -> pa.Table:
        self.connection.register("source", source)
        watch = Timer(SECONDS, self.connection.interrupt)
        watch.daemon = True
        watch.start()
        try:
            return self.connection.sql(sql).to_arrow_table()
        except duckdb.InterruptException:
            raise MappingError(
                f"mapping of source {self.source}: {source.num_rows} rows took longer than"
                f" {SECONDS} s; make its expressions simpler"
            ) from None
        finally:
            watch.cancel()

    def _padded(self, raw: pa.RecordBatch, known: pa.RecordBatch) -> pa.RecordBatch:
        """Batch with all raw columns that the SELECT may name; those not in `known` are null."""
        if set(known.schema.names).issuperset(self.raw_schema.names):
            return known
        arrays = [
            known.column(one.name)
            if one.name in known.schema.names
            else pa.nulls(known.num_rows, one.type)
            for one in self.raw_schema
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self.raw_schema.names)

    def _by_value(self, raw: pa.RecordBatch, column: str, names: list[str]) -> dict[str, pa.Array]:
        """Columns that depend on one dictionary-encoded column, computed over its dictionary."""
        encoded = raw.column(column)
        texts = pa.concat_arrays([encoded.dictionary, pa.nulls(1, encoded.type.value_type)])
        rows = np.where(valid(encoded), values(encoded.indices), len(texts) - 1)
        only = pa.RecordBatch.from_arrays([texts], names=[column])
        try:
            found = self._compute(self._padded(raw, only), names)
        except duckdb.Error:  # a value that no row has may be the guilty one
            return self._compute(self._padded(raw, raw), names)
        return {name: _spread(one, rows) for name, one in found.items()}

    def _row_ids(self, raw: pa.RecordBatch) -> pa.Array:
        """Hash of each row's canonical JSON: raw columns by name, 16 hex digits."""
        parts = ", ".join(
            f'"{_quoted(name)}" := "{_quoted(name)}"' for name in sorted(self.reads.names)
        )
        sql = f"substr(sha256(cast(to_json(struct_pack({parts})) as varchar)), 1, 16)"
        return flat(self._answer(raw, f'select {sql} as "{ROW_ID}" from source').column(0))

    def guilty(self, raw: pa.RecordBatch) -> tuple[Bools, list[str]]:
        """Rows of a batch for which an expression fails, and DuckDB's message for each.

        One query names them where each column stands alone; else the batch is halved until the
        guilty rows stand alone.
        """
        mask = self._tried(raw)
        if mask is None or not mask.any() or not self._passes(raw.filter(arrow(~mask))):
            mask = np.zeros(raw.num_rows, dtype=bool)
            self._halve(raw, 0, mask)
        rows = np.flatnonzero(mask)
        said = [self._message(raw.slice(int(row), 1)) for row in rows[:MESSAGES]]
        return mask, said + [said[-1]] * (len(rows) - len(said)) if said else []

    def _tried(self, raw: pa.RecordBatch) -> Bools | None:
        if not self._tries:
            return None
        fails = " or ".join(f"({one}) is null" for one in self._tries)
        sql = f"select {fails} as guilty from source"
        try:
            return values(self._answer(self._padded(raw, raw), sql).column(0)).copy()
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


def _folds(column: pa.Array) -> bool:
    return pa.types.is_dictionary(column.type) and 2 * len(column.dictionary) < len(column)


def _spread(found: pa.Array, rows: np.ndarray[Any, Any]) -> pa.Array:
    """Values computed over a dictionary, one for each row; texts stay dictionary-encoded."""
    if not pa.types.is_string(found.type):
        return take(found, rows)
    encoded = found.dictionary_encode()
    return pa.DictionaryArray.from_arrays(take(encoded.indices, rows), encoded.dictionary)


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _planned(chosen: Select, contract: Contract) -> tuple[_Plan, tuple[str, ...]]:
    """How to make each column, and the canonical columns in the contract's order."""
    plan = _Plan()
    items = {item.name.casefold(): item for item in chosen.items or ()}
    for given, kind in chosen.types.items():
        name = given.casefold()
        _check_name(contract, name)
        item = items.get(name)
        if (item and item.form == "null") or kind.id == "null":
            continue
        cast = cast_to(contract, name, kind, f'"{_quoted(given)}"')
        if item and _as_it_is(contract, item, name, kind):
            (plan.taken if item.form == "column" else plan.constants)[name] = (
                item.raw if item.form == "column" else item.value
            )
            continue
        _place(plan, name, item, cast)
        if name == "sequence":
            _place(plan, BAD_SEQUENCE, item, f"({given} is not null and ({cast}) is null)")
    made = {*plan.taken, *plan.constants, *plan.general}.union(*plan.by_column.values())
    missing = [name for name in contract.needed if name not in made]
    if missing:
        what = "" if contract.kind == "interaction" else f"{contract.kind} "
        raise MappingError(
            f"{' and '.join(missing)} not mapped;"
            f" every {what}source needs {', '.join(contract.needed)}"
        )
    return plan, tuple(name for name in contract.by_name if name in made)


def _tries(chosen: Select, plan: _Plan, contract: Contract) -> tuple[str, ...]:
    """SQL for each computed column that is null for the rows where it fails.

    None at all where some column does not stand alone: then only halving finds such rows.
    """
    items = chosen.items
    if items is None or any(i.form == "computed" and not i.expression for i in items):
        return ()
    tries = []
    for item in items:
        if item.name.casefold() in plan.casts and item.form in ("computed", "column"):
            own = f"({item.expression})" if item.expression else f'"{_quoted(item.raw)}"'
            cast = cast_to(contract, item.name, chosen.types[item.name], own)
            tries.append(f"try(({cast}) is null)")
    return tuple(tries)


def _place(plan: _Plan, name: str, item: Item | None, cast: str) -> None:
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


def _as_it_is(contract: Contract, item: Item, name: str, kind: Any) -> bool:
    """Whether a column or constant has the canonical type already."""
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
