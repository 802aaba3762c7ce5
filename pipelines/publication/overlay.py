"""The overlay of a publication: what the hot core made of customers since, provisionally.

An overlay is a list of segments in the hidden folder `.live` of the store. A segment has the rows
of the customers that some steps scored, as files of the tables that would publish them, and names
in `REPLACED` whose published rows they replace. Of a customer the last segment holds. Segments at
least halve from one to the next, so that there are few and a row is written seldom. A manifest,
replaced atomically, names the publication and the segments; an overlay of another publication is
none. Nothing of it is ever published, and all of it can be removed at any moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.publication import catalogue, catalogue_build, catalogue_cache
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import delta_store, notes, staging
from rejse.pipelines.store.state_reader import concatenated, keys_of
from rejse.pipelines.store.traces import OVERLAY
from rejse.sql import quoted
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import sorted_distinct
from rejse.transforms.incremental.table_rows import LIVE_TABLES, REPLACED

MANIFEST = "current.json"
#: Replaced segments stay for so many steps: a query may still read them.
KEPT_STEPS = 64
#: Seconds after which an overlay that nobody keeps is not read with an older publication.
STALE_AFTER = 10.0
NO_WATERMARKS: Mapping[str, int] = {}
#: End of the name of the view of a table's published rows, below the overlay's.
PUBLISHED = "__published"


@dataclass(frozen=True)
class Segment:
    """Rows of some customers by stored table, and where they are written below the store."""

    customers: pa.Array
    tables: Mapping[str, pa.Table]
    folder: str
    files: Mapping[str, Sequence[str]]


class Overlay:
    """Writer of the overlay of one publication; an overlay before it is removed."""

    def __init__(self, store: Path, base: int) -> None:
        self._store, self._base, self._name = store, base, f"{base}-{uuid.uuid4().hex}"
        self._segments: list[Segment] = []
        self._retired: list[tuple[int, str]] = []
        self._step = 0
        self._watermarks: dict[str, int] = {}
        shutil.rmtree(store / OVERLAY, ignore_errors=True)
        (store / OVERLAY).mkdir(mode=file_modes.folder(file_modes.of(store)))

    def add(
        self,
        customers: pa.Array,
        tables: Mapping[str, pa.Table],
        watermarks: Mapping[str, int] = NO_WATERMARKS,
    ) -> None:
        """Let these be the rows of some customers (sorted keys), by stored table.

        `watermarks`: microseconds up to which sources of interactions are complete, where they
        have moved since the publication.
        """
        self._watermarks |= watermarks
        private = published_tables.private()
        kept = {name: rows for name, rows in tables.items() if name not in private}
        self._step += 1
        while self._segments and len(self._segments[-1].customers) <= 2 * len(customers):
            last = self._segments.pop()
            self._retired.append((self._step, last.folder))
            customers, kept = _merged(last, customers, kept)
        self._segments.append(self._written(customers, kept))
        self._announce()
        self._remove_retired()

    def keep(self) -> None:
        """Say that this overlay holds, though nothing came."""
        with contextlib.suppress(FileNotFoundError):  # nothing was added yet
            os.utime(self._store / OVERLAY / MANIFEST)

    def _written(self, customers: pa.Array, tables: Mapping[str, pa.Table]) -> Segment:
        folder = f"{OVERLAY}/{self._name}/{self._step}"
        stage = staging.Stage(self._store / folder)
        staged = [file for name, rows in tables.items() for file in stage.add(name, rows)]
        files: dict[str, list[str]] = {}
        for file in (*staged, *stage.close()):
            files.setdefault(file.table, []).append(f"{folder}/{file.path}")
        return Segment(customers, tables, folder, files)

    def _announce(self) -> None:
        manifest = {
            "base": self._base, "segments": [dict(s.files) for s in self._segments],
            "watermarks": self._watermarks,
        }  # fmt: skip
        notes.write(self._store / OVERLAY / MANIFEST, manifest)

    def _remove_retired(self) -> None:
        while self._retired and self._retired[0][0] + KEPT_STEPS <= self._step:
            _, folder = self._retired.pop(0)
            shutil.rmtree(self._store / folder, ignore_errors=True)


def _merged(
    earlier: Segment, customers: pa.Array, tables: Mapping[str, pa.Table]
) -> tuple[pa.Array, dict[str, pa.Table]]:
    """Return the customers and rows of a segment and of what replaces some of its customers."""
    out = dict(tables)
    for name, rows in earlier.tables.items():
        kept = rows.filter(pc.invert(pc.is_in(keys_of(rows), value_set=customers)))
        both = concatenated([kept, *([out[name]] if name in out else [])])
        if both is not None:
            out[name] = both
    return sorted_distinct(pa.concat_arrays([earlier.customers, customers])), out


def remove(store: Path) -> None:
    """Remove the overlay."""
    shutil.rmtree(store / OVERLAY, ignore_errors=True)


def connect(root: Path, limits: catalogue.Limits | None = None) -> Any:
    """Open a session as `catalogue.connect` does, with the rows of the overlay.

    While a newer publication waits for an overlay of its own, it is that of the overlay's.
    """
    store = root.resolve()
    return catalogue.connect(store, base(store), limits, partial(amend, store))


def base(store: Path) -> int | None:
    """Return the publication of the overlay; None where nobody keeps it, or it is gone."""
    number = kept(store)
    if number is None:
        return None
    known = {publication.number: publication for publication in delta_store.publications(store)}
    is_readable = number in known and catalogue_cache.is_readable(store, known[number])
    return number if is_readable else None


def tidy(store: Path, publication: int) -> None:
    """Remove an overlay of another publication that nobody keeps."""
    if _manifest(store)["base"] not in (None, publication) and _age(store) > STALE_AFTER:
        remove(store)


def _age(store: Path) -> float:
    """Return the seconds since the overlay was last kept."""
    try:
        return time.time() - (store / OVERLAY / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def segments(store: Path, publication: int) -> list[dict[str, list[str]]]:
    """Return the files of each segment by table, where the overlay is of this publication."""
    return announced(store, publication)[0]


def announced(store: Path, publication: int) -> tuple[list[dict[str, list[str]]], dict[str, int]]:
    """Return the `segments` of the overlay of a publication, and watermarks since it."""
    manifest = _manifest(store)
    if manifest["base"] != publication:
        return [], {}
    return manifest["segments"], manifest.get("watermarks", {})


def kept(store: Path) -> int | None:
    """Return the publication of an overlay that somebody keeps; None where nobody does."""
    number = _manifest(store)["base"]
    return None if number is None or _age(store) > STALE_AFTER else int(number)


def _manifest(store: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads((store / OVERLAY / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return {"base": None, "segments": []}
    return read


def amend(store: Path, file: Path, publication: int) -> None:
    """Let the tables of a catalogue have the rows of the overlay in place of those it replaces.

    All served views follow, since they read tables by name.
    """
    layers = segments(store, publication)
    with duckdb.connect(str(file), config={"threads": 1}) as con:
        con.execute("set timezone = 'UTC'")
        con.begin()
        # Only files that macros list can be reached later (`catalogue.lock_down`).
        paths = [path for files in layers for listed in files.values() for path in listed]
        con.execute(f"create macro overlay_files() as {catalogue_build.listed(store, paths)}")
        con.execute(f"create view overlay_customers as {_customers(store, layers)}")
        con.execute(f"create view overlay_replaced as {_replaced(store, layers)}")
        tables = {name for files in layers for name in files} - {REPLACED}
        for name in sorted(published_tables.names()):
            is_live = published_tables.is_live(name)
            if layers and (name in tables or is_live):
                con.execute(f"alter view {name} rename to {name}{PUBLISHED}")
                con.execute(f"create view {name} as {_rows(con, store, name, layers, is_live)}")
        con.execute(
            "create view v_live as select *, customer_key in"
            " (select customer_key from overlay_customers) as is_provisional from journeys_live"
        )
        con.commit()


def _rows(
    con: duckdb.DuckDBPyConnection, store: Path, name: str,
    layers: Sequence[Mapping[str, Sequence[str]]], is_live: bool,
) -> str:  # fmt: skip
    """Return the SELECT of a table: published rows that stay, then those of each segment."""
    replacing = [name, LIVE_TABLES] if is_live else [name]
    parts = [
        f"select * from {name}{PUBLISHED} p where not exists (from overlay_replaced r where"
        f' r.customer_key = p.customer_key and r."table" in ({", ".join(map(quoted, replacing))}))'
    ]
    for number, files in enumerate(layers):
        if name in files:
            rows = catalogue_build.rows_of(con, store, name, files[name])
            parts.append(
                f"select s.* from ({rows}) s join overlay_customers c"
                f" on c.customer_key = s.customer_key and c.segment = {number}"
            )
    return " union all by name ".join(parts)


def _customers(store: Path, layers: Iterable[Mapping[str, Sequence[str]]]) -> str:
    """Return the SELECT of each customer of the overlay with the last segment that has them."""
    rows = _replacements(store, layers)
    return (
        "select customer_key, max(segment) as segment"
        f' from ({rows}) where "table" = {quoted(LIVE_TABLES)} group by customer_key'
    )


def _replaced(store: Path, layers: Iterable[Mapping[str, Sequence[str]]]) -> str:
    """Return the SELECT of (table, customer) whose published rows the overlay replaces."""
    return (
        f'select "table", customer_key from ({_replacements(store, layers)})'
        " semi join overlay_customers using (customer_key, segment)"
    )


def _replacements(store: Path, layers: Iterable[Mapping[str, Sequence[str]]]) -> str:
    none = 'select null::varchar as "table", null::varchar as customer_key, 0 as segment'
    parts = [f"{none} where false"]
    for number, files in enumerate(layers):
        paths = catalogue_build.listed(store, files[REPLACED])
        parts.append(f"select *, {number} as segment from read_parquet({paths})")
    return " union all ".join(parts)
