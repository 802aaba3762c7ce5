"""The store: one Delta table a folder, and `publications`, which is the truth.

A publication names the version of every table. It is committed last, so a crash before it
leaves versions that no reader sees and that the next publication writes over. A commit is made
on the version that its writer read, so that of two writers one is told so.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import errors, parquet_files, traces
from rejse.pipelines.store.lock import locked, overtaken
from rejse.pipelines.store.orphans import SET_ASIDE, remove_orphans
from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.schema.log_tables import PUBLICATIONS

APP = "rejse"
#: Latest time that Python can hold; a frontier beyond it says the same.
LAST = 253_402_300_799_999_999


@dataclass(frozen=True)
class Publication:
    """One published state; times are microseconds since 1970, UTC."""

    number: int
    run_id: str
    fingerprint: str
    config_version: str
    published_at: int
    versions: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    positions: Mapping[str, str] = field(default_factory=dict)
    frontiers: Mapping[str, int] = field(default_factory=dict)
    x_frontiers: Mapping[str, int] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    promise_checks: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    audit: str = "skipped"
    core_version: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    #: Latest time read by kind of input, configured source and delivered name.
    latest: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The publication as a row of its table."""
        return {
            "publication": self.number, "run_id": self.run_id,
            "fingerprint": self.fingerprint, "config_version": self.config_version,
            "published_at": self.published_at, "versions": list(self.versions.items()),
            "rows": list(self.rows.items()), "positions": list(self.positions.items()),
            "frontiers": [(name, min(at, LAST)) for name, at in self.frontiers.items()],
            "x_frontiers": [(name, min(at, LAST)) for name, at in self.x_frontiers.items()],
            "windows": list(self.windows.items()), "counts": list(self.counts.items()),
            "thresholds": list(self.thresholds.items()),
            "promise_checks": list(self.promise_checks.items()), "audit": self.audit,
            "core_version": self.core_version, "sources": list(self.sources.items()),
            "latest": [(json.dumps(key), at) for key, at in self.latest.items()],
        }  # fmt: skip


@dataclass
class Writer:
    """The right to write to `store`, on top of the publication that it found (`base`)."""

    store: Path
    base: Publication | None
    #: Version of `publications` that was read: the next commit must follow it directly.
    read_version: int
    #: Highest number of a publication that left a trace, also where the table has lost it.
    seen: int = 0
    #: Stands for a lost publication in what it says of erasures.
    lost: Publication | None = None

    @property
    def number(self) -> int:
        """Number of the next publication."""
        return max(self.seen, self.base.number if self.base else 0) + 1

    @property
    def receipts(self) -> Publication | None:
        """The publication whose receipts of erasures stand."""
        return self.lost or self.base


@contextlib.contextmanager
def writing(store: Path, *, rebuild: bool = False) -> Iterator[Writer]:
    """Hold the store for writing; files that an earlier crash left behind are removed.

    Raises AnotherWriter at once where another process holds it. The lock serves one machine;
    across machines the commit of `publications` decides. Raises StoreDamagedError where
    publications were lost, unless `rebuild` says that all is made anew.
    """
    with file_modes.kept(store), errors.writable(store), locked(store):
        seen, lost = traces.highest(store), None
        try:
            base = latest(store)
        except errors.StoreDamagedError:
            if not rebuild:
                raise
            base, lost = _remains(store)
        remove_orphans(store)
        # First of all tables: where others are and this one is not, it was lost.
        _opened(store / PUBLICATIONS.name, PUBLICATIONS.schema)
        yield Writer(store, base, head(store, PUBLICATIONS.name), seen, lost)


def _remains(store: Path) -> tuple[Publication | None, Publication]:
    """The last publication that a damaged store still names, and what stands for the lost one:
    who was erased stays so. A log that cannot be read is set aside.
    """
    try:
        found = listed(store)
    except errors.StoreDamagedError:
        found = []
        (store / PUBLICATIONS.name).rename(store / f"{PUBLICATIONS.name}{SET_ASIDE}{now()}")
    erasures = head(store, "erasures")
    lost = Publication(0, "", "", "", 0, {"erasures": erasures} if erasures >= 0 else {})
    return (found[-1] if found else None), lost


def latest(store: Path) -> Publication | None:
    """The newest publication, or None where nothing was published yet."""
    every = publications(store)
    return every[-1] if every else None


def publications(store: Path) -> list[Publication]:
    """All publications, oldest first. Raises StoreDamagedError where some were lost."""
    seen = traces.highest(store)  # before the table, which a writer may add to meanwhile
    found = listed(store)
    is_there = (store / PUBLICATIONS.name / "_delta_log").is_dir()
    newest = found[-1].number if found else 0
    traces.refuse_lost(store, PUBLICATIONS.name, newest if is_there else None, seen)
    return found


def listed(store: Path) -> list[Publication]:
    """All publications that the table still names, for the one writer of the store."""
    version = head(store, PUBLICATIONS.name)
    found = [read(store / path).to_pylist() for path in files(store, PUBLICATIONS.name, version)]
    return sorted((_publication(row) for rows in found for row in rows), key=lambda p: p.number)


def head(store: Path, table: str) -> int:
    """Newest Delta version of `table`; -1 where it does not exist."""
    folder = store / table
    if not (folder / "_delta_log").is_dir():
        return -1
    return int(errors.opened(folder).version())


def files(store: Path, table: str, version: int) -> list[str]:
    """Files of `table` at `version`, relative to the store, sorted; none at version -1."""
    if version < 0:
        return []
    return _paths(errors.opened(store / table, version), table)


