"""Serving: an immutable DuckDB catalogue per publication, and sealed sessions on it.

A catalogue holds no rows, only commented views over the explicit files of its publication. The
files are found below the session variable `rejse_store` (else where the store lay when it was
published), so a store can be moved. `current` names the newest catalogue.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines import promise_checks, stage, store
from rejse.pipelines.erasures import ERASURES
from rejse.sql import Script, statements
from rejse.transforms import inputs, meeting
from rejse.transforms.experience import tables as x_tables
from rejse.transforms.tables import REJECTS

CURRENT = "current"
BI_COPY = "rejse.duckdb"
VARIABLE = "rejse_store"
#: DuckDB 2.0 waits for ever on a CTE that is read twice below a limit; without this it does not.
HANGS = "cte_inlining"
#: Oldest DuckDB that must be able to read a catalogue.
STORAGE = "v1.0.0"
_EXPLAIN = re.compile(r"^\s*explain\s*(\([^)]*\)|analyze\b)?", re.IGNORECASE)


class NotPublishedError(LookupError):
    """The store has no such publication."""


class ReadOnlyError(PermissionError):
    """A statement would do more than read."""


def published_tables() -> list[str]:
    """All tables of a publication, `_live` twins included, in the order they are committed."""
    plain = x_tables.every()
    derived = [name for one in plain for name in (one, one + stage.LIVE)]
    given = [meeting.EVENTS, meeting.ANSWERS, *inputs.joined()]
    apart = [REJECTS.name, meeting.LATE, *stage.KEEPING]
    return [*given, *derived, *apart, ERASURES.name, store.RUNS.name]


def columns(table: str) -> pa.Schema:
    """Declared schema of any table of a publication; raises KeyError for an unknown name."""
    own = {one.name: one for one in (store.RUNS, store.PUBLICATIONS, ERASURES)}
    if table in own:
        return own[table].schema
    declared = stage.declared(table)
    if declared is None:
        raise KeyError(f"{table}: expected one of {', '.join(published_tables())}")
    return declared


def path(root: Path, publication: int) -> Path:
    """Where the catalogue of a publication lies."""
    return root / f"catalog-{publication}.duckdb"


def draft(
    root: Path,
    publication: int,
    files: Mapping[str, Sequence[str]],
    checks: Mapping[str, str] | None = None,
) -> Path:
    """Write the catalogue of a publication over `files` (table -> paths relative to `root`).

    It has a name of its own until `settle`: a writer that loses the race for this number must
    not touch the catalogue of the one that wins. `checks` (name -> SQL) judge claims; raises
    SettingsError where one is not lawful.
    """
    checks = checks or {}
    try_out(checks)  # sealed: below, they are bound where files can be reached
    making = root / f"catalog-{publication}-{uuid.uuid4().hex}.making"
    with duckdb.connect(str(making), config={"storage_compatibility_version": STORAGE}) as con:
        con.execute("set timezone = 'UTC'")
        con.begin()  # one transaction: each of its many small statements would sync the disk
        _define(con, root, files, checks)
        con.commit()
    if checks:
        with _sealed(making, root.resolve()) as con:
            promise_checks.refuse_rows(con)
    return making


def try_out(checks: Mapping[str, str]) -> None:
    """Bind checks over tables without rows or files, where nothing else can be reached.

    Raises SettingsError. In a sealed session they could still name a file of the store.
    """
    if not checks:
        return
    with duckdb.connect(config={"python_enable_replacements": "false"}) as con:
        _define(con, Path(), {}, {})
        _seal(con)
        promise_checks.define(con, checks)


def _define(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    files: Mapping[str, Sequence[str]],
    checks: Mapping[str, str],
) -> None:
    """All views: tables, no checks, served views, and then the checks, which read any of them."""
    define_tables(con, root, files)
    promise_checks.define(con, {})
    for script in served():
        con.execute(script.text)
    if checks:
        promise_checks.define(con, checks)


def settle(root: Path, publication: int, drafted: Path) -> None:
    """Make a draft the catalogue of its publication, now committed, and the current one."""
    drafted.replace(path(root, publication))
    making = root / f"{CURRENT}.making"
    making.write_text(f"{path(root, publication).name}\n", encoding="utf-8")
    making.replace(root / CURRENT)
    if not (root / f"{BI_COPY}.wal").exists():  # never swap under a writer's log
        copy = root / f"{BI_COPY}.making"
        shutil.copyfile(path(root, publication), copy)
        copy.replace(root / BI_COPY)


def served() -> list[Script]:
    """Macros and views in the order in which they are made."""
    return statements("macros", "views")


def define_tables(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    files: Mapping[str, Sequence[str]],
) -> None:
    """Create the commented view of every table, and `v_<table>` = final and live rows.

    A table without files is a view with its columns and no rows.
    """
    names = [*published_tables(), store.PUBLICATIONS.name]
    for name in names:
        con.execute(_table_view(con, root, name, files.get(name, ())))
        _comment(con, name, columns(name))
    for name in names:
        if name + stage.LIVE in names and name not in x_tables.PRIVATE:
            con.execute(
                f"create view v_{name} as select * from {name}"
                f" union all by name select * from {name}{stage.LIVE}"
            )
            _comment(con, f"v_{name}", columns(name), " (final and not yet final)")


def current(root: Path) -> int | None:
    """Number of the current publication, or None."""
    pointer = root / CURRENT
    if not pointer.exists():
        return None
    return int(pointer.read_text(encoding="utf-8").strip().split("-")[1].split(".")[0])


class Session:
    """A read-only connection on one publication that runs reading statements only.

    DuckDB's own seal keeps reads inside the tables' folders but lets COPY write there; so
    anything but a query is refused before it runs. Results are DuckDB's.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def execute(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Run one or more reading statements; raises ReadOnlyError for any other."""
        self._allow(query)
        return self._con.execute(query, parameters)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The query as a DuckDB relation; raises ReadOnlyError for anything but a query."""
        self._allow(query)
        return self._con.sql(query)

    def _allow(self, query: str) -> None:
        for statement in self._con.extract_statements(query):
            kind = statement.type.name
            if kind == "EXPLAIN":  # `explain analyze` runs what it explains
                self._allow(_EXPLAIN.sub("", statement.query, count=1))
            elif kind != "SELECT":
                raise ReadOnlyError(
                    f"expected a query (select, explain, describe), got {kind.lower()}; "
                    "a published store is only read"
                )

    def close(self) -> None:
        """Close the connection."""
        self._con.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(root: Path, publication: int | None = None) -> Any:
    """A sealed session on a publication (the current one by default).

    No other file, network, extension or setting can be reached from it. Raises
    NotPublishedError where there is no such publication.
    """
    number = _existing(root, publication)
    place = root.resolve()
    return Session(_sealed(path(place, number), place))


def _sealed(file: Path, place: Path) -> duckdb.DuckDBPyConnection:
    """A catalogue opened to be read, sealed but for the folders of its tables below `place`."""
    con = duckdb.connect(str(file), read_only=True, config={"python_enable_replacements": "false"})
    con.execute(f"set variable {VARIABLE} = {_quoted(str(place))}")
    seal(con, [place])
    return con


def seal(con: duckdb.DuckDBPyConnection, places: Sequence[Path]) -> None:
    """From here on the connection reaches the folders of tables below `places`, nothing else."""
    names = [*published_tables(), store.PUBLICATIONS.name]
    folders = [f"{place / name}/" for place in places for name in names]
    con.execute(f"set allowed_directories = [{', '.join(map(_quoted, folders))}]")
    _seal(con)


def _seal(con: duckdb.DuckDBPyConnection) -> None:
    """From here on no other file, network, extension or setting."""
    con.execute("set timezone = 'UTC'")
    con.execute(f"set disabled_optimizers = '{HANGS}'")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")


def _existing(root: Path, publication: int | None) -> int:
    newest = current(root)
    if newest is None:
        raise NotPublishedError(
            f"expected a publication in {root}, found none; `rejse run` makes the first one"
        )
    number = newest if publication is None else publication
    if not 1 <= number <= newest or not path(root, number).exists():
        raise NotPublishedError(
            f"expected a publication from 1 to {newest} in {root}, got {number}, or its "
            "catalogue is gone; leave the number out for the newest"
        )
    return number


def _table_view(con: duckdb.DuckDBPyConnection, root: Path, name: str, files: Sequence[str]) -> str:
    """`create view` of one table: declared columns first, absent ones as typed nulls."""
    typed = con.from_arrow(columns(name).empty_table())
    wanted = dict(zip(typed.columns, map(str, typed.types), strict=True))
    if not files:
        nulls = ", ".join(f'cast(null as {kind}) as "{c}"' for c, kind in wanted.items())
        return f"create view {name} as select {nulls} where false"
    found, uniform = _found_columns(root, files)
    chosen = [
        f'"{c}"' if c in found else f'cast(null as {kind}) as "{c}"'
        for c, kind in wanted.items()
    ]  # fmt: skip
    chosen += [f'"{c}"' for c in found if c not in wanted]
    base = f"coalesce(getvariable('{VARIABLE}'), {_quoted(str(root.resolve()))})"
    listed = ", ".join(f"{base} || {_quoted('/' + file)}" for file in files)
    by_name = "" if uniform else ", union_by_name = true"
    return (
        f"create view {name} as select {', '.join(chosen)} from read_parquet([{listed}]{by_name})"
    )


def _found_columns(root: Path, files: Sequence[str]) -> tuple[list[str], bool]:
    """Columns of the files in order of appearance, and whether all files have the same."""
    shapes = {tuple(pq.read_schema(root / file).names) for file in files}
    every = dict.fromkeys(column for shape in sorted(shapes) for column in shape)
    return list(every), len(shapes) == 1


def _comment(con: duckdb.DuckDBPyConnection, view: str, shape: pa.Schema, more: str = "") -> None:
    grain = (shape.metadata or {}).get(b"grain", b"").decode()
    con.execute(f"comment on view {view} is {_quoted(f'One row per {grain}{more}.')}")
    for field in shape:
        about = field.metadata or {}
        text, unit = (about.get(key, b"").decode() for key in (b"description", b"unit"))
        words = f"{text} [{unit}]" if unit not in ("", "1") else text
        con.execute(f'comment on column {view}."{field.name}" is {_quoted(words)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
