"""Build a catalogue: the view of every table, comments, and all served views.

Views are bound once: a later catalogue is a copy of the current one, in which only the views of
tables with other files are replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines.publication import catalogue, friction_kinds, promise_checks
from rejse.pipelines.publication.catalogue import VARIABLE
from rejse.pipelines.runtime import user_cache
from rejse.pipelines.store import checksums, parquet_files
from rejse.sql import Script, quoted, scripts, statements
from rejse.transforms import published_tables

#: Oldest DuckDB that must be able to read a catalogue.
STORAGE = "v1.0.0"
#: Macro of a catalogue that returns the hash of its definitions.
DEFINITIONS = "catalogue_definitions"
CHECKS = promise_checks.__file__
#: Ends of an interval, by the last letters of their column.
ENDS = {"_lo": "Lower", "_hi": "Upper"}
_VIEWS = "select view_name from duckdb_views() where not internal"
_TEXTS = "select view_name, sql from duckdb_views() where not internal"
#: Macros that views may call.
_MACROS = (
    "select function_name, parameters, macro_definition from duckdb_functions()"
    f" where not internal and function_name <> '{DEFINITIONS}' order by all"
)
#: End of the name of a view for which a table stands in.
_ASIDE = "__view"


def build(
    root: Path,
    publication: int,
    files: Mapping[str, Sequence[str]],
    checks: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Path:
    """Write the catalogue of a publication over `files` (table -> paths relative to `root`).

    It has a name of its own until `catalogue.activate`: a writer that loses the race for this
    number must not touch the catalogue of the winner. It is written to `folder`, by default the
    store. `checks` (name -> SQL) judge claims; raises SettingsError where one is not lawful.
    """
    checks = checks or {}
    validate_checks(checks)  # here files cannot be reached; below they can
    file = (folder or root) / f"catalog-{publication}-{uuid.uuid4().hex}.making"
    undeclared = _undeclared(root, files)
    definitions = hash_definitions(undeclared, checks)
    if _copy_current(file, root, definitions):
        with _written(file) as con:
            _refresh_tables(con, root, files)
    elif undeclared:  # views bound without these columns would not see them
        file.unlink(missing_ok=True)
        build_anew(file, root, files, checks, definitions)
    else:
        file.write_bytes(blank(hash_definitions()))
        with _written(file) as con:
            _refresh_tables(con, root, files)
            _finish(con, checks, definitions)
    if checks:
        with catalogue.open_unlocked(file) as con:
            catalogue.confine(con, root.resolve(), catalogue.Limits())
            promise_checks.refuse_rows(con)
    return file


def validate_checks(checks: Mapping[str, str]) -> None:
    """Bind checks over tables without rows or files, where nothing else can be reached.

    Raises SettingsError. In a session on the store they could still name a file of the store.
    """
    if not checks:
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "blank.duckdb"
        place.write_bytes(blank(hash_definitions()))
        with duckdb.connect(str(place), config={"python_enable_replacements": "false"}) as con:
            catalogue.lock_down(con, [])
            con.begin()
            try:
                promise_checks.define(con, checks)
            finally:
                con.rollback()


@lru_cache(maxsize=1)
def blank(definitions: str) -> bytes:
    """Return a catalogue of empty tables without checks, built once for its definitions."""
    return user_cache.cached(f"blank-{definitions}.duckdb", lambda: _build_blank(definitions))


def _build_blank(definitions: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "blank.duckdb"
        build_anew(place, Path(), {}, {}, definitions)
        return place.read_bytes()


def bound_views(con: Any) -> frozenset[str]:
    """Return the views of a catalogue that bind because their like does in the blank catalogue.

    A view binds as that of the same text does, over the same macros and sources of the same
    columns. Where a macro or a source differs or cannot be read, no view is known to bind.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(duckdb.Error):
        place = Path(folder) / "blank.duckdb"
        place.write_bytes(blank(hash_definitions()))
        with duckdb.connect(str(place), read_only=True) as other:
            texts, like = (dict(of.execute(_TEXTS).fetchall()) for of in (con, other))
            unlike = [name for name in like if texts.get(name) != like[name]]
            queries = [_MACROS, *(f"describe {name}" for name in unlike)]
            if all(con.execute(q).fetchall() == other.execute(q).fetchall() for q in queries):
                return frozenset(like) - set(unlike)
    return frozenset()


