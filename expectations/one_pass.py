"""Decide by DuckDB which rules staged rows break: all rows, streamed from their files.

All rules of single rows of a table are one query. A key is unique where no two of its hashes are
equal. Laws between tables hold of each customer by itself, so they are asked of one range of
customers after the other: what is grouped and joined stays small, however many rows there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from rejse.expectations.rules import ColumnRule, KeyRule, Law, RowRule, Rule
from rejse.expectations.rules import by_table as rules_by_table
from rejse.pipelines.store import parquet_files, state_reader
from rejse.sql import SESSION, quoted, statements
from rejse.transforms import published_tables
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.registry import LIVE

#: Paths of staged files, by stored table.
Files = Mapping[str, Sequence[Path]]
#: Prefixes of four hex digits, by which the ranges of customers are bounded.
PREFIXES = 16**4
#: Hashes of a key that are compared at once.
HASHES_AT_ONCE = 1 << 24


class StoredRows(Protocol):
    """Reads the rows of the last publication that stay, of the customers with staged rows."""

    def __call__(
        self, table: str, columns: list[str], low: str, high: str | None
    ) -> pa.Table | None:
        """Return rows of customers from `low` to before `high` (None: no end); None for no rows."""


def no_stored_rows(table: str, columns: list[str], low: str, high: str | None) -> None:
    """Return that no row stays: all are staged."""


def counted(
    con: duckdb.DuckDBPyConnection, files: Files, stored: StoredRows, n_ranges: int
) -> dict[Rule, int]:
    """Return all rules of tables with rows, and all laws, with the number of rows that break each.

    Args:
        con: a connection of its own; its memory limit bounds what is held.
        files: staged files.
        stored: rows that keys and laws see beside the staged ones.
        n_ranges: ranges of customers; no result depends on it.
    """
    con.execute(SESSION)
    sources = _sources(con, files)
    by_table = rules_by_table()
    if n_ranges == 1:
        stored = _read_once(stored, by_table)
    counts: dict[Rule, int] = {}
    laws: list[Law] = []
    for name, rules in by_table.items():
        laws += [rule for rule in rules if isinstance(rule, Law)]
        own = [sources[stored_] for stored_ in published_tables.TABLES[name].stored
               if stored_ in sources]  # fmt: skip
        if own:
            source = f"({' union all by name '.join(f'select * from {part}' for part in own)})"
            counts |= _of_rows(con, source, [rule for rule in rules if isinstance(rule, RowRule)])
            for rule in rules:
                if isinstance(rule, KeyRule):
                    counts[rule] = _repeated(con, source, _n_rows(files, name), rule, stored)
    whole = [law for law in laws if law.is_whole]
    _define_tables(con, sources, no_stored_rows, _asked(whole))
    counts |= {law: _count(con, law.query) for law in whole}
    for low, high in ranges(n_ranges):
        near = _sources(con, _within(files, low, high))
        _define_tables(con, near, stored, _asked(laws), low, high)
        for script in statements("aggregates"):
            con.execute(f"create or replace temp table {script.name} as {script.text}")
        for law in laws:
            if not law.is_whole:
                counts[law] = counts.get(law, 0) + _count(con, law.query)
    return counts


def _read_once(stored: StoredRows, by_table: Mapping[str, Sequence[Rule]]) -> StoredRows:
    """Return what reads a table's rows but once, with all columns that keys and laws name."""

    @cache
    def read(table: str, low: str, high: str | None) -> pa.Table | None:
        rules = by_table[published_tables.table_of(table).name]
        keys = chain(*(rule.columns for rule in rules if isinstance(rule, KeyRule)))
        columns = dict.fromkeys((CUSTOMER_KEY, *keys, *_columns_of_laws(table)))
        return stored(table, list(columns), low, high)

    def rows(table: str, columns: list[str], low: str, high: str | None) -> pa.Table | None:
        whole = read(table, low, high)
        return None if whole is None else whole.select(columns)

    return rows


