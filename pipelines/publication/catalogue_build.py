"""Build a catalogue: the view of every table, comments, and all served views.

Views are bound once: a later catalogue is a copy of the current one. The view of a table reads the
files that a macro lists, so only the macros of tables with other files are replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines.places import place
from rejse.pipelines.publication import catalogue, friction_kinds, promise_checks
from rejse.pipelines.publication.catalogue import VARIABLE
from rejse.pipelines.runtime import user_cache
from rejse.pipelines.store import parquet_files
from rejse.sql import SESSION, Script, quoted, scripts, statements
from rejse.transforms import published_tables

#: Oldest DuckDB that must be able to read a catalogue.
STORAGE = "v1.0.0"
#: Macros of a catalogue: the hash of its definitions, and the shape of each table (JSON).
DEFINITIONS, SHAPES = "catalogue_definitions", "catalogue_shapes"
CHECKS = promise_checks.__file__
#: Ends of an interval, by the last letters of their column.
ENDS = {"_lo": "Lower", "_hi": "Upper"}
_VIEWS = "select view_name from duckdb_views() where not internal"
_TEXTS = "select view_name, sql from duckdb_views() where not internal"
#: Macros that views may call.
_MACROS = (
    "select function_name, parameters, macro_definition from duckdb_functions()"
    " where not internal and not starts_with(function_name, 'catalogue_')"
    f" and not starts_with(function_name, '{catalogue.FILES_OF}') order by all"
)
#: End of the name of a view for which a table stands in.
_ASIDE = "__view"
#: Columns of a table's files in order of appearance, and whether all files have the same.
Shape = tuple[list[str], bool]


@dataclass(frozen=True)
class Built:
    """A catalogue that is not active yet; `continues` is the publication whose views it has."""

    file: Path
    continues: int | None = None


def build(
    root: Path,
    publication: int,
    files: Mapping[str, Sequence[str]],
    checks: Mapping[str, str] | None = None,
    folder: Path | None = None,
    like: int | None = None,
) -> Built:
    """Write the catalogue of a publication over `files` (table -> paths relative to `root`).

    It has a name of its own until `catalogue.activate`: a writer that loses the race for this
    number must not touch the catalogue of the winner. It is written to `folder`, by default the
    store. `checks` (name -> SQL) judge claims; raises SettingsError where one is not lawful. Where
    the publication `like` has a catalogue, the views are those of that one.
    """
    checks = checks or {}
    validate_checks(checks)  # here files cannot be reached; below they can
    file = (folder or root) / f"catalog-{publication}-{uuid.uuid4().hex}.making"
    copied = catalogue.pointed(root) if like is None else like
    with contextlib.ExitStack() as stack:
        con, before = _copied(stack, file, catalogue.path(root, copied or 0))
        shapes = _shapes(root, files, before)
        undeclared = _undeclared(shapes)
        definitions = hash_definitions(undeclared, checks)
        continues = before.definitions == definitions
        is_like = continues or (like is not None and before.definitions != "")
        if is_like:
            with _transaction(con):
                _refresh_tables(con, root, files, shapes, before)
    if undeclared and not is_like:  # views bound without these columns would not see them
        file.unlink(missing_ok=True)
        build_anew(file, root, files, checks, definitions)
    elif not is_like:
        file.write_bytes(_shaped(root, files, shapes))
        with _written(file) as con:
            _refresh_tables(con, root, files, shapes, _Content(shapes=shapes))
            _finish(con, checks, definitions)
    if checks:
        with catalogue.open_unlocked(file) as con:
            catalogue.confine(con, root.resolve(), catalogue.Limits())
            promise_checks.refuse_rows(con)
    return Built(file, copied if continues else None)


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


def _shaped(root: Path, files: Mapping[str, Sequence[str]], shapes: Mapping[str, Shape]) -> bytes:
    """Return the blank catalogue with tables of these shapes, still without files.

    A store of the same shapes has been made before, as a rule: to comment their columns again is
    what a catalogue costs most.
    """
    definitions = hash_definitions()
    key = hashlib.sha256(json.dumps([definitions, shapes], sort_keys=True).encode()).hexdigest()

    def make() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "shaped.duckdb"
            place.write_bytes(blank(definitions))
            with _written(place) as con:
                _refresh_tables(con, root, files, shapes, _Content())
                for name in shapes:
                    con.execute(_listing(Path(), name, ()))
            return place.read_bytes()

    return user_cache.cached(f"shaped-{key}.duckdb", make)


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
        shapes = define_tables(con, root, files)
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
        _record_shapes(con, shapes)
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
    """Open a catalogue for one transaction."""
    with _opened(file) as con, _transaction(con):
        yield con


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a catalogue for writing."""
    # More threads would only be woken: each statement takes less than a millisecond.
    config = {"storage_compatibility_version": STORAGE, "threads": 1}
    with duckdb.connect(str(file), config=config) as con:
        con.execute(SESSION)
        yield con


