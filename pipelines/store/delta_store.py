"""The store: one Delta table a folder, and the table `publications`.

A publication names the version of every table. It is committed last: a crash before it leaves
versions that no reader sees and that the next publication replaces. A commit is made on the version
that its writer read, so that the second of two writers fails.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import errors, log_replay, notes, traces
from rejse.pipelines.store.lock import locked, overtaken
from rejse.pipelines.store.orphans import SET_ASIDE, remove_orphans
from rejse.pipelines.store.staged_file import KEY, LAST_KEY, StagedFile

if TYPE_CHECKING:
    import pyarrow as pa

#: The table of all publications.
PUBLICATIONS = "publications"
#: File with the newest publication.
NOTE = "latest.json"
APP = "rejse"
#: Properties of a table: its log is never shortened behind our back; see `orphans`.
KEEP_LOG = {"delta.enableExpiredLogCleanup": "false"}
#: Latest time that Python can hold; a later watermark means the same.
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
    #: Hashes of rules and code by part; none of an earlier version.
    core_versions: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    #: Latest time read by kind of input, configured source and delivered name.
    latest: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the publication as a row of its table."""
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
            "core_versions": list(self.core_versions.items()),
            "latest": [(json.dumps(key), at) for key, at in self.latest.items()],
        }  # fmt: skip


@dataclass
class Writer:
    """The right to write to `store`, on top of the `previous` publication."""

    store: Path
    previous: Publication | None
    #: Version of `publications` that was read: the next commit must follow it directly.
    read_version: int
    #: Highest number of a publication that left a trace, even if the table has lost it.
    seen: int = 0
    #: Stand-in for a lost publication: holds the version of its receipts of erasures.
    lost: Publication | None = None

    @property
    def number(self) -> int:
        """Return the number of the next publication."""
        return max(self.seen, self.previous.number if self.previous else 0) + 1

    @property
    def receipts(self) -> Publication | None:
        """Return the publication whose receipts of erasures hold."""
        return self.lost or self.previous

    def run_ids(self) -> set[str]:
        """Read the ids of the runs that have published."""
        return {publication.run_id for publication in listed(self.store)}


@contextlib.contextmanager
def writing(store: Path, *, rebuild: bool = False) -> Iterator[Writer]:
    """Hold the store for writing; remove files that a crashed run left behind.

    The lock serves one machine; across machines the commit of `publications` decides.

    Raises:
        AnotherWriter: another process holds the store.
        StoreDamagedError: publications were lost, and this run is no `rebuild`.
    """
    with file_modes.kept(store), errors.writable(store), locked(store):
        place.of(store).refresh(is_held=True)
        seen, lost = traces.highest(store), None
        try:
            previous = latest(store)
        except errors.StoreDamagedError:
            if not rebuild or place.of(store).is_remote:  # there nothing can be set aside
                raise
            previous, lost = _without_lost(store)
        remove_orphans(store)
        # Made first of all tables: a store with others but without it has lost it.
        if not _exists(store, PUBLICATIONS):
            from rejse.transforms.schema import log_tables

            _make(store, PUBLICATIONS, log_tables.PUBLICATIONS.schema)
        yield Writer(store, previous, head(store, PUBLICATIONS), seen, lost)


def _without_lost(store: Path) -> tuple[Publication | None, Publication]:
    """Return the last readable publication of a damaged store, and a stand-in for the lost one.

    The stand-in keeps the receipts of erasures. A log that cannot be read is set aside.
    """
    try:
        readable = listed(store)
    except errors.StoreDamagedError:
        readable = []
        (store / PUBLICATIONS).rename(store / f"{PUBLICATIONS}{SET_ASIDE}{now()}")
    erasures = head(store, "erasures")
    lost = Publication(0, "", "", "", 0, {"erasures": erasures} if erasures >= 0 else {})
    return (readable[-1] if readable else None), lost


def latest(store: Path) -> Publication | None:
    """Return the newest publication, or None where nothing was published yet.

    Raises StoreDamagedError where publications were lost.
    """
    seen, noted = traces.highest(store), _noted(store)
    if noted is None:
        listing = publications(store)
        return listing[-1] if listing else None
    traces.refuse_lost(store, PUBLICATIONS, noted.number, seen)
    return noted


def note(store: Path, publication: Publication, file: str, catalogue: Path) -> None:
    """Note the newest publication, in the table's `file`, where it costs no library to read.

    With it what tells that its `catalogue`, which is still to get its name, was not changed since.
    """
    content = {"file": file, "publication": publication.row(), "catalogue": _stamp(catalogue)}
    notes.write(store / NOTE, content)