def examples(con: duckdb.DuckDBPyConnection, files: Files, rule: Rule) -> tuple[str, ...]:
    """Return what breaks a law about all rows of a table: its shares. Others are not explained."""
    if not isinstance(rule, Law) or not rule.is_whole:
        return ()
    _define_tables(con, _sources(con, files), no_stored_rows, _asked([rule]))
    rows = con.execute(rule.query)
    names = [column[0] for column in rows.description]
    return tuple(
        " ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
        for row in rows.fetchall()
    )


def ranges(n: int) -> Iterator[tuple[str, str | None]]:
    """Yield n ranges of customer keys that cover all: the first key, and the first after it."""
    bounds = ["", *(f"{number * PREFIXES // n:04x}" for number in range(1, n))]
    yield from zip(bounds, [*bounds[1:], None], strict=True)


def _sources(con: duckdb.DuckDBPyConnection, files: Files) -> dict[str, str]:
    """Return a query of all rows of each stored table that has any."""
    return {name: _source(con, name, paths) for name, paths in files.items() if paths}


def _within(files: Files, low: str, high: str | None) -> Files:
    """Return the files that may have rows of customers from `low` to before `high`.

    Else each query of each range would open all files. The first range has all of them, for any may
    have rows without customer, which no statistics tell.
    """
    if not low:
        return files

    def is_near(path: Path) -> bool:
        return any(
            low <= most and (high is None or least < high)
            for _, least, most in state_reader.spans(path)
        )

    return {name: list(filter(is_near, paths)) for name, paths in files.items()}


def _source(con: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path]) -> str:
    """Return a query of all rows of files; declared columns that they lack are null."""
    present = {column for path in paths for column in parquet_files.schema(path).names}
    absent = [field for field in published_tables.schema(name) if field.name not in present]
    columns = ""
    if absent:
        typed = con.from_arrow(pa.schema(absent).empty_table())
        kinds = zip(typed.columns, typed.types, strict=True)
        columns = "".join(f', null::{kind} as "{column}"' for column, kind in kinds)
    listed = ", ".join(quoted(str(path)) for path in paths)
    return f"(select *{columns} from read_parquet([{listed}], union_by_name = true))"


def _of_rows(
    con: duckdb.DuckDBPyConnection, source: str, asked: Sequence[RowRule]
) -> dict[Rule, int]:
    """Count the rows of one table that break each rule of single rows.

    One query tells which rules are broken; where there are any, another one counts.
    """
    if not asked:
        return {}
    is_broken = _row(con, f"select {', '.join(map(_is_broken, asked))} from {source}")
    suspect = [rule for rule, broken in zip(asked, is_broken, strict=True) if broken]
    counts: dict[Rule, int] = dict.fromkeys(asked, 0)
    if suspect:
        counting = ", ".join(f"count(*) filter (where {rule.broken})" for rule in suspect)
        counts |= zip(suspect, _row(con, f"select {counting} from {source}"), strict=True)
    return counts


def _is_broken(rule: RowRule) -> str:
    """Return an aggregate that is true where any row breaks the rule.

    Least, greatest and distinct values cost a fraction of a condition on every row.
    """
    if not isinstance(rule, ColumnRule):
        return f"bool_or({rule.broken})"
    column, name = rule.column, f'"{rule.column.name}"'
    if rule.promise == "required":
        return f"count({name}) < count(*)"
    if rule.promise == "values":
        values = ", ".join(map(quoted, column.values))
        return f"not list_has_all([{values}], list(distinct {name}))"
    ends = [f"min({name}) < {column.low}"] * (column.low is not None)
    ends += [f"max({name}) > {column.high}"] * (column.high is not None)
    return " or ".join(ends)


def _n_rows(files: Files, name: str) -> int:
    """Return the staged rows of a table."""
    stored = published_tables.TABLES[name].stored
    paths = chain.from_iterable(files.get(stored_, ()) for stored_ in stored)
    return sum(parquet_files.metadata(path).num_rows for path in paths)