def build_anew(
    file: Path,
    root: Path,
    files: Mapping[str, Sequence[str]],
    checks: Mapping[str, str],
    definitions: str,
) -> None:
    """Create all views: tables, served views, then checks, which may read any of them.

    DuckDB binds a view together with all views below it, down to the tables. So an empty table of
    the same columns stands in for each view until those above it are made.
    """
    with _written(file) as con:
        define_tables(con, root, files)
        promise_checks.define(con, {})
        views = [name for (name,) in con.execute(_VIEWS).fetchall()]
        for name in views:
            _set_aside(con, name)
        for script in served():
            con.execute(script.text)
            if script.name in scripts("views"):
                _set_aside(con, script.name)
                views.append(script.name)
        for name in views:
            con.execute(f"drop table {name}")
            con.execute(f"alter view {name}{_ASIDE} rename to {name}")
        describe_tables(con)
        describe_views(con, statements("views"))
        _finish(con, checks, definitions)


def _set_aside(con: duckdb.DuckDBPyConnection, view: str) -> None:
    """Rename a view, and let an empty table of its columns stand in for it."""
    con.execute(f"alter view {view} rename to {view}{_ASIDE}")
    con.execute(f"create table {view} as from {view}{_ASIDE} limit 0")


def _finish(con: duckdb.DuckDBPyConnection, checks: Mapping[str, str], definitions: str) -> None:
    if checks:
        promise_checks.define(con, checks)
    con.execute(f"create or replace macro {DEFINITIONS}() as {quoted(definitions)}")


