"""What an increment carries over from the last publication: files named again, or written again
without the customers whose rows were made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import parquet_files, staging
from rejse.pipelines.store.delta_store import PUBLICATIONS, RUNS, Publication
from rejse.pipelines.store.erasure_receipts import ERASURES
from rejse.pipelines.store.key_index import KEY, holding, key_index
from rejse.pipelines.store.staging import LIVE, StagedFile
from rejse.pipelines.store.state_reader import PublishedTables, plain
from rejse.transforms.columnar.arrays import arrow, flat, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions import published
from rejse.transforms.feedback.output_tables import PRIVATE
from rejse.transforms.incremental.cross_customer_ids import Words, leading
from rejse.transforms.incremental.table_rows import LIVE_TABLES
from rejse.transforms.ingest.rejects import CAPPED
from rejse.transforms.scoring.output_tables import REJECTS
from rejse.transforms.scoring.pending import PENDING

#: Customers whose rows are looked at by the audit at once.
AT_ONCE = 50_000
#: Tables that each publication writes itself.
BY_PUBLICATION = (RUNS.name, PUBLICATIONS.name, ERASURES.name)
#: Keys of no customers.
NOBODY = text([])


@dataclass(frozen=True)
class Carried:
    """Files of the last publication that the next one names too, and the customers made anew."""

    store: Path
    files: Mapping[str, Sequence[StagedFile]]
    customers: pa.Array

    def slices(self, scratch: Path) -> Iterator[StagedFile]:
        """Rows of these customers in the carried files, written below `scratch` for the audit:
        beside the new rows they are whole customers.
        """
        names = {table: [file.path for file in files] for table, files in self.files.items()}
        history, folder = PublishedTables(self.store, names), scratch / "slices"
        for table in names:
            if KEY not in _columns(table):
                continue
            for start in range(0, len(self.customers), AT_ONCE):
                rows = history.rows(table, self.customers.slice(start, AT_ONCE))
                file = None if rows is None else staging.write(folder, table, rows)
                if file is not None:
                    place = (folder / file.path).relative_to(self.store).as_posix()
                    yield replace(file, path=place)


def history(store: Path, base: Publication) -> PublishedTables:
    """The tables of a publication."""
    return PublishedTables(
        store, {name: storage.files(store, name, at) for name, at in base.versions.items()}
    )


def carry(
    store: Path,
    base: Publication,
    gone: Sequence[Path],
    texts_from: int | None,
    again: frozenset[tuple[str, str]] = frozenset(),
    staged: Sequence[StagedFile] = (),
) -> Carried:
    """Files to name again; those with rows of customers in `gone` are written again without.

    Rejects of the sources' files in `again` (source, name) go: the files were read again. So do
    those of crowds that are among the `staged` ones: their position is their id.
    """
    listed = _gone(gone)
    everywhere = listed.pop(LIVE_TABLES, NOBODY)
    files = {}
    for table, version in base.versions.items():
        if table in BY_PUBLICATION or table in published.tables():
            continue
        stands = table.endswith(LIVE) or table == PENDING.name
        who = listed.get(table, NOBODY)
        if stands:
            who = _rising(pa.concat_arrays([who, everywhere]))
        named = storage.named(store, table, version)
        since = texts_from if table.removesuffix(LIVE) in PRIVATE else None
        them = leading(who)
        files[table] = [kept for f in named for kept in _without(store, f, who, them, since)]
        refused = _crowds(store, staged) if table == REJECTS.name else frozenset()
        if table == REJECTS.name and (again or refused):
            told = again | refused
            files[table] = [kept for file in named for kept in _told_once(store, file, told)]
    return Carried(store, files, everywhere)


def _without(
    store: Path, file: StagedFile, customers: pa.Array, them: Words, since: int | None
) -> Iterator[StagedFile]:
    """The file without some customers (their keys, and `leading` of them) and what is older: as it
    is where it has none of either.
    """
    touched = len(customers) > 0 and bool(holding(key_index(store).of(file.path), them))
    if not touched and since is None:
        yield file
        return
    rows = parquet_files.rows(store / file.path)
    stays = pc.invert(pc.is_in(flat(rows.column(KEY)).cast(pa.string()), value_set=customers))
    if since is not None:
        stays = pc.and_(stays, arrow(values(rows.column("occurred_at")) >= since))
    yield from _left(store, file, rows, rows.filter(stays))


def _left(store: Path, file: StagedFile, rows: pa.Table, kept: pa.Table) -> Iterator[StagedFile]:
    """The file as it is where all its rows are kept, else a new one of those that are."""
    if kept.num_rows == rows.num_rows:
        yield file
        return
    again = staging.write(store, file.table, kept)
    if again is not None:
        yield again


def _crowds(store: Path, staged: Sequence[StagedFile]) -> frozenset[tuple[str, str]]:
    """Source and position of the rejects of customers above the event cap."""
    found: set[tuple[str, str]] = set()
    for file in staged:
        if file.table == REJECTS.name:
            rows = parquet_files.rows(store / file.path, ["source", "position", "reason"])
            rows = rows.filter(pc.equal(rows.column("reason"), CAPPED))
            columns = (rows.column(name).to_pylist() for name in ("source", "position"))
            found.update(zip(*columns, strict=True))
    return frozenset(found)


def _told_once(
    store: Path, file: StagedFile, again: frozenset[tuple[str, str]]
) -> Iterator[StagedFile]:
    """The file of rejects without those of files that were read again, or told again."""
    rows = parquet_files.rows(store / file.path)
    places = zip(*(rows.column(name).to_pylist() for name in ("source", "position")), strict=True)
    stays = [
        (source, place.rpartition(":")[0]) not in again and (source, place) not in again
        for source, place in places
    ]
    yield from _left(store, file, rows, rows.filter(arrow(np.array(stays, bool))))


def _gone(paths: Sequence[Path]) -> dict[str, pa.Array]:
    """Customers (sorted keys) whose rows were made anew, by table."""
    if not paths:
        return {}
    rows = pa.concat_tables(plain(parquet_files.rows(path)) for path in paths)
    tables = pc.unique(rows.column("table")).to_pylist()
    return {
        one: _rising(rows.filter(pc.equal(rows.column("table"), one)).column(KEY)) for one in tables
    }


def _rising(keys: pa.Array | pa.ChunkedArray) -> pa.Array:
    every = pc.unique(flat(keys))
    return every.take(pc.sort_indices(every))


def _columns(table: str) -> Sequence[str]:
    declared = staging.declared(table)
    return [] if declared is None else list(declared.names)
