"""Carry the files of the previous publication forward into the next one.

A file without rows of rescored customers is named again. A file with such rows is written again
without them. Live rows that the run has made again as they were stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.store import checksums, parquet_files, staging
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import CustomerKeys, PublishedTables, plain
from rejse.pipelines.store.unchanged_rows import unchanged
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import arrow, sorted_distinct, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.table_rows import LIVE_TABLES
from rejse.transforms.ingest.rejects import CAPPED, REJECTS
from rejse.transforms.schema.contract import CUSTOMER_KEY

#: No keys.
NO_CUSTOMERS = text([])
NOT_REREAD: Mapping[tuple[str, str], int] = {}


@dataclass(frozen=True)
class CarriedFiles:
    """What the next publication names of the previous one.

    Attributes:
        store: Folder of the store.
        files: Files by table.
        customers: The rescored customers.
        staged: Files of the run, without the live rows that stay.
    """

    store: Path
    files: Mapping[str, Sequence[StagedFile]]
    customers: pa.Array
    staged: Sequence[StagedFile] = ()

    def rows(self, table: str, columns: list[str], low: str, high: str | None) -> pa.Table | None:
        """Read the carried rows of rescored customers from `low` to before `high` (None: no end).

        Together with the staged rows they are all rows of these customers. A column that the files
        lack is null; None where there are no rows.
        """
        customers = self.customers.filter(pc.greater_equal(self.customers, low))
        if high is not None:
            customers = customers.filter(pc.less(customers, high))
        read = list(dict.fromkeys((CUSTOMER_KEY, *columns)))
        rows = PublishedTables(self.store, self.files).rows(table, customers, read)
        if rows is None:
            return None
        kinds = published_tables.schema(table)
        return pa.table({
            name: rows.column(name) if name in rows.column_names
            else pa.nulls(rows.num_rows, kinds.field(name).type)
            for name in columns
        })  # fmt: skip


def published(store: Path, publication: Publication) -> PublishedTables:
    """Return the tables of a publication."""
    return PublishedTables(
        store, {name: storage.named(store, name, at) for name, at in publication.versions.items()}
    )


def carry_forward(
    store: Path,
    previous: Publication,
    replaced: Sequence[Path],
    texts_from: int | None,
    reread: Mapping[tuple[str, str], int] = NOT_REREAD,
    staged: Sequence[StagedFile] = (),
) -> CarriedFiles:
    """Select the files to name again; write files with rows of `replaced` customers again without.

    Args:
        store: folder of the store.
        previous: publication whose files are carried forward.
        replaced: files with the columns `table` and `customer_key`: customers whose rows of a table
            the run replaces.
        texts_from: time in microseconds; older rows of private tables are dropped. None: keep all.
        reread: First row that the run reads again, by source and file name; rejects from it on are
            dropped.
        staged: files of the run. Rejects of customers above the event cap that are among them
            replace those at the same position. A file with rows that stay is removed.
    """
    by_table = _replaced_customers(replaced)
    everywhere = by_table.pop(LIVE_TABLES, NO_CUSTOMERS)
    files, stays = {}, {}
    for table, version in previous.versions.items():
        if published_tables.is_written_whole(table):
            continue
        named = storage.named(store, table, version)
        customers = by_table.get(table, NO_CUSTOMERS)
        since = texts_from if published_tables.table_of(table).is_private else None
        if published_tables.is_live(table):
            customers = sorted_distinct(pa.concat_arrays([customers, everywhere]))
            made = [file for file in staged if file.table == table]
            stays[table] = CustomerKeys(unchanged(store, named, made, customers))
            customers = customers.filter(arrow(~stays[table].mask(Categorical.of(customers))))
        keys = CustomerKeys(customers)
        files[table] = [
            kept for file in named for kept in _without_customers(store, file, keys, since)
        ]
        capped = _over_event_cap(store, staged) if table == REJECTS.name else frozenset()
        if table == REJECTS.name and (reread or capped):
            files[table] = [
                kept for file in named for kept in _without_rejects(store, file, reread, capped)
            ]
    left = _without_unchanged(store, staged, stays)
    return CarriedFiles(store, files, everywhere, tuple(left))


def reuse_equal(
    store: Path, previous: Publication | None, staged: Iterable[StagedFile]
) -> Iterator[StagedFile]:
    """Yield the staged files; in place of one with the bytes of a published file of its table that.

    The staged file is then removed, and the table keeps its version. Files whose rows carry no run
    can be equal: those of operational tables.
    """
    versions = {} if previous is None else previous.versions
    for file in staged:
        published = storage.named(store, file.table, versions.get(file.table, -1))
        equal = [old for old in published if _is_equal(store, old, file)]
        if equal:
            (store / file.path).unlink()
        yield equal[0] if equal else file


def _is_equal(store: Path, old: StagedFile, new: StagedFile) -> bool:
    """Return whether a published file, as it is now, has the content of a staged one."""
    if old.bytes != new.bytes:
        return False
    try:
        return checksums.of(store / old.path) == checksums.recorded(Path(new.path).name)
    except OSError:
        return False


def _without_customers(
    store: Path, file: StagedFile, customers: CustomerKeys, since: int | None
) -> Iterator[StagedFile]:
    """Yield the file without the rows of some customers and without rows older than `since`.

    A file that loses no row is yielded as it is.
    """
    if since is None and not customers.have_rows_in(store, file):
        yield file
        return
    rows = parquet_files.rows(store / file.path)
    is_kept = arrow(~customers.mask(Categorical.of(rows.column(CUSTOMER_KEY))))
    if since is not None:
        time = rows.column(published_tables.table_of(file.table).retention)
        is_kept = pc.and_(is_kept, arrow(values(time) >= since))
    yield from _kept_file(store, file, rows, rows.filter(is_kept))


def _without_unchanged(
    store: Path, staged: Sequence[StagedFile], stays: Mapping[str, CustomerKeys]
) -> Iterator[StagedFile]:
    """Yield the staged files without rows of the customers whose rows of a table stay."""
    for file in staged:
        if file.table not in stays:
            yield file
            continue
        left = [*_without_customers(store, file, stays[file.table], None)]
        yield from left
        if file not in left:
            (store / file.path).unlink()


def _kept_file(
    store: Path, file: StagedFile, rows: pa.Table, kept: pa.Table
) -> Iterator[StagedFile]:
    """Yield the file as it is where all its rows are kept, else a new file of the kept rows."""
    if kept.num_rows == rows.num_rows:
        yield file
        return
    stage = staging.Stage(store)
    yield from stage.add(file.table, kept)
    yield from stage.close()


def _over_event_cap(store: Path, staged: Sequence[StagedFile]) -> frozenset[tuple[str, str]]:
    """Return source and position of staged rejects of customers above the event cap."""
    rejects: set[tuple[str, str]] = set()
    for file in staged:
        if file.table == REJECTS.name:
            rows = parquet_files.rows(store / file.path, ["source", "position", "reason"])
            rows = rows.filter(pc.equal(rows.column("reason"), CAPPED))
            columns = (rows.column(name).to_pylist() for name in ("source", "position"))
            rejects.update(zip(*columns, strict=True))
    return frozenset(rejects)


def _without_rejects(
    store: Path,
    file: StagedFile,
    reread: Mapping[tuple[str, str], int],
    capped: frozenset[tuple[str, str]],
) -> Iterator[StagedFile]:
    """Yield the file of rejects without those from a row of some source files on.

    Nor has it those at some positions: `capped` holds (source, position).
    """
    rows = parquet_files.rows(store / file.path)
    positions = zip(
        *(rows.column(name).to_pylist() for name in ("source", "position")), strict=True
    )
    is_kept = [
        (source, position) not in capped and not _is_repeated(source, position, reread)
        for source, position in positions
    ]
    yield from _kept_file(store, file, rows, rows.filter(arrow(np.array(is_kept, bool))))


def _is_repeated(source: str, position: str, reread: Mapping[tuple[str, str], int]) -> bool:
    file, _, row = position.rpartition(":")
    first = reread.get((source, file))
    return first is not None and (not first or int(row.partition(".")[0]) >= first)


def _replaced_customers(paths: Sequence[Path]) -> dict[str, pa.Array]:
    """Read the customers (sorted keys) whose rows the run replaces, by table."""
    if not paths:
        return {}
    rows = pa.concat_tables(plain(parquet_files.rows(path)) for path in paths)
    tables = pc.unique(rows.column("table")).to_pylist()
    return {
        table: sorted_distinct(
            rows.filter(pc.equal(rows.column("table"), table)).column(CUSTOMER_KEY)
        )
        for table in tables
    }
