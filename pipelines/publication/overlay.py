"""The overlay of a publication: what the hot core made of customers since, provisionally.

An overlay is a list of segments in the hidden folder `.live` of the store. A segment has the rows
of the customers that some steps scored, as files of the tables that would publish them, and names
in `REPLACED` whose published rows they replace. Of a customer the last segment holds. Segments at
least halve from one to the next, so that there are few and a row is written seldom. A manifest,
replaced atomically, names the publication and the segments; an overlay of another publication is
none. Nothing of it is ever published, and all of it can be removed at any moment.

Beside the segments lies a copy of the publication's catalogue whose tables read what a macro lists:
a session copies it and replaces that macro. In the list of each table is a file without rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.publication import catalogue, catalogue_build, catalogue_cache
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import checksums, delta_store, notes
from rejse.pipelines.store.state_reader import concatenated, keys_of, plain
from rejse.pipelines.store.traces import OVERLAY
from rejse.sql import SESSION, quoted
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import sorted_distinct
from rejse.transforms.errors import RejseError
from rejse.transforms.incremental.table_rows import LIVE_TABLES, REPLACED, replaced_customers
from rejse.transforms.schema.contract import CUSTOMER_KEY

MANIFEST, CATALOGUE = "current.json", "catalog.duckdb"
#: Seconds for which replaced segments stay: a query may still read them.
KEPT_FOR = 60.0
#: Seconds after which an overlay that nobody keeps is not read with an older publication.
STALE_AFTER = 10.0
NO_WATERMARKS: Mapping[str, int] = {}
NO_OVERLAY: dict[str, Any] = {"base": None, "segments": []}
#: Number of the step whose segment has no rows.
EMPTY = 0
_NAME = re.compile(r"[0-9]+-[0-9a-f]{32}")
_FILE = re.compile(rf"\.live/{_NAME.pattern}/[0-9]+/[a-z_]+/{checksums.FILE.pattern}")
#: Number of the step that wrote a row's file.
_STEP = "cast(regexp_extract(filename, '/([0-9]+)/[a-z_]+/part-', 1) as integer)"
#: Macro that lists the files of a table in the overlay.
FILES = "overlay_files"
#: End of the name of the view of a table's published rows, below the overlay's.
PUBLISHED = "__published"


class OverlayError(RejseError):
    """Provisional rows cannot be written; published ones are as they were."""


@dataclass(frozen=True)
class Segment:
    """Rows of some customers by stored table, and where they are written below the store."""

    customers: pa.Array
    tables: Mapping[str, pa.Table]
    folder: str
    files: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Manifest:
    """A manifest, and all files and folders that it names, below the store: none may be a link."""

    content: dict[str, Any]
    places: Sequence[str]


class Overlay:
    """Writer of the overlay of one publication; an overlay before it is removed."""

    def __init__(self, store: Path, base: int) -> None:
        """Begin without rows. Raises OverlayError where that cannot be written."""
        self._store, self._base, self._name = store, base, f"{base}-{uuid.uuid4().hex}"
        self._segments: list[Segment] = []
        self._retired: list[tuple[float, str]] = []
        self._step = EMPTY
        self._watermarks: dict[str, int] = {}
        shutil.rmtree(store / OVERLAY, ignore_errors=True)
        mode = file_modes.folder(file_modes.of(store))
        with _written(store):
            for folder in (store / OVERLAY, store / OVERLAY / self._name):
                folder.mkdir(mode=mode)
            self._empty = self._files(_without_rows())
            self._prepare_catalogue()

    def _prepare_catalogue(self) -> None:
        """Write the catalogue that sessions copy; without it they make their own."""
        published, made = catalogue.path(self._store, self._base), self._place / CATALOGUE
        with contextlib.suppress(FileNotFoundError, duckdb.Error):
            shutil.copyfile(published, made)
            made.chmod(0o600)
            _lay(self._store, made, self._empty)

    @property
    def _place(self) -> Path:
        return self._store / OVERLAY / self._name

    def add(
        self,
        customers: pa.Array,
        tables: Mapping[str, pa.Table],
        watermarks: Mapping[str, int] = NO_WATERMARKS,
    ) -> None:
        """Let these be the rows of some customers (sorted keys), by stored table.

        `watermarks`: microseconds up to which sources of interactions are complete, where they
        have moved since the publication.

        Raises:
            OverlayError: no row can be written, or the overlay was removed: the publication's rows
                are served.
        """
        self._watermarks |= watermarks
        private = published_tables.private()
        kept = {name: plain(rows) for name, rows in tables.items() if name not in private}
        self._step += 1
        while self._segments and len(self._segments[-1].customers) <= 2 * len(customers):
            last = self._segments.pop()
            self._retired.append((time.monotonic(), last.folder))
            customers, kept = _merged(last, customers, kept)
        with _written(self._store):
            folder = f"{OVERLAY}/{self._name}/{self._step}"
            self._segments.append(Segment(customers, kept, folder, self._files(kept)))
            self._announce()
        self._remove_retired()

    def keep(self) -> None:
        """Say that this overlay holds, though nothing came."""
        with contextlib.suppress(FileNotFoundError):  # nothing was added yet
            os.utime(self._store / OVERLAY / MANIFEST)

    def _files(self, tables: Mapping[str, pa.Table]) -> dict[str, list[str]]:
        """Write rows of the step as a file of each table; return their paths below the store.

        They are read a few times: to encode and to compress them would cost more than it saves.
        """
        files, mode = {}, file_modes.file(file_modes.of(self._store))
        (self._place / str(self._step)).mkdir()  # not if an erasure has removed the overlay
        for name, rows in tables.items():
            file = f"{OVERLAY}/{self._name}/{self._step}/{name}/{checksums.unfinished()}"
            (self._store / file).parent.mkdir()
            (self._store / file).touch(mode)  # the writer opens what is there and leaves its mode
            pq.write_table(
                rows, self._store / file, use_dictionary=False, write_statistics=[CUSTOMER_KEY]
            )
            files[name] = [file]
        return files

    def _announce(self) -> None:
        manifest = {
            "base": self._base, "name": self._name, "empty": self._empty,
            "segments": [dict(s.files) for s in self._segments], "watermarks": self._watermarks,
        }  # fmt: skip
        notes.write(self._store / OVERLAY / MANIFEST, manifest)

    def _remove_retired(self) -> None:
        while self._retired and self._retired[0][0] + KEPT_FOR <= time.monotonic():
            _, folder = self._retired.pop(0)
            shutil.rmtree(self._store / folder, ignore_errors=True)


@contextlib.contextmanager
def _written(store: Path) -> Iterator[None]:
    """Raise OverlayError where something cannot be written."""
    try:
        yield
    except OSError as fault:
        why = fault.strerror or fault
        raise OverlayError(f"expected to write provisional rows below {store}, came: {why}") from (
            fault
        )


def _without_rows() -> dict[str, pa.Table]:
    """Return all tables that an overlay may have, without rows."""
    shapes = {name: published_tables.schema(name) for name in _tables()}
    empty = {name: plain(shape.empty_table()) for name, shape in shapes.items()}
    return {**empty, REPLACED: replaced_customers({})}


def _tables() -> list[str]:
    """List the stored tables of rows of customers that everybody may read."""
    private = published_tables.private()
    return [
        name
        for name in published_tables.names()
        if name not in private and CUSTOMER_KEY in published_tables.schema(name).names
    ]


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
    if number is None or number == catalogue.pointed(store):
        return number
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
    number = _announced_manifest(store).content["base"]
    return None if number is None or _age(store) > STALE_AFTER else int(number)


def _manifest(store: Path) -> dict[str, Any]:
    """Read the manifest; one that is missing or damaged, or names other files, is that of none."""
    read = _announced_manifest(store)
    # To make paths of them would cost more than to look.
    is_linked = any(os.path.islink(f"{store}/{place}") for place in read.places)  # noqa: PTH114
    return NO_OVERLAY if is_linked else read.content


def _announced_manifest(store: Path) -> Manifest:
    """Read the manifest without a look at what it names."""
    try:
        return _parsed((store / OVERLAY / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Manifest(NO_OVERLAY, ())


@lru_cache(maxsize=4)
def _parsed(content: str) -> Manifest:
    """Parse a manifest; raises ValueError, or what comes of another shape, where it names others.

    It is looked at for each card, and has a hundred files.
    """
    read: dict[str, Any] = json.loads(content)
    if not isinstance(read["base"], int) or not _NAME.fullmatch(read["name"]):
        raise ValueError("no base")
    known, places = {REPLACED, *_tables()}, {OVERLAY}
    for files in (read["empty"], *read["segments"]):
        for name, listed in files.items():
            if name not in known:
                raise ValueError("no table")
            for file in listed:
                if not _FILE.fullmatch(file):
                    raise ValueError("no file of an overlay")
                parts = file.split("/")
                places |= {"/".join(parts[:n]) for n in range(2, len(parts) + 1)}
    return Manifest(read, tuple(places))


def amend(store: Path, file: Path, publication: int) -> None:
    """Let the tables of a catalogue have the rows of the overlay in place of those it replaces.

    All served views follow, since they read tables by name.
    """
    manifest = _manifest(store)
    if manifest["base"] != publication or not manifest["segments"]:
        _lay(store, file, {})
        return
    layers = (manifest["empty"], *manifest["segments"])
    prepared = file.with_suffix(".prepared")
    try:
        shutil.copyfile(store / OVERLAY / manifest["name"] / CATALOGUE, prepared)
        _list_files(store, prepared, layers)
    except (OSError, duckdb.Error):  # it is missing or damaged
        prepared.unlink(missing_ok=True)
        _lay(store, file, manifest["empty"])
        _list_files(store, file, layers)
    else:
        prepared.replace(file)


def _list_files(store: Path, file: Path, layers: Sequence[Mapping[str, Sequence[str]]]) -> None:
    with _catalogue(file) as con:
        con.execute(_listing(store, layers))


@contextlib.contextmanager
def _catalogue(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a catalogue for one transaction."""
    with duckdb.connect(str(file), config={"threads": 1}) as con:
        con.execute(SESSION)
        con.begin()
        yield con
        con.commit()