def _repeated(
    con: duckdb.DuckDBPyConnection, source: str, n_rows: int, rule: KeyRule, stored: StoredRows
) -> int:
    """Count the rows whose key another row has too, of `n_rows` in the source and stored ones."""
    key = ", ".join(f'"{column}"' for column in rule.columns)
    rows = f"(select {key} from {source})"
    names = published_tables.table_of(rule.table).stored
    if CUSTOMER_KEY in published_tables.schema(rule.table).names:
        columns = list(dict.fromkeys((CUSTOMER_KEY, *rule.columns)))
        for name in names:
            if (beside := stored(name, columns, "", None)) is not None:
                n_rows += beside.num_rows
                con.register(f"keys_{name}", beside)
                rows = f"({rows} union all select {key} from keys_{name})"
    n_parts = 1 + n_rows // HASHES_AT_ONCE
    if not any(_has_repeated(con, rows, key, part, n_parts) for part in range(n_parts)):
        return 0
    # Two keys may have one hash.
    return _count(con, f"select * from {rows} qualify count(*) over (partition by {key}) > 1")


def _has_repeated(
    con: duckdb.DuckDBPyConnection, rows: str, key: str, part: int, n_parts: int
) -> bool:
    """Return whether two hashes of a key are equal, among those in one part of all hashes."""
    of_part = f" where hash({key}) % {n_parts} = {part}" if n_parts > 1 else ""
    hashes = con.execute(f"select hash({key}) as hash from {rows}{of_part}").fetchnumpy()["hash"]
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())


def _define_tables(
    con: duckdb.DuckDBPyConnection, sources: Mapping[str, str], stored: StoredRows,
    names: Sequence[str],
    low: str = "", high: str | None = None,
) -> None:  # fmt: skip
    """Make what laws read: rows of customers from `low` to before `high`, staged and stored.

    Views have the columns that some law names.
    """
    bounds = [f"customer_key >= {quoted(low)}"] if low else []
    bounds += [f"customer_key < {quoted(high)}"] if high is not None else []
    condition = " and ".join(bounds) or "true"
    if not low and high is not None:
        condition += " or customer_key is null"  # a row without customer breaks laws too
    for name in names:
        kinds = published_tables.schema(name)
        columns = _columns_of_laws(name)
        listed = ", ".join(columns)
        shape = pa.schema([kinds.field(column).remove_metadata() for column in columns])
        rows = stored(name, columns, low, high)
        con.register(f"stored_{name}", shape.empty_table() if rows is None else rows)
        query = f"select {listed} from stored_{name}"
        if name in sources:
            query += f" union all select {listed} from {sources[name]} where {condition}"
        con.execute(f"create or replace temp view {name} as {query}")
        if name.endswith(LIVE):
            final = name.removesuffix(LIVE)
            both = f"select * from {final} union all select * from {name}"
            con.execute(f"create or replace temp view v_{final} as {both}")


def _asked(laws: Sequence[Law]) -> list[str]:
    """Return the stored tables that laws read; a table of final rows comes before its live one."""
    named = {source.removeprefix("v_") for law in laws for source in law.sources}
    for script in statements("aggregates"):
        if script.name in named:
            named |= {source.removeprefix("v_") for source in script.sources}
    tables = published_tables.TABLES.values()
    return [name for table in tables if table.name in named for name in table.stored]


def _columns_of_laws(table: str) -> list[str]:
    """Return the columns of a stored table that some law names."""
    columns: list[str] = published_tables.schema(table).names
    return [column for column in columns if column in _words_of_laws()]


@cache
def _words_of_laws() -> frozenset[str]:
    """Return all words in laws: what is no word there is no column that a law reads."""
    scripts = [*statements("aggregates"), *statements("checks")]
    return frozenset(word for script in scripts for word in re.findall(r"\w+", script.text))


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    (n,) = _row(con, f"select count(*) from ({query.strip().rstrip(';')})")
    return n


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    rows: list[tuple[int, ...]] = con.execute(query).fetchall()
    return rows[0]