def is_settled(store: Path, publication: Publication) -> bool:
    """Return whether a publication is noted and current, and its catalogue as it was then."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        stamp = json.loads((store / NOTE).read_text(encoding="utf-8"))["catalogue"]
        is_whole = _stamp(traces.path(store, publication.number)) == stamp
        is_current = traces.pointed(store) == publication.number
        return is_whole and is_current and _noted(store) == publication
    return False


def _stamp(file: Path) -> list[int]:
    at = file.stat()
    return [at.st_size, at.st_mtime_ns, at.st_ino]


def _noted(store: Path) -> Publication | None:
    """Return the newest publication by its note; None where that is of another state, or none."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        noted = json.loads((store / NOTE).read_text(encoding="utf-8"))
        (file,) = named(store, PUBLICATIONS, head(store, PUBLICATIONS))
        if noted["file"] == file.path and (store / file.path).stat().st_size == file.bytes:
            return _publication(noted["publication"])
    return None


def publications(store: Path) -> list[Publication]:
    """List all publications, oldest first. Raises StoreDamagedError where some were lost."""
    seen = traces.highest(store)  # before the table, which a writer may add to meanwhile
    listing = listed(store)
    newest = listing[-1].number if listing else 0
    traces.refuse_lost(store, PUBLICATIONS, newest if _exists(store, PUBLICATIONS) else None, seen)
    return listing


def listed(store: Path) -> list[Publication]:
    """List the publications that the table still names. Call it only with the lock held."""
    version = head(store, PUBLICATIONS)
    tables = [read(store / path).to_pylist() for path in files(store, PUBLICATIONS, version)]
    return sorted((_publication(row) for rows in tables for row in rows), key=lambda p: p.number)


def head(store: Path, table: str) -> int:
    """Return the newest Delta version of `table`; -1 where it does not exist."""
    return log_replay.state(store, table).version if _exists(store, table) else -1


def _exists(store: Path, table: str) -> bool:
    return (store / table / log_replay.LOG).is_dir()


def files(store: Path, table: str, version: int) -> list[str]:
    """List files of `table` at `version`, relative to the store, sorted; none at version -1."""
    return [file.path for file in named(store, table, version)]


def named(store: Path, table: str, version: int) -> list[StagedFile]:
    """List files of `table` at `version` with their rows and bytes; none at version -1."""
    return [] if version < 0 else list(log_replay.state(store, table, version).files)


def standing(
    store: Path, table: str, files_: Sequence[StagedFile], columns: Collection[str]
) -> int | None:
    """Return the newest version of a table where it has just these files, and at least the columns.

    None where a commit is needed.
    """
    if not _exists(store, table):
        return None
    state = log_replay.state(store, table)
    is_same = {file.path for file in files_} == {file.path for file in state.files}
    return state.version if is_same and state.columns.issuperset(columns) else None


def commit_files(
    store: Path,
    table: str,
    files_: Sequence[StagedFile],
    columns: pa.Schema,
    run_id: str,
    number: int,
) -> int:
    """Make `files_` the content of `table` and return its version.

    One commit removes the other files of the table and adds those that it lacks. Where the table is
    `standing` there none is needed.
    """
    wanted = {file.path for file in files_}
    if not _exists(store, table):
        return _create(store, table, files_, columns, run_id, number)
    state = log_replay.state(store, table)
    present = {file.path for file in state.files}
    added = [file for file in files_ if file.path not in present]
    removed = sorted(present - wanted)
    with _committing(store, table, state.version, added) as folder:
        table_at = errors.opened(folder, state.version)
        return transact(store, table, table_at, added, columns, run_id, number, "append", removed)


def _create(
    store: Path, table: str, staged: Sequence[StagedFile], columns: pa.Schema, run_id: str,
    number: int,
) -> int:  # fmt: skip
    """Make a table with these files by one commit, which takes half as long as two.

    Returns its first version. Raises AnotherWriter where a writer on another machine was faster.
    """
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import create_table_with_add_actions

    (store / table).mkdir(parents=True, exist_ok=True)
    with _committing(store, table, -1, staged) as folder:
        try:
            create_table_with_add_actions(
                str(folder), _shape(columns), [_action(store, file) for file in staged],
                configuration=KEEP_LOG, commit_properties=_properties(run_id, number),
            )  # fmt: skip
        except DeltaError as error:
            raise overtaken(table, -1, head(store, table)) from error
    return 0


