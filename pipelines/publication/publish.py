"""Publication: stage -> balance -> audit -> one commit a table -> `publications` -> pointer.

Nothing that a reader sees changes before the last two steps, and each of those is atomic. What
a crash leaves between them is finished by the next run (`roll_forward`).
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.publication import audit_client as auditing
from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.publication.audit_client import Audit, AuditError, Report
from rejse.pipelines.publication.run_row import Run
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import erasure_receipts, file_index, parquet_files, staging
from rejse.pipelines.store.delta_store import COUNTS, PUBLICATIONS, RUNS, Publication, Writer
from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.dimensions import published
from rejse.transforms.errors import DataError
from rejse.transforms.schema.registry import Table

#: Folders of a run for what is not staged yet, gone with it.
SCRATCH = ".scratch-"

__all__ = ["AuditError", "BalanceError", "Run", "publish", "writing"]


class BalanceError(DataError):
    """Rows came in that are accounted for nowhere, or twice; nothing was published."""


@contextlib.contextmanager
def writing(store: Path, *, rebuild: bool = False) -> Iterator[Writer]:
    """Hold the store for one run, after finishing what a crashed one had left half done.

    `writer.base` is the publication to build on. Raises AnotherWriter, and StoreDamagedError where
    publications were lost, unless the run is to `rebuild` all.
    """
    with storage.writing(store, rebuild=rebuild) as writer:
        for draft in store.glob("*.making*"):
            draft.unlink(missing_ok=True)  # another machine may be at it
        for scratch in store.glob(f"{SCRATCH}*"):  # also where the next run finds nothing new
            shutil.rmtree(scratch, ignore_errors=True)
        file_index.tidy(store)
        if writer.base is not None and writer.lost is None:
            roll_forward(store, writer.base)
        yield writer


def publish(
    writer: Writer,
    staged: Sequence[StagedFile],
    run: Run,
    *,
    audit: Audit | None = auditing.audit,
    carried: Mapping[str, Sequence[StagedFile]] | None = None,
    beside: Sequence[StagedFile] = (),
) -> Publication:
    """Publish the staged files, and those `carried` over, as the whole content of their tables.

    Tables without a file become empty. The audit looks at what is staged and `beside` it. Raises
    BalanceError, AuditError, AnotherWriter or SettingsError (a promise check), and then no reader
    sees anything of it. `audit=None` leaves Great Expectations out, and the publication says so.
    """
    check_balance(run)
    store, base = writer.store, writer.base
    number = writer.number
    looked_at = _by_table(store, [*staged, *beside])
    report = _passed(audit(store, looked_at, run.run_id)) if audit else None
    kept = [file for files in (carried or {}).values() for file in files]
    every = _by_table(store, [*staged, *kept])
    state = "skipped" if report is None else ("warned" if report.findings else "passed")
    draft = run.publication(number, storage.after(base), state)
    every[RUNS.name] = _appended(store, base, RUNS, run.row(draft))
    every |= erasure_receipts.standing(store, writer.receipts)  # also where all is read anew
    versions = _commit_tables(store, every, draft)
    rows = {table: sum(file.rows for file in every.get(table, ())) for table in versions}
    done = replace(draft, versions=versions, rows=rows)
    return announce(
        writer, done, {table: [file.path for file in files] for table, files in every.items()}
    )


def announce(writer: Writer, done: Publication, named: Mapping[str, Sequence[str]]) -> Publication:
    """The last step: make `done`, whose tables hold the files `named`, the current publication.

    The writer builds on it from then on.

    Raises AnotherWriter or SettingsError (a promise check), and then no reader sees it.
    """
    store, number = writer.store, done.number
    last = _appended(store, writer.base, PUBLICATIONS, done.row(), writer.read_version)
    every = {**named, PUBLICATIONS.name: [file.path for file in last]}
    # A broken view or check must publish nothing.
    drafted = catalogue_build.draft(store, number, every, done.promise_checks)
    storage.commit(
        store, PUBLICATIONS.name, last, PUBLICATIONS.schema, done.run_id, number,
        writer.read_version,
    )  # fmt: skip
    catalogue.settle(store, number, drafted)
    writer.base, writer.read_version = done, storage.head(store, PUBLICATIONS.name)
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


def roll_forward(store: Path, base: Publication) -> None:
    """Finish a publication that was committed, but whose pointer a crash left behind, or broken;
    a catalogue that is broken or gone is made anew.
    """
    is_whole = catalogue.is_whole(catalogue.path(store, base.number))
    if not is_whole or catalogue.pointed(store) != base.number:
        drafted = catalogue_build.draft(
            store, base.number, files_of(store, base), base.promise_checks
        )
        catalogue.settle(store, base.number, drafted)


def files_of(store: Path, publication: Publication) -> dict[str, list[str]]:
    """Files of every table of a publication; of `publications` the newest."""
    versions = dict(publication.versions)
    versions[PUBLICATIONS.name] = storage.head(store, PUBLICATIONS.name)
    return {table: storage.files(store, table, at) for table, at in versions.items()}


def _by_table(store: Path, staged: Sequence[StagedFile]) -> dict[str, list[StagedFile]]:
    """Staged files by table, in an order of their own; each must still be there."""
    known = catalogue.published_tables()
    every: dict[str, list[StagedFile]] = {name: [] for name in known}
    for file in sorted(staged, key=lambda f: (f.table, f.path)):
        if file.table not in every:
            raise KeyError(f"table {file.table}: expected one of {', '.join(known)}")
        if not (store / file.path).exists():
            raise FileNotFoundError(
                f"expected the staged file {file.path}, it is gone; another run may have "
                "cleaned the store: nothing was published, run again"
            )
        every[file.table].append(file)
    return {name: files for name, files in every.items() if files or _was(store, name)}


def _was(store: Path, name: str) -> bool:
    """Whether a table without rows is to be committed: not one that no installation of it has."""
    rare = (*published.tables(), erasure_receipts.ERASURES.name)
    return name not in rare or storage.head(store, name) >= 0


def _passed(report: Report) -> Report:
    if not report.passed:
        raise AuditError(report)
    return report


def _commit_tables(
    store: Path, every: Mapping[str, Sequence[StagedFile]], draft: Publication
) -> dict[str, int]:
    """One commit a table; the versions, which nobody reads before they are published."""
    return {table: settled(store, table, files, draft) for table, files in every.items()}


def settled(store: Path, table: str, files: Sequence[StagedFile], draft: Publication) -> int:
    """Version of the table that holds these files, and no others, for a publication to come."""
    columns = _columns_of(store, table, files)
    return storage.settle(store, table, files, columns, draft.run_id, draft.number)


def _columns_of(store: Path, table: str, files: Sequence[StagedFile]) -> pa.Schema:
    """Declared columns and whatever else the files have."""
    shapes = [parquet_files.schema(store / file.path).remove_metadata() for file in files]
    bare = [pa.schema([storage.bare(c) for c in s]) for s in (*shapes, catalogue.columns(table))]
    return pa.unify_schemas(bare)


def _appended(
    store: Path,
    base: Publication | None,
    table: Table,
    row: Mapping[str, Any],
    version: int | None = None,
) -> list[StagedFile]:
    """Stage the table's published rows with one more; small tables stay one file."""
    at = version if version is not None else (base.versions.get(table.name, -1) if base else -1)
    old = [
        _widened(storage.read(store / path), table.schema.remove_metadata())
        for path in storage.files(store, table.name, at)
    ]  # fmt: skip
    new = pa.Table.from_pylist([dict(row)], schema=table.schema)
    whole = pa.concat_tables([*(t.replace_schema_metadata(None) for t in old), new])
    file = staging.write(store, table.name, whole)
    return [file] if file else []


def _widened(rows: pa.Table, shape: pa.Schema) -> pa.Table:
    """Rows in the columns of `shape`; null where an earlier version did not write one yet."""
    given = set(rows.column_names)
    columns = [
        rows[field.name].cast(field.type)
        if field.name in given
        else pa.nulls(rows.num_rows, field.type)
        for field in shape
    ]
    return pa.Table.from_arrays(columns, schema=shape)