@contextlib.contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit many small statements together, each of which would sync the disk."""
    con.begin()
    yield
    con.commit()


@dataclass(frozen=True)
class _Content:
    """What a catalogue has: definitions of this hash, files (absolute) and shapes by table."""

    definitions: str = ""
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)


def _copied(stack: contextlib.ExitStack, file: Path, present: Path) -> tuple[Any, _Content]:
    """Copy a catalogue to `file`; return it, open until the stack ends, and its content.

    Where it is broken, missing or of an earlier version it has no content and is not open.
    """
    names = published_tables.names()
    macros = [DEFINITIONS, SHAPES, *map(_files_of, names)]
    try:
        shutil.copyfile(place.here(present), file)
        file.chmod(0o600)
        con = stack.enter_context(_opened(file))
        query = f"select {', '.join(f'{macro}()' for macro in macros)}"
        ((definitions, shapes, *files),) = con.execute(query).fetchall()
    except (OSError, duckdb.Error):
        return None, _Content()
    read = {name: (columns, uniform) for name, (columns, uniform) in json.loads(shapes).items()}
    return con, _Content(definitions, dict(zip(names, files, strict=True)), read)


def _refresh_tables(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    files: Mapping[str, Sequence[str]],
    shapes: Mapping[str, Shape],
    before: _Content,
) -> None:
    """Replace the lists of files that differ, and the views of tables of another shape."""
    place.of(root).attach(con)
    for name in published_tables.names():
        wanted = files.get(name, ())
        if _absolute(root, wanted) != before.files.get(name, []):
            con.execute(_listing(root, name, wanted))
        if shapes.get(name) != before.shapes.get(name):
            con.execute(_table_view(con, name, shapes.get(name)))
            _comment(con, name, published_tables.schema(name))
    if shapes != before.shapes:
        _record_shapes(con, shapes)


def _record_shapes(con: duckdb.DuckDBPyConnection, shapes: Mapping[str, Shape]) -> None:
    con.execute(f"create or replace macro {SHAPES}() as {quoted(json.dumps(shapes))}")


def _shapes(
    root: Path, files: Mapping[str, Sequence[str]], before: _Content = _Content()
) -> dict[str, Shape]:
    """Return the shape of each table with files; of files that were listed before none is read."""
    shapes = {}
    for name, paths in files.items():
        known, listed = before.shapes.get(name), frozenset(before.files.get(name, ()))
        added = [p for p, at in zip(paths, _absolute(root, paths), strict=True) if at not in listed]
        if known is not None and known[1] and all(_columns(root / p) == known[0] for p in added):
            shapes[name] = known
        else:
            shapes[name] = _shape(root, paths)
    return {name: shape for name, shape in shapes.items() if files[name]}


def _shape(root: Path, files: Sequence[str]) -> Shape:
    shapes = {tuple(_columns(root / file)) for file in files}
    columns = dict.fromkeys(column for shape in sorted(shapes) for column in shape)
    return list(columns), len(shapes) == 1


def _columns(file: Path) -> list[str]:
    return list(parquet_files.schema(file).names)


def _undeclared(shapes: Mapping[str, Shape]) -> dict[str, list[str]]:
    """Return the columns of files that their tables do not declare."""
    undeclared = {
        name: sorted(set(columns) - set(published_tables.schema(name).names))
        for name, (columns, _) in shapes.items()
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
) -> dict[str, Shape]:
    """Create the view of every table, and `v_<table>` = final and live rows; return the shapes.

    A table without files is a view with its columns and no rows.
    """
    shapes = _shapes(root, files)
    place.of(root).attach(con)
    for name in published_tables.names():
        con.execute(_listing(root, name, files.get(name, ())))
        con.execute(_table_view(con, name, shapes.get(name)))
    for name, live in _paired():
        con.execute(
            f"create view v_{name} as select * from {name} union all by name select * from {live}"
        )
    return shapes


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


def _listing(root: Path, name: str, files: Sequence[str]) -> str:
    """Return `create macro` of the list of a table's files, below the session's store."""
    return (
        f"create or replace macro {_files_of(name)}() as cast({listed(root, files)} as varchar[])"
    )


def _files_of(name: str) -> str:
    return f"{catalogue.FILES_OF}{name}"


def _absolute(root: Path, files: Sequence[str]) -> list[str]:
    """Return files as their macro lists them in a session without the variable."""
    at = place.of(root)
    return [f"{at.base_of(file)}/{file}" for file in files]


def _table_view(con: duckdb.DuckDBPyConnection, name: str, shape: Shape | None) -> str:
    """Return `create view` of one table."""
    return f"create or replace view {name} as {_rows_of(con, name, shape, f'{_files_of(name)}()')}"


def rows_of(con: duckdb.DuckDBPyConnection, root: Path, name: str, files: Sequence[str]) -> str:
    """Return the SELECT of some files of a table, relative to the store."""
    return _rows_of(con, name, _shape(root, files), listed(root, files))


def listed(root: Path, files: Sequence[str]) -> str:
    """Return the expression of the list of files, below the session's store."""
    at = place.of(root)
    here = f"coalesce(getvariable('{VARIABLE}'), {quoted(at.base)})"
    bases = (here if (base := at.base_of(file)) == at.base else quoted(base) for file in files)
    named = (f"{base} || {quoted(f'/{file}')}" for base, file in zip(bases, files, strict=True))
    return f"[{', '.join(named)}]"