@contextlib.contextmanager
def _committing(
    store: Path, table: str, version: int, added: Sequence[StagedFile] = ()
) -> Iterator[Path]:
    """Yield the folder in which the entry after `version` is written, when its files are there.

    Raises AnotherWriter where another commit was faster.
    """
    at = place.of(store)
    at.send(file.path for file in added)
    try:
        with at.committing(table) as folder:
            yield folder
    except place.TakenError as error:
        raise overtaken(table, version, version + 1) from error


def commit(
    store: Path,
    table: str,
    staged: Sequence[StagedFile],
    columns: pa.Schema,
    run_id: str,
    number: int,
    expected: int | None = None,
) -> int:
    """Replace the content of `table` by the staged files; return the new Delta version.

    `expected` is the version that the writer read. Raises AnotherWriter, and changes nothing, where
    the table has moved on or moves while this commit is made.
    """
    if not _exists(store, table):
        _make(store, table, columns)
    version = head(store, table)
    if expected is not None and version != max(expected, 0):
        raise overtaken(table, expected, version)
    with _committing(store, table, version, staged) as folder:
        table_at = errors.opened(folder, version)
        return transact(store, table, table_at, staged, columns, run_id, number, "overwrite", ())


def transact(
    store: Path,
    table: str,
    table_at: Any,
    added: Sequence[StagedFile],
    columns: pa.Schema,
    run_id: str,
    number: int,
    mode: Literal["overwrite", "append"],
    removed: Sequence[str],
) -> int:
    """Commit added and removed files on the version of the open Delta table `table_at`.

    Returns the new version. Raises AnotherWriter where another commit was faster.
    """
    from deltalake.exceptions import CommitFailedError

    before = int(table_at.version())
    try:
        table_at.create_write_transaction(
            [*map(_removal, removed), *(_action(store, file) for file in added)],
            mode,
            _shape(columns),
            commit_properties=_properties(run_id, number),
        )
    except CommitFailedError as error:
        raise overtaken(table, before, before + 1) from error
    return before + 1  # no retries: it is made on the version read, or not at all


def _properties(run_id: str, number: int) -> Any:
    """Return what a commit says of its run; it is made on the version read, or not at all."""
    from deltalake import CommitProperties, Transaction

    return CommitProperties(
        custom_metadata={"run_id": run_id, "publication": str(number)},
        max_commit_retries=0,
        app_transactions=[Transaction(APP, number)],
    )


def _shape(columns: pa.Schema) -> Any:
    """Return the columns as a Delta schema."""
    import pyarrow as pa
    from deltalake import Schema

    return Schema.from_arrow(pa.schema([bare(column) for column in columns]))


def _make(store: Path, table: str, columns: pa.Schema) -> None:
    """Make an empty table. A writer on another machine may be faster."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    (store / table).mkdir(parents=True, exist_ok=True)
    with _committing(store, table, -1) as folder, contextlib.suppress(DeltaError):
        DeltaTable.create(str(folder), _shape(columns), mode="ignore", configuration=KEEP_LOG)


def _removal(path: str) -> Any:
    from deltalake.transaction import RemoveAction

    return RemoveAction(path.partition("/")[2], True, now() // 1000)


def _action(store: Path, file: StagedFile) -> Any:
    from deltalake.transaction import AddAction

    path = store / file.path
    stats: dict[str, Any] = {"numRecords": file.rows}
    if file.last != LAST_KEY:
        stats |= {"minValues": {KEY: file.first}, "maxValues": {KEY: file.last}}
    written = int(path.stat().st_mtime * 1000)
    return AddAction(path.name, file.bytes, {}, written, True, json.dumps(stats))


def bare(column: pa.Field) -> pa.Field:
    """Return the column as Delta knows it: no dictionary, nullable, without metadata."""
    import pyarrow as pa

    coded = pa.types.is_dictionary(column.type)
    return pa.field(column.name, column.type.value_type if coded else column.type)


def read(path: Path) -> pa.Table:
    """Read a whole, small file."""
    from rejse.pipelines.store import parquet_files

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
        core_versions=dict(row.get("core_versions") or ()),
        sources=dict(row.get("sources") or ()),
        latest={tuple(json.loads(key)): micros(at) for key, at in row.get("latest") or ()},
    )


def micros(at: datetime | int) -> int:
    """Return microseconds since 1970, exactly (a float of seconds would lose some)."""
    if isinstance(at, int):
        return at
    since_1970 = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970.days * 86_400 + since_1970.seconds) * 1_000_000 + since_1970.microseconds


def now() -> int:
    """Return the run clock: microseconds since 1970."""
    return time.time_ns() // 1000


def after(previous: Publication | None) -> int:
    """Return the time of the next publication: now, but always after `previous`."""
    return now() if previous is None else max(now(), previous.published_at + 1)
