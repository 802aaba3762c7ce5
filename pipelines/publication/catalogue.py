"""Serving: the immutable DuckDB catalogue of a publication, and read-only sessions on it.

A catalogue holds no rows, only commented views over the files of its publication, which macros
list. The files are located below the session variable `rejse_store` (else where the store was when
it was published), so a store can be moved. `current` names the newest catalogue.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes, signals
from rejse.pipelines.store.traces import CURRENT, number, path, pointed
from rejse.sql import SESSION, quoted
from rejse.transforms.errors import MisuseError
from rejse.transforms.ingest.read_only import ReadOnlyError, parser, refuse_writing

__all__ = [
    "CURRENT",
    "NotPublishedError",
    "ReadOnlyError",
    "Session",
    "connect",
    "number",
    "path",
    "pointed",
]

BI_COPY = "rejse.duckdb"
VARIABLE = "rejse_store"
#: Begins the name of the macro that lists the files of a table.
FILES_OF = "files_of_"
#: Optimizers that DuckDB 2.0 is better without. With the one that decides whether a CTE is inlined
#: (duckdb/duckdb#17459) a query with a LIMIT over a CTE that is read twice never ends. The one that
#: moves projections up looks through the plan anew for each of them: four fifths of the planning of
#: a view over views, seconds whatever the data.
DISABLED_OPTIMIZERS = "cte_inlining,projection_pullup"
#: Where files are listed: in macros; in the views of a catalogue of an earlier version.
_LISTS = ("select macro_definition from duckdb_functions() where not internal",
          "select sql from duckdb_views() where not internal")  # fmt: skip
#: A file of the store as it is listed, below the store's folder.
_NAMED = re.compile(r"'((?:/\.live/[0-9a-z/-]+)?/[a-z_]+/part-[0-9a-f]{32}\.parquet)'")


class NotPublishedError(MisuseError):
    """The store has no such publication."""


@dataclass(frozen=True)
class Limits:
    """Limits of a query: memory and spilled bytes as DuckDB writes sizes, and seconds.

    None: DuckDB's own limit.
    """

    memory: str | None = None
    spill: str | None = None
    seconds: float | None = None


def activate(root: Path, publication: int, built: Path, continues: int | None = None) -> None:
    """Make a built catalogue that of its publication, now committed, and the current one.

    That of the publication that it `continues`, with other files in the same views, is removed: it
    can be made again from this one.
    """
    built.chmod(file_modes.file(file_modes.of(root)))
    file_modes.read_only(built)
    built.replace(path(root, publication))
    making = root / f"{CURRENT}.making"
    with making.open("w", encoding="utf-8") as out:
        out.write(f"{path(root, publication).name}\n")
        out.flush()
        os.fsync(out.fileno())  # else a power cut may leave an empty file under the name
    making.replace(root / CURRENT)
    at = place.of(root)
    at.share(path(root, publication).name)
    at.point(CURRENT, lambda text: number(text.strip()))
    # Never swap under a writer's log. On an object store each tool reads the catalogue itself.
    if not at.is_remote and not (root / f"{BI_COPY}.wal").exists():
        copy = root / f"{BI_COPY}.making"
        shutil.copyfile(path(root, publication), copy)
        copy.replace(root / BI_COPY)
    if continues is not None and continues < publication:
        at.remove([path(root, continues)])


def current(root: Path) -> int | None:
    """Return the number of the current publication, or None.

    The pointer is a cache like the catalogues: where it is missing, broken or names a missing one,
    the number is read from the table `publications`. Raises StoreDamagedError where that cannot be
    read.
    """
    named = pointed(root)
    if root.is_dir() and (named is None or not path(root, named).exists()):
        from rejse.pipelines.store import delta_store

        newest = delta_store.latest(root)
        return None if newest is None else newest.number
    return named


class Session:
    """A connection on one publication that runs reading statements only.

    DuckDB's own lockdown confines it to the files of the publication, but would let COPY write over
    them; so statements that are not known to only read are refused before they run. Results are
    DuckDB's.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, room: Path) -> None:
        self._con, self._parser = con, parser()
        # Also without `close`: a killed process does not remove it itself.
        self._remove_room = weakref.finalize(self, shutil.rmtree, room, ignore_errors=True)

    def execute(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Run one reading statement; raises ReadOnlyError for any other."""
        refuse_writing(self._parser, query)
        return self._con.execute(query, parameters)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Return a query as a DuckDB relation; raises ReadOnlyError for anything but a query."""
        refuse_writing(self._parser, query)
        return self._con.sql(query)

    def memory_limit(self) -> str:
        """Return the memory that DuckDB may take, as DuckDB prints sizes."""
        limit = self._con.execute("select current_setting('memory_limit')").fetchall()[0][0]
        return str(limit)

    def close(self) -> None:
        """Close the connection and remove its spilled files."""
        self._con.close()
        self._parser.close()
        self._remove_room()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(
    root: Path,
    publication: int | None = None,
    limits: Limits | None = None,
    amend: Callable[[Path, int], None] | None = None,
) -> Any:
    """Open a locked-down session on a publication (the current one by default).

    It reaches no other file, network, extension or setting. It reads a copy of the catalogue in a
    private folder, where it also spills: no file of the store is open for writing. A catalogue that
    is broken or missing is built again from the publication. `amend` may change the copy before it
    is opened; it gets its path and the number of the publication. Raises NotPublishedError where
    there is no such publication, StoreDamagedError where it cannot be read.
    """
    store = root.resolve()
    number = _existing(store, publication)
    room = Path(tempfile.mkdtemp(prefix="rejse-session-"))
    signals.keep(room)
    try:
        file = room / path(store, number).name
        con = open_whole(path(store, number), file)
        if con is None:
            from rejse.pipelines.publication import catalogue_cache

            con = catalogue_cache.restored(store, number, file)
        if amend is not None:
            con.close()
            amend(file, number)
            con = open_unlocked(file)
        confine(con, store, limits or Limits(), room / "spilled")
        return Session(con, room)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def is_whole(file: Path) -> bool:
    """Return whether a catalogue exists, can be read and has the view `publications`."""
    with tempfile.TemporaryDirectory(prefix="rejse-look-") as folder:
        con = open_whole(file, Path(folder) / file.name)
        if con is not None:
            con.close()
        return con is not None


def open_whole(file: Path, copy: Path) -> duckdb.DuckDBPyConnection | None:
    """Copy a catalogue to a private folder and open it as `open_unlocked`; None if it is broken."""
    try:
        shutil.copyfile(place.here(file), copy)
        con = open_unlocked(copy)
        query = "select count(*) from duckdb_views() where view_name = 'publications'"
        if con.execute(query).fetchall() == [(1,)]:
            return con
        con.close()
    except (OSError, duckdb.Error):
        pass
    return None


def open_unlocked(file: Path) -> duckdb.DuckDBPyConnection:
    """Open a catalogue read-only, not yet locked down."""
    return duckdb.connect(str(file), read_only=True, config={"python_enable_replacements": "false"})


def confine(
    con: duckdb.DuckDBPyConnection, store: Path, limits: Limits, spill: Path | None = None
) -> None:
    """Set the limits of a catalogue's connection, and lock it down to files of `store`.

    What exceeds the memory is spilled to the folder `spill`, which is removed with the connection.
    """
    con.execute(f"set variable {VARIABLE} = {quoted(place.of(store).base)}")
    if spill is not None:
        con.execute(f"set temp_directory = {quoted(str(spill))}")
    if limits.memory is not None:
        con.execute(f"set memory_limit = {quoted(limits.memory)}")
    if limits.spill is not None:
        con.execute(f"set max_temp_directory_size = {quoted(limits.spill)}")
    if limits.seconds is not None:
        con.execute(f"set max_execution_time = {max(1, round(1000 * limits.seconds))}")
    lock_down(con, [store])


def lock_down(con: duckdb.DuckDBPyConnection, stores: Sequence[Path]) -> None:
    """Confine the connection to the files that it lists below `stores`.

    No other file, network, extension or setting can be reached afterwards.
    """
    listed = (
        [name for (text,) in con.execute(query).fetchall() for name in _NAMED.findall(text)]
        for query in _LISTS
    )
    named = dict.fromkeys(next(filter(None, listed), ()))
    places = [place.of(store) for store in stores]
    for at in places:
        at.attach(con)
    files = [f"{at.base_of(name[1:])}{name}" for at in places for name in named]
    con.execute(f"set allowed_paths = [{', '.join(map(quoted, files))}]")
    con.execute(SESSION)
    con.execute(f"set disabled_optimizers = '{DISABLED_OPTIMIZERS}'")
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")


def _existing(root: Path, publication: int | None) -> int:
    newest = current(root)
    if newest is None:
        raise none_published(root)
    number = newest if publication is None else publication
    if not 1 <= number <= newest:
        raise not_published(root, number, newest)
    return number


def none_published(root: Path) -> NotPublishedError:
    """Return the error of a store without a publication."""
    return NotPublishedError(
        f"expected a publication in {root}, found none; `rejse run` makes the first one"
    )


def not_published(root: Path, number: int, newest: int) -> NotPublishedError:
    """Return the error of a publication that is missing or can no longer be read."""
    return NotPublishedError(
        f"expected a publication from 1 to {newest} in {root}, got {number}, or its "
        "files are gone; leave the number out for the newest"
    )
