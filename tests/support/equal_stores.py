"""Compare two stores column by column: `python -m tests.support.equal_stores STORE_A STORE_B`.

Every published table of both current publications is compared as a multiset of rows, without the
columns that say when and by which program it was made. `--renamed OLD=NEW` (repeatable) names a
table or a column of STORE_A as STORE_B does; `TABLE.OLD=NEW` renames in one table only, which is
named as in STORE_B. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rejse.pipelines.publication import publish
from rejse.pipelines.store import delta_store
from rejse.sql import SESSION
from rejse.transforms import published_tables

#: Columns of any table that tell when, and by which run and program, a row was made.
STAMPS = frozenset({"known_at", "config_version", "run_id"})
#: More of them, by table: clocks, hashes of code and configuration, Delta's versions, file times.
TABLE_STAMPS: Mapping[str, frozenset[str]] = {
    "runs": frozenset({"started_at", "finished_at"}),
    "erasures": frozenset({"erased_at"}),
    "publications": frozenset(
        {
            "published_at",
            "fingerprint",
            "core_version",
            "core_versions",
            "sources",
            "positions",
            "versions",
            "rows",
        }
    ),
}
EXAMPLES = 3
#: Most rows that are sorted and compared in memory, which takes a tenth of the time; they differ
#: seldom.
AT_ONCE = 100_000


@dataclass(frozen=True)
class Comparison:
    """Rows of one table in both stores, and a line for each difference; none: equal."""

    table: str
    rows: tuple[int, int]
    differences: tuple[str, ...]

    def __str__(self) -> str:
        first, second = self.rows
        counts = f"{first:,} rows" if first == second else f"{first:,} and {second:,} rows"
        verdict = "different" if self.differences else "equal"
        return "\n".join(
            [f"{self.table}: {counts}, {verdict}", *map("    {}".format, self.differences)]
        )


def compare(
    first: Path, second: Path, renamed: Mapping[str, str] | None = None
) -> Iterator[Comparison]:
    """Compare every table of the current publications of two stores, in order of their names.

    Args:
        first: folder of a store.
        second: folder of the store that it is compared with.
        renamed: names of tables and columns of `first` -> their names in `second`.
    """
    renamed = renamed or {}
    files = (
        {renamed.get(name, name): paths for name, paths in _files(first).items()},
        _files(second),
    )
    with duckdb.connect() as con:
        con.execute(SESSION)
        for table in sorted({*files[0], *files[1]}):
            for side, paths in zip(("a", "b"), files, strict=True):
                _define(con, side, paths.get(table, []), table, renamed if side == "a" else {})
            yield _compared(con, table)


def _files(store: Path) -> dict[str, list[str]]:
    """Paths of the files of every table of the current publication."""
    publication = delta_store.latest(store)
    if publication is None:
        raise SystemExit(f"expected a publication in {store}, found none")
    files = publish.files_of(store, publication)
    return {table: [str(store / path) for path in paths] for table, paths in files.items()}


def _define(
    con: duckdb.DuckDBPyConnection,
    side: str,
    paths: Sequence[str],
    table: str,
    renamed: Mapping[str, str],
) -> None:
    """Create the view `side` of the rows to compare; a table without rows has no column."""
    if not paths:
        con.execute(f"create or replace view {side} as select 1 as no_column where false")
        return
    rows = con.read_parquet(list(paths), union_by_name=True)
    chosen = []
    for column, kind in zip(rows.columns, rows.types, strict=True):
        name = renamed.get(f"{table}.{column}", renamed.get(column, column))
        if name in STAMPS | TABLE_STAMPS.get(table, frozenset()):
            continue
        value = f'"{column}"'
        if str(kind).startswith("MAP"):  # the order of entries is no result
            value = f"list_sort(map_entries({value}))"
        chosen.append(f'{value} as "{name}"')
    rows.project(", ".join(chosen)).create_view(side, replace=True)


def _compared(con: duckdb.DuckDBPyConnection, table: str) -> Comparison:
    counts = tuple(con.execute(f"select count(*) from {side}").fetchall()[0][0] for side in "ab")
    if 0 in counts:
        missing = () if counts == (0, 0) else ("no rows in one of the stores",)
        return Comparison(table, counts, missing)
    if max(counts) <= AT_ONCE and _is_same(con):
        return Comparison(table, counts, ())
    types = [
        dict(con.execute(f"select column_name, column_type from (describe {side})").fetchall())
        for side in "ab"
    ]
    lines = [
        f"{column}: {types[0].get(column, 'absent')} and {types[1].get(column, 'absent')}"
        for column in {**types[0], **types[1]}
        if types[0].get(column) != types[1].get(column)
    ]
    shared = [f'"{column}"' for column in types[0] if column in types[1]]
    for side, other in ("ab", "ba"):
        con.execute(
            f"create or replace temp table only_{side} as select {', '.join(shared)} from {side}"
            f" except all select {', '.join(shared)} from {other}"
        )
    return Comparison(table, counts, (*lines, *_differing(con, table, shared)))


def _is_same(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether sorted rows and their columns are equal; false where both have what is no number."""
    first, second = (con.sql(f"from {side} order by all").to_arrow_table() for side in "ab")
    return bool(first.equals(second))


def _differing(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> Iterator[str]:
    """A line for each column that differs within a key, and for rows without a partner."""
    declared = published_tables.find(table)
    key = [f'"{column}"' for column in (declared.key if declared else ())]
    key = key if set(key) <= set(columns) else []
    on = " and ".join(f"a.{column} is not distinct from b.{column}" for column in key) or "false"
    shown = ", ".join(f"a.{column}" for column in key) or "''"
    unequal = ", ".join(f"bool_or(a.{column} is distinct from b.{column})" for column in columns)
    (are,) = con.execute(f"select {unequal} from only_a a join only_b b on {on}").fetchall()
    for column in (column for column, is_unequal in zip(columns, are, strict=True) if is_unequal):
        query = (
            f"select concat_ws(' ', {shown}) || ': ' || coalesce(a.{column}::varchar, 'null')"
            f" || ' and ' || coalesce(b.{column}::varchar, 'null'), count(*) over ()"
            f" from only_a a join only_b b on {on}"
            f" where a.{column} is distinct from b.{column} order by 1 limit {EXAMPLES}"
        )
        yield from _line(f"{column[1:-1]}: ", con.execute(query).fetchall())
    shown = ", ".join(f"a.{column}::varchar" for column in key or columns)
    for side, other, name in (("a", "b", "first"), ("b", "a", "second")):
        query = (
            f"select concat_ws(' ', {shown}), count(*) over () from only_{side} a"
            f" anti join only_{other} b on {on} order by 1 limit {EXAMPLES}"
        )
        yield from _line(f"only in the {name} store: ", con.execute(query).fetchall())


def _line(start: str, rows: Sequence[tuple[str, int]]) -> Iterator[str]:
    if rows:
        yield f"{start}{rows[0][1]:,} rows, as {'; '.join(example for example, _ in rows)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison of every table; return 1 where one differs, else 0."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("first", type=Path, metavar="STORE_A")
    parser.add_argument("second", type=Path, metavar="STORE_B")
    parser.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW")
    given = parser.parse_args(arguments)
    renamed = dict(pair.split("=", 1) for pair in given.renamed)
    is_different = False
    for comparison in compare(given.first, given.second, renamed):
        sys.stdout.write(f"{comparison}\n")
        is_different |= bool(comparison.differences)
    return int(is_different)


if __name__ == "__main__":
    sys.exit(main())
