"""Publish: balance -> audit -> one commit a table -> `publications` -> pointer.

Nothing that a reader sees changes before the last two steps, and each of those is atomic. What a
crash leaves between them is finished by the next run (`roll_forward`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.places import place
from rejse.pipelines.publication import audit as auditing
from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.publication.audit import Audit, AuditError
from rejse.pipelines.publication.run_row import Run
from rejse.pipelines.publication.writing import files_of, roll_forward, writing
from rejse.pipelines.store import attempts, erasure_receipts, parquet_files, staging
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.carry_forward import CarriedFiles
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.pipelines.store.join_files import join_small
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from rejse.transforms.errors import DataError
from rejse.transforms.schema.log_tables import COUNTS, PUBLICATIONS, RUNS
from rejse.transforms.schema.registry import Table

__all__ = ["AuditError", "BalanceError", "Run", "files_of", "publish", "roll_forward", "writing"]


class BalanceError(DataError):
    """Rows are accounted for nowhere, or twice; nothing was published."""


def publish(
    writer: Writer,
    staged: Sequence[StagedFile],
    run: Run,
    *,
    audit: Audit | None = auditing.audit,
    carried: CarriedFiles | None = None,
) -> Publication:
    """Publish the staged files, and those `carried` forward, as the whole content of their tables.

    Tables without a file become empty. Until the end of this function no reader sees a change.

    Args:
        writer: the right to write to the store.
        staged: files of the run.
        run: counts, sources and configuration of the run.
        audit: None leaves the audit out, and the publication records that.
        carried: files of the previous publication to name again.

    Raises:
        BalanceError: rows are unaccounted for.
        AuditError: staged rows broke a critical rule.
        AnotherWriter: another writer was faster.
        SettingsError: a promise check is not lawful.
    """
    check_balance(run)
    store, previous = writer.store, writer.previous
    number = writer.number
    report = audit(store, _by_table(store, staged), carried, run.run_id) if audit else None
    if report is not None and not report.passed:
        raise AuditError(report)
    kept = {} if carried is None else carried.files
    carried_files = [file for files in kept.values() for file in files]
    by_table = join_small(store, previous, _by_table(store, [*staged, *carried_files]))
    state = "skipped" if report is None else ("warned" if report.findings else "passed")
    publication = run.publication(number, storage.after(previous), state)
    failed = [attempt.row() for attempt in attempts.failed_on(store, previous)]
    by_table[RUNS.name] = _with_rows(store, previous, RUNS, [*failed, run.row(publication)])
    by_table |= erasure_receipts.receipt_files(
        store, writer.receipts
    )  # also where all is read anew
    versions = _commit_tables(store, by_table, publication)
    rows = {table: sum(file.rows for file in by_table.get(table, ())) for table in versions}
    done = replace(publication, versions=versions, rows=rows)
    return announce(
        writer, done, {table: [file.path for file in files] for table, files in by_table.items()}
    )


def announce(writer: Writer, done: Publication, named: Mapping[str, Sequence[str]]) -> Publication:
    """Make `done`, whose tables hold the files `named`, the current publication.

    This is the last step; the writer builds on it from then on. Raises AnotherWriter or
    SettingsError (a promise check), and then no reader sees a change.
    """
    store, number = writer.store, done.number
    publications = _with_rows(
        store, writer.previous, PUBLICATIONS, [done.row()], writer.read_version
    )
    files = {**named, PUBLICATIONS.name: [file.path for file in publications]}
    place.of(store).send(file.path for file in publications)  # for whom the catalogue is asked
    # A broken view or check must publish nothing.
    built = catalogue_build.build(store, number, files, done.promise_checks)
    storage.commit(
        store,
        PUBLICATIONS.name,
        publications,
        PUBLICATIONS.schema,
        done.run_id,
        number,
        writer.read_version,
    )
    storage.note(store, done, publications[0].path, built.file)
    catalogue.activate(store, number, built.file, built.continues)
    writer.previous, writer.read_version = done, storage.head(store, PUBLICATIONS.name)
    return done


def check_balance(run: Run) -> None:
    """Raise BalanceError where read != kept + duplicate + late + rejected + erased."""
    gap, reasons = run.difference, sum(run.reasons.values())
    if gap == 0 and reasons == run.counts.get("rejected", 0):
        return
    counts = ", ".join(f"{name} {run.counts.get(name, 0):,}" for name in COUNTS)
    raise BalanceError(
        "expected read = kept + duplicate + late + rejected + erased, and every reject with a "
        f"reason; came {counts}: difference {gap:,}, rejects with a reason {reasons:,}. Nothing "
        "was published; this is a fault of rejse, please report it with the run's sources"
    )


def _by_table(store: Path, staged: Sequence[StagedFile]) -> dict[str, list[StagedFile]]:
    """Return staged files by table, sorted. Raises FileNotFoundError where one is missing."""
    known = published_tables.versioned()
    by_table: dict[str, list[StagedFile]] = {name: [] for name in known}
    for file in sorted(staged, key=lambda f: (f.table, f.path)):
        if file.table not in by_table:
            raise KeyError(f"table {file.table}: expected one of {', '.join(known)}")
        if not (store / file.path).exists():
            raise FileNotFoundError(
                f"expected the staged file {file.path}, it is gone; another run may have "
                "cleaned the store: nothing was published, run again"
            )
        by_table[file.table].append(file)
    return {name: files for name, files in by_table.items() if files or _is_committed(store, name)}


def _is_committed(store: Path, name: str) -> bool:
    """Return whether a table without rows is committed: not one that the store never had."""
    is_rare = published_tables.table_of(name).lifecycle in ("snapshot", "log")
    return not is_rare or storage.head(store, name) >= 0


def _commit_tables(
    store: Path, by_table: Mapping[str, Sequence[StagedFile]], publication: Publication
) -> dict[str, int]:
    """Commit each table; return the versions, which no reader sees before publication.

    That of runs is first, which each run changes: of two writers on an object store, where the
    others are committed several at a time, the one that is overtaken there has overtaken nobody.
    """
    first = RUNS.name
    rest = [table for table in by_table if table != first]

    def commit(table: str) -> int:
        return commit_table(store, table, by_table[table], publication)

    versions = {first: commit(first)}
    versions |= zip(rest, place.of(store).all_of(commit, rest), strict=True)
    return {table: versions[table] for table in by_table}


def commit_table(
    store: Path, table: str, files: Sequence[StagedFile], publication: Publication
) -> int:
    """Commit files as the whole content of a table; return the version."""
    declared = published_tables.schema(table).names
    if (version := storage.standing(store, table, files, declared)) is not None:
        return version
    columns = _columns_of(store, table, files)
    return storage.commit_files(
        store, table, files, columns, publication.run_id, publication.number
    )


def _columns_of(store: Path, table: str, files: Sequence[StagedFile]) -> pa.Schema:
    """Return the declared columns and all others of the files."""
    shapes = [parquet_files.schema(store / file.path).remove_metadata() for file in files]
    bare = [
        pa.schema([storage.bare(c) for c in s]) for s in (*shapes, published_tables.schema(table))
    ]
    return pa.unify_schemas(bare)


def _with_rows(
    store: Path,
    previous: Publication | None,
    table: Table,
    added: Sequence[Mapping[str, Any]],
    version: int | None = None,
) -> list[StagedFile]:
    """Stage the table's published rows and those added as one file."""
    last = (
        version
        if version is not None
        else (previous.versions.get(table.name, -1) if previous else -1)
    )
    rows = [
        _widened(storage.read(store / path), table.schema.remove_metadata())
        for path in storage.files(store, table.name, last)
    ]
    last_rows = pa.Table.from_pylist([*map(dict, added)], schema=table.schema)
    whole = pa.concat_tables([*(t.replace_schema_metadata(None) for t in rows), last_rows])
    file = staging.write(store, table.name, whole)
    return [file] if file else []


def _widened(rows: pa.Table, shape: pa.Schema) -> pa.Table:
    """Return rows in the columns of `shape`; null where an earlier version wrote none."""
    given = set(rows.column_names)
    columns = [
        rows[field.name].cast(field.type)
        if field.name in given
        else pa.nulls(rows.num_rows, field.type)
        for field in shape
    ]
    return pa.Table.from_arrays(columns, schema=shape)
