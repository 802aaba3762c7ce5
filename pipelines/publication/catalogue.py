"""Serving: an immutable DuckDB catalogue per publication, and sealed sessions on it.

A catalogue holds no rows, only commented views over the explicit files of its publication. The
files are found below the session variable `rejse_store` (else where the store lay when it was
published), so a store can be moved. `current` names the newest catalogue.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines.runtime import file_modes, signals
from rejse.pipelines.store import delta_store, staging
from rejse.pipelines.store.erasure_receipts import ERASURES
from rejse.pipelines.store.traces import CURRENT, number, path, pointed
from rejse.transforms.errors import MisuseError
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.incremental import input_kinds, merge_customers
from rejse.transforms.ingest.read_only import ReadOnlyError, parser, refuse_writing
from rejse.transforms.scoring.output_tables import REJECTS

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
#: DuckDB 2.0 waits for ever on a CTE that is read twice below a limit; without this it does not.
HANGS = "cte_inlining"
#: A file of the store as the views name it, below where the store lies.
_NAMED = re.compile(r"'(/[a-z_]+/part-[0-9a-f]{32}\.parquet)'")


class NotPublishedError(MisuseError):
    """The store has no such publication."""


@dataclass(frozen=True)
class Limits:
    """What a query may take: memory and spilled bytes as DuckDB says them, and seconds; None: as
    much as DuckDB takes.
    """

    memory: str | None = None
    spill: str | None = None
    seconds: float | None = None


def published_tables() -> list[str]:
    """All tables of a publication, `_live` twins included, in the order they are committed."""
    plain = x_tables.all_tables()
    derived = [name for one in plain for name in (one, one + staging.LIVE)]
    given = [merge_customers.EVENTS, merge_customers.ANSWERS, *input_kinds.joined()]
    apart = [REJECTS.name, merge_customers.LATE, *staging.KEEPING]
    return [*given, *derived, *apart, ERASURES.name, delta_store.RUNS.name]


def tables() -> list[str]:
    """Those and `publications`: all that a catalogue shows."""
    return [*published_tables(), delta_store.PUBLICATIONS.name]


def columns(table: str) -> pa.Schema:
    """Declared schema of any table of a publication; raises KeyError for an unknown name."""
    own = {one.name: one for one in (delta_store.RUNS, delta_store.PUBLICATIONS, ERASURES)}
    if table in own:
        return own[table].schema
    declared = staging.declared(table)
    if declared is None:
        raise KeyError(f"{table}: expected one of {', '.join(published_tables())}")
    return declared


def settle(root: Path, publication: int, drafted: Path) -> None:
    """Make a draft the catalogue of its publication, now committed, and the current one."""
    drafted.chmod(file_modes.file(file_modes.of(root)))
    staging.read_only(drafted)
    drafted.replace(path(root, publication))
    making = root / f"{CURRENT}.making"
    with making.open("w", encoding="utf-8") as out:
        out.write(f"{path(root, publication).name}\n")
        out.flush()
        os.fsync(out.fileno())  # else a power cut may leave an empty file under the name
    making.replace(root / CURRENT)
    if not (root / f"{BI_COPY}.wal").exists():  # never swap under a writer's log
        copy = root / f"{BI_COPY}.making"
        shutil.copyfile(path(root, publication), copy)
        copy.replace(root / BI_COPY)


def current(root: Path) -> int | None:
    """Number of the current publication, or None.

    The pointer is a cache like the catalogues: where it is gone or broken, or names one that is
    gone, the table `publications` says it. Raises StoreDamagedError where that cannot be read.
    """
    found = pointed(root)
    if root.is_dir() and (found is None or not path(root, found).exists()):
        newest = delta_store.latest(root)
        return None if newest is None else newest.number
    return found


class Session:
    """A read-only connection on one publication that runs reading statements only.

    DuckDB's own seal keeps it to the files of the publication but would let COPY write over them;
    so anything that is not known to read is refused before it runs. Results are DuckDB's.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, room: Path) -> None:
        self._con, self._parser = con, parser()
        # Also where nobody closes it: the process may not end by itself.
        self._gone = weakref.finalize(self, shutil.rmtree, room, ignore_errors=True)

    def execute(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Run one reading statement; raises ReadOnlyError for any other."""
        refuse_writing(self._parser, query)
        return self._con.execute(query, parameters)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The query as a DuckDB relation; raises ReadOnlyError for anything but a query."""
        refuse_writing(self._parser, query)
        return self._con.sql(query)

    def close(self) -> None:
        """Close the connection; what it spilled goes."""
        self._con.close()
        self._parser.close()
        self._gone()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(root: Path, publication: int | None = None, limits: Limits | None = None) -> Any:
    """A sealed session on a publication (the current one by default).

    No other file, network, extension or setting can be reached from it. It reads a copy of the
    catalogue in a private place, where it also spills: nothing of the store is open to be written.
    A catalogue that is broken or gone is made anew from the publication. Raises NotPublishedError
    where there is no such publication, StoreDamagedError where it cannot be read.
    """
    from rejse.pipelines.publication import catalogue_cache

    place = root.resolve()
    number = _existing(place, publication)
    room = Path(tempfile.mkdtemp(prefix="rejse-session-"))
    signals.keep(room)
    try:
        file = catalogue_cache.copied(place, number, room)
        return Session(sealed(file, place, limits or Limits(), room / "spilled"), room)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def is_whole(file: Path) -> bool:
    """Whether a catalogue is there, can be read and shows what every publication has."""
    with tempfile.TemporaryDirectory(prefix="rejse-look-") as folder:
        return copied_whole(file, Path(folder) / file.name)


def copied_whole(file: Path, copy: Path) -> bool:
    """Copy a catalogue to a private place, where nobody else holds it open; whether it is whole."""
    try:
        shutil.copyfile(file, copy)
        with opened(copy) as con:
            query = "select count(*) from duckdb_views() where view_name = 'publications'"
            return bool(con.execute(query).fetchall() == [(1,)])
    except (OSError, duckdb.Error):
        return False


def opened(file: Path) -> duckdb.DuckDBPyConnection:
    """A catalogue opened to be read, not yet sealed."""
    return duckdb.connect(str(file), read_only=True, config={"python_enable_replacements": "false"})


def sealed(
    file: Path, place: Path, limits: Limits = Limits(), spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """A catalogue opened to be read, sealed but for the files that its views name below `place`.

    What does not fit into memory goes to the folder `spill`, gone when the connection is closed.
    """
    con = opened(file)
    con.execute(f"set variable {VARIABLE} = {quoted(str(place))}")
    if spill is not None:
        con.execute(f"set temp_directory = {quoted(str(spill))}")
    if limits.memory is not None:
        con.execute(f"set memory_limit = {quoted(limits.memory)}")
    if limits.spill is not None:
        con.execute(f"set max_temp_directory_size = {quoted(limits.spill)}")
    if limits.seconds is not None:
        con.execute(f"set max_execution_time = {max(1, round(1000 * limits.seconds))}")
    seal(con, [place])
    return con


def seal(con: duckdb.DuckDBPyConnection, places: Sequence[Path]) -> None:
    """From here on the connection reaches the files that its views name below `places`, nothing
    else: no other file, network, extension or setting.
    """
    views = con.execute("select sql from duckdb_views() where not internal").fetchall()
    named = dict.fromkeys(name for (sql,) in views for name in _NAMED.findall(sql))
    files = [f"{place}{name}" for place in places for name in named]
    con.execute(f"set allowed_paths = [{', '.join(map(quoted, files))}]")
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
    if not 1 <= number <= newest:
        raise gone(root, number, newest)
    return number


def gone(root: Path, number: int, newest: int) -> NotPublishedError:
    """The error of a publication that is not there, or can be read no more."""
    return NotPublishedError(
        f"expected a publication from 1 to {newest} in {root}, got {number}, or its "
        "files are gone; leave the number out for the newest"
    )


def quoted(text: str) -> str:
    """The text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