@contextlib.contextmanager
def _written(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a catalogue for one transaction.

    Without it each of the many small statements would sync the disk.
    """
    # More threads would only be woken: each statement takes less than a millisecond.
    config = {"storage_compatibility_version": STORAGE, "threads": 1}
    with duckdb.connect(str(file), config=config) as con:
        con.execute("set timezone = 'UTC'")
        con.begin()
        yield con
        con.commit()


def _copy_current(file: Path, root: Path, definitions: str) -> bool:
    """Copy the current catalogue to `file`; return whether it has the same definitions.

    False also where it is broken, missing or of an earlier version.
    """
    newest = catalogue.pointed(root)
    try:
        shutil.copyfile(catalogue.path(root, newest or 0), file)
        file.chmod(0o600)
        with duckdb.connect(str(file), read_only=True) as con:
            made_of = con.execute(f"select {DEFINITIONS}()").fetchone()
    except (OSError, duckdb.Error):  # also an earlier version's
        return False
    return bool(made_of == (definitions,))


def _refresh_tables(
    con: duckdb.DuckDBPyConnection, root: Path, files: Mapping[str, Sequence[str]]
) -> None:
    """Replace the views that name other files than these, or another folder of the store."""
    views = dict(con.execute("select view_name, sql from duckdb_views()").fetchall())
    for name in published_tables.names():
        wanted = files.get(name, ())
        is_same = {Path(path).name for path in wanted} == set(checksums.FILE.findall(views[name]))
        if not is_same or (wanted and quoted(str(root.resolve())) not in views[name]):
            con.execute(_table_view(con, root, name, wanted))
            _comment(con, name, published_tables.schema(name))


def _undeclared(root: Path, files: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the columns of files that their tables do not declare."""
    undeclared = {
        name: sorted(set(_found_columns(root, paths)[0]) - set(published_tables.schema(name).names))
        for name, paths in files.items()
    }
    return {name: columns for name, columns in undeclared.items() if columns}


def hash_definitions(
    undeclared: Mapping[str, list[str]] | None = None, checks: Mapping[str, str] | None = None
) -> str:
    """Return the hash of all that a catalogue is made of except its files."""
    code = (Path(str(module)).read_text(encoding="utf-8") for module in (__file__, CHECKS))
    parts = {
        "scripts": [script.text for script in served()],
        "columns": {n: _described(published_tables.schema(n)) for n in published_tables.names()},
        "more": dict(undeclared or {}), "checks": dict(checks or {}), "code": list(code),
        "duckdb": [duckdb.__version__, STORAGE],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _described(shape: pa.Schema) -> list[str]:
    """Return all that a table's view and comments are made of."""
    parts = [shape.metadata, *((field.name, field.type, field.metadata) for field in shape)]
    return [str(part) for part in parts]


def served() -> list[Script]:
    """Return macros and views in the order in which they are created."""
    return [friction_kinds.script(), *statements("macros", "views")]


def define_tables(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    files: Mapping[str, Sequence[str]],
) -> None:
    """Create the view of every table, and `v_<table>` = final and live rows.

    A table without files is a view with its columns and no rows.
    """
    for name in published_tables.names():
        con.execute(_table_view(con, root, name, files.get(name, ())))
    for name, live in _paired():
        con.execute(
            f"create view v_{name} as select * from {name} union all by name select * from {live}"
        )


def _paired() -> list[tuple[str, ...]]:
    """Return each served table of final rows with that of its live rows."""
    tables = published_tables.TABLES.values()
    return [t.stored for t in tables if t.lifecycle == "final+live" and not t.is_private]


def describe_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Comment the views of all tables."""
    for name in published_tables.names():
        _comment(con, name, published_tables.schema(name))
    for name, _ in _paired():
        _comment(con, f"v_{name}", published_tables.schema(name), " (final and not yet final)")


def describe_views(con: duckdb.DuckDBPyConnection, views: Sequence[Script]) -> None:
    """Comment served views by their headers, and their columns where the script does not.

    `views` are in the order of their sources. A column without any comment stays without.
    """
    comments: dict[str, dict[str, str | None]] = {}
    query = "select table_name, column_name, comment from duckdb_columns() where not internal"
    for view, column, comment in con.execute(query).fetchall():
        comments.setdefault(view, {})[column] = comment
    for script in views:
        con.execute(f"comment on view {script.name} is {quoted(_view_comment(script))}")
        for column, comment in comments[script.name].items():
            if comment is None and (derived := derived_comment(script, column, comments)):
                comments[script.name][column] = derived
                con.execute(f'comment on column {script.name}."{column}" is {quoted(derived)}')


def _view_comment(script: Script) -> str:
    purpose, grain, note = (script.header.get(key, "") for key in ("purpose", "grain", "note"))
    return f"{purpose[:1].upper()}{purpose[1:]}. One row per {grain}. {note}".rstrip()


def derived_comment(
    script: Script, column: str, comments: Mapping[str, Mapping[str, str | None]]
) -> str | None:
    """Return the comment of a column that follows from its sources; None where none does.

    The first of the script's sources that has a column of this name (`comments`: view -> column ->
    comment) describes it; else `x_lo` and `x_hi` beside an `x` are the ends of its interval.
    """
    for source in script.sources:
        if comment := comments[source].get(column):
            return comment
    stem, end = column[:-3], ENDS.get(column[-3:])
    if end is None or stem not in comments[script.name]:
        return None
    method = "Wilson " if stem.endswith("_share") else ""
    return f"{end} end of its 95 % {method}interval."


def _table_view(con: duckdb.DuckDBPyConnection, root: Path, name: str, files: Sequence[str]) -> str:
    """Return `create view` of one table."""
    return f"create or replace view {name} as {rows_of(con, root, name, files)}"


def rows_of(con: duckdb.DuckDBPyConnection, root: Path, name: str, files: Sequence[str]) -> str:
    """Return the SELECT of a table's files: declared columns first, missing ones as typed nulls."""
    typed = con.from_arrow(published_tables.schema(name).empty_table())
    wanted = dict(zip(typed.columns, map(str, typed.types), strict=True))
    if not files:
        nulls = ", ".join(f'cast(null as {kind}) as "{c}"' for c, kind in wanted.items())
        return f"select {nulls} where false"
    present, uniform = _found_columns(root, files)
    # Types that are the declared ones already cost nothing; they must not follow the files.
    values_ = {c: f'"{c}"' if c in present else "null" for c in wanted}
    chosen = [f'cast({values_[c]} as {kind}) as "{c}"' for c, kind in wanted.items()]
    chosen += [f'"{c}"' for c in present if c not in wanted]
    listed = ", ".join(located(root, file) for file in files)
    by_name = "" if uniform else ", union_by_name = true"
    return f"select {', '.join(chosen)} from read_parquet([{listed}]{by_name})"


def located(root: Path, file: str) -> str:
    """Return the expression of a file's path, below the store wherever that is moved."""
    base = f"coalesce(getvariable('{VARIABLE}'), {quoted(str(root.resolve()))})"
    return f"{base} || {quoted('/' + file)}"


def _found_columns(root: Path, files: Sequence[str]) -> tuple[list[str], bool]:
    """Return columns of the files in order of appearance, and whether all files have the same."""
    shapes = {tuple(parquet_files.schema(root / file).names) for file in files}
    columns = dict.fromkeys(column for shape in sorted(shapes) for column in shape)
    return list(columns), len(shapes) == 1


def _comment(con: duckdb.DuckDBPyConnection, view: str, shape: pa.Schema, more: str = "") -> None:
    grain = (shape.metadata or {}).get(b"grain", b"").decode()
    con.execute(f"comment on view {view} is {quoted(f'One row per {grain}{more}.')}")
    for field in shape:
        about = field.metadata or {}
        text, unit = (about.get(key, b"").decode() for key in (b"description", b"unit"))
        words = f"{text} [{unit}]" if unit not in ("", "1") else text
        con.execute(f'comment on column {view}."{field.name}" is {quoted(words)}')