def named(store: Path, table: str, version: int) -> list[StagedFile]:
    """Files of `table` at `version` with their rows and bytes; none at version -1."""
    if version < 0:
        return []
    said = errors.opened(store / table, version).get_add_actions(flatten=True)
    columns = (said.column(name).to_pylist() for name in ("path", "num_records", "size_bytes"))
    found = [
        StagedFile(table, f"{table}/{p}", n, size) for p, n, size in zip(*columns, strict=True)
    ]
    return sorted(found, key=lambda file: file.path)


def settle(
    store: Path,
    table: str,
    files_: Sequence[StagedFile],
    columns: pa.Schema,
    run_id: str,
    number: int,
) -> int:
    """Make `files_`, new ones and those that are there, the content of `table`; its version.

    One commit removes what is there beside them and adds what is not: files that stay are not
    touched, and where nothing comes or goes there is none.
    """
    folder, wanted = store / table, {file.path for file in files_}
    if not (folder / "_delta_log").is_dir():
        return commit(store, table, files_, columns, run_id, number)
    at = errors.opened(folder)
    here = set(_paths(at, table))
    new = [file for file in files_ if file.path not in here]
    gone = sorted(here - wanted)
    if not new and not gone and _has_columns(at, columns):
        return int(at.version())
    return transact(store, table, at, new, columns, run_id, number, "append", gone)


def _paths(at: Any, table: str) -> list[str]:
    """Files that a handle of the Delta table sees, relative to the store, sorted."""
    paths = at.get_add_actions(flatten=True).column("path").to_pylist()
    return sorted(f"{table}/{path}" for path in paths)


def _has_columns(at: Any, columns: pa.Schema) -> bool:
    return set(columns.names) <= {field.name for field in at.schema().fields}


def commit(
    store: Path,
    table: str,
    staged: Sequence[StagedFile],
    columns: pa.Schema,
    run_id: str,
    number: int,
    expected: int | None = None,
) -> int:
    """Replace the content of `table` by the staged files; the new Delta version.

    `expected` is the version that the writer read; where the table has moved on, or moves
    while this commit is made, AnotherWriter is raised and nothing changes.
    """
    at = _opened(store / table, columns)
    if expected is not None and at.version() != max(expected, 0):
        raise overtaken(table, expected, at.version())
    return transact(store, table, at, staged, columns, run_id, number, "overwrite", ())


def transact(
    store: Path, table: str, at: Any, new: Sequence[StagedFile], columns: pa.Schema, run_id: str,
    number: int, mode: Literal["overwrite", "append"], gone: Sequence[str],
) -> int:  # fmt: skip
    """One commit on the version that `at` stands at, of files that come and files that go."""
    from deltalake import CommitProperties, Transaction
    from deltalake.exceptions import CommitFailedError

    properties = CommitProperties(
        custom_metadata={"run_id": run_id, "publication": str(number)},
        max_commit_retries=0,
        app_transactions=[Transaction(APP, number)],
    )
    before = int(at.version())
    try:
        at.create_write_transaction(
            [*map(_removal, gone), *(_action(store, file) for file in new)],
            mode,
            _shape(columns),
            commit_properties=properties,
        )
    except CommitFailedError as error:
        raise overtaken(table, before, before + 1) from error
    return before + 1  # no retries: it is made on the version read, or not at all


def _shape(columns: pa.Schema) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(pa.schema([bare(column) for column in columns]))


def _opened(folder: Path, columns: pa.Schema) -> Any:
    """A handle of the Delta table, made empty where there is none."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if not (folder / "_delta_log").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        keep = {"delta.enableExpiredLogCleanup": "false"}  # see _ever_committed
        with contextlib.suppress(DeltaError):  # another machine's writer makes it at once
            return DeltaTable.create(
                str(folder), _shape(columns), mode="ignore", configuration=keep
            )
    return errors.opened(folder)


def _removal(path: str) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(path.partition("/")[2], True, now() // 1000)


def _action(store: Path, file: StagedFile) -> Any:
    from deltalake.transaction import AddAction

    path = store / file.path
    stats = json.dumps({"numRecords": file.rows})
    written = int(path.stat().st_mtime * 1000)
    return AddAction(path.name, file.bytes, {}, written, True, stats)


def bare(column: pa.Field) -> pa.Field:
    """The column as Delta knows it: no dictionary, nullable, without metadata."""
    coded = pa.types.is_dictionary(column.type)
    return pa.field(column.name, column.type.value_type if coded else column.type)


def read(path: Path) -> pa.Table:
    """One whole, small file."""
    return parquet_files.rows(path)


def _publication(row: Mapping[str, Any]) -> Publication:
    return Publication(
        number=row["publication"],
        run_id=row["run_id"],
        fingerprint=row["fingerprint"],
        config_version=row["config_version"],
        published_at=micros(row["published_at"]),
        versions=dict(row["versions"]),
        rows=dict(row["rows"]),
        positions=dict(row["positions"]),
        frontiers={name: micros(at) for name, at in row["frontiers"]},
        x_frontiers={name: micros(at) for name, at in row.get("x_frontiers") or ()},
        windows=dict(row["windows"]),
        thresholds=dict(row.get("thresholds") or ()),
        promise_checks=dict(row.get("promise_checks") or ()),
        counts=dict(row["counts"]),
        audit=row["audit"],
        core_version=row.get("core_version") or "",
        sources=dict(row.get("sources") or ()),
        latest={tuple(json.loads(key)): micros(at) for key, at in row.get("latest") or ()},
    )


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly (a float of seconds would lose some)."""
    gone = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (gone.days * 86_400 + gone.seconds) * 1_000_000 + gone.microseconds


def now() -> int:
    """The run clock: microseconds since 1970."""
    return time.time_ns() // 1000


def after(base: Publication | None) -> int:
    """When a publication is made: now, but where the clock has gone back, just after `base`."""
    return now() if base is None else max(now(), base.published_at + 1)
