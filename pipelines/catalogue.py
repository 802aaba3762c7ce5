"""Serving: an immutable DuckDB catalogue per publication, and sealed sessions on it.

A catalogue holds no rows, only commented views over the explicit files of its publication. The
files are found below the session variable `rejse_store` (else where the store lay when it was
published), so a store can be moved. `current` names the newest catalogue.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from rejse.pipelines import damage, stage, store
from rejse.pipelines.erasures import ERASURES
from rejse.transforms import inputs, meeting
from rejse.transforms.experience import tables as x_tables
from rejse.transforms.tables import REJECTS

CURRENT = "current"
BI_COPY = "rejse.duckdb"
VARIABLE = "rejse_store"
#: DuckDB 2.0 waits for ever on a CTE that is read twice below a limit; without this it does not.
HANGS = "cte_inlining"
_CATALOGUE = re.compile(r"catalog-([0-9]+)\.duckdb")
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


def tables() -> list[str]:
    """Those and `publications`: all that a catalogue shows."""
    return [*published_tables(), store.PUBLICATIONS.name]


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


def settle(root: Path, publication: int, drafted: Path) -> None:
    """Make a draft the catalogue of its publication, now committed, and the current one."""
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
    """Number of the current publication, or None. Raises StoreDamagedError where the pointer to it
    names none.
    """
    found, pointer = pointed(root), root / CURRENT
    if found is None and pointer.exists():
        raise damage.StoreDamagedError(
            f"expected the name of a catalogue, such as {path(root, 1).name}, in {pointer}, came"
            f" {pointer.read_text(encoding='utf-8', errors='replace').strip()[:50]!r}; `rejse run`"
            " writes it anew, from the table publications"
        )
    return found


def pointed(root: Path) -> int | None:
    """Number of the publication that the pointer names; None where it is not there, or broken."""
    pointer = root / CURRENT
    if not pointer.exists():
        return None
    return number(pointer.read_text(encoding="utf-8", errors="replace").strip())


def number(name: str) -> int | None:
    """Number of the publication whose catalogue has this name; None of any other name."""
    found = _CATALOGUE.fullmatch(name)
    return int(found[1]) if found else None


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
    return Session(sealed(path(place, number), place))


def sealed(file: Path, place: Path) -> duckdb.DuckDBPyConnection:
    """A catalogue opened to be read, sealed but for the folders of its tables below `place`."""
    con = duckdb.connect(str(file), read_only=True, config={"python_enable_replacements": "false"})
    con.execute(f"set variable {VARIABLE} = {quoted(str(place))}")
    seal(con, [place])
    return con


def seal(con: duckdb.DuckDBPyConnection, places: Sequence[Path]) -> None:
    """From here on the connection reaches the folders of tables below `places`, nothing else."""
    folders = [f"{place / name}/" for place in places for name in tables()]
    con.execute(f"set allowed_directories = [{', '.join(map(quoted, folders))}]")
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


def quoted(text: str) -> str:
    """The text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