def _listing(store: Path, layers: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """Return `create macro` of the files of a table.

    Only files that macros list can be reached later (`catalogue.lock_down`).
    """
    names = dict.fromkeys(name for files in layers for name in files)
    cases = (
        f"when {quoted(name)} then "
        + catalogue_build.listed(store, [path for files in layers for path in files.get(name, ())])
        for name in names
    )
    return f"create or replace macro {FILES}(name) as case name {' '.join(cases)} end"


def _lay(store: Path, file: Path, empty: Mapping[str, Sequence[str]]) -> None:
    """Let the tables of a catalogue read the files that a macro lists; at first those `empty`."""
    with _catalogue(file) as con:
        if empty:
            con.execute(_listing(store, [empty]))
        con.execute(f"create view overlay_replacements as {_replacements(empty)}")
        con.execute(
            "create view overlay_customers as select customer_key, max(segment) as segment"
            " from overlay_replacements"
            f' where "table" = {quoted(LIVE_TABLES)} group by customer_key'
        )
        con.execute(
            'create view overlay_replaced as select "table", customer_key from overlay_replacements'
            " semi join overlay_customers using (customer_key, segment)"
        )
        for name in sorted(empty.keys() - {REPLACED}):
            con.execute(f"alter view {name} rename to {name}{PUBLISHED}")
            con.execute(f"create view {name} as {_rows(name)}")
        con.execute(
            "create view v_live as select *, customer_key in"
            " (select customer_key from overlay_customers) as is_provisional from journeys_live"
        )


def _rows(name: str) -> str:
    """Return the SELECT of a table: published rows that stay, then those of the last segments."""
    replacing = [name, LIVE_TABLES] if published_tables.is_live(name) else [name]
    return (
        f"select * from {name}{PUBLISHED} p where not exists (from overlay_replaced r where"
        f' r.customer_key = p.customer_key and r."table" in ({", ".join(map(quoted, replacing))}))'
        f" union all by name select s.* exclude (filename) from {_read(name)} s"
        f" join overlay_customers c on c.customer_key = s.customer_key and c.segment = {_STEP}"
    )


def _replacements(empty: Mapping[str, Sequence[str]]) -> str:
    """Return the SELECT of (table, customer) whose rows a segment replaces."""
    if not empty:
        return (
            'select null::varchar as "table", null::varchar as customer_key, 0 as segment'
            " where false"
        )
    return f"select * exclude (filename), {_STEP} as segment from {_read(REPLACED)}"


def _read(name: str) -> str:
    return f"read_parquet({FILES}({quoted(name)}), union_by_name = true, filename = true)"