def _rows_of(con: duckdb.DuckDBPyConnection, name: str, shape: Shape | None, paths: str) -> str:
    """Return the SELECT of a table: declared columns first, missing ones as typed nulls."""
    typed = con.from_arrow(published_tables.schema(name).empty_table())
    wanted = dict(zip(typed.columns, map(str, typed.types), strict=True))
    if shape is None:
        nulls = ", ".join(f'cast(null as {kind}) as "{c}"' for c, kind in wanted.items())
        return f"select {nulls} where false"
    present, uniform = shape
    # Types that are the declared ones already cost nothing; they must not follow the files.
    values_ = {c: f'"{c}"' if c in present else "null" for c in wanted}
    chosen = [f'cast({values_[c]} as {kind}) as "{c}"' for c, kind in wanted.items()]
    chosen += [f'"{c}"' for c in present if c not in wanted]
    by_name = "" if uniform else ", union_by_name = true"
    return f"select {', '.join(chosen)} from read_parquet({paths}{by_name})"


def _comment(con: duckdb.DuckDBPyConnection, view: str, shape: pa.Schema, more: str = "") -> None:
    grain = (shape.metadata or {}).get(b"grain", b"").decode()
    con.execute(f"comment on view {view} is {quoted(f'One row per {grain}{more}.')}")
    for column in shape:
        about = column.metadata or {}
        text, unit = (about.get(key, b"").decode() for key in (b"description", b"unit"))
        words = f"{text} [{unit}]" if unit not in ("", "1") else text
        con.execute(f'comment on column {view}."{column.name}" is {quoted(words)}')
