"""Read a version of a Delta table, its files and columns, by replaying the JSON of its log.

A run looks at some forty tables. Delta's own reader takes milliseconds for each, and its library a
tenth of a second to import, where a log is some lines of JSON. What is not written as rejse writes
it is left to that reader.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rejse.pipelines.store import errors
from rejse.pipelines.store.staged_file import FIRST_KEY, KEY, LAST_KEY, StagedFile

LOG = "_delta_log"
#: Actions of an entry; another one, or a later protocol, is left to the library.
ACTIONS = frozenset(("add", "remove", "metaData", "protocol", "txn", "commitInfo"))
READER = 1


@dataclass(frozen=True)
class TableState:
    """A version of a table: its files in order of their paths, and its columns."""

    version: int
    files: tuple[StagedFile, ...]
    columns: frozenset[str]


@dataclass(frozen=True)
class LogEntry:
    """A file of a log, an entry or a checkpoint, and what tells that it has changed."""

    version: int
    name: str
    stamp: tuple[int, int, int]


def state(store: Path, table: str, version: int | None = None) -> TableState:
    """Return the state of a table at a version, by default the newest one.

    Raises StoreDamagedError where its log cannot be read.
    """
    return _state(store, table, version, entries(store / table))


def entries(folder: Path) -> tuple[LogEntry, ...]:
    """List entries and checkpoints of a table's log; none where there is no log."""
    listed = []
    with contextlib.suppress(OSError), os.scandir(folder / LOG) as listing:
        for entry in listing:
            stem = entry.name.partition(".")[0]
            with contextlib.suppress(FileNotFoundError):  # another process shortens the log
                if stem.isdigit():
                    at = entry.stat()
                    stamp = (at.st_ino, at.st_mtime_ns, at.st_size)
                    listed.append(LogEntry(int(stem), entry.name, stamp))
    return tuple(sorted(listed, key=lambda entry: (entry.version, entry.name)))


@lru_cache(maxsize=256)
def _state(store: Path, table: str, version: int | None, log: tuple[LogEntry, ...]) -> TableState:
    """Return the state, read once as long as the log is the same."""
    if version is None:
        version = max((entry.version for entry in log), default=None)
    replayed = None if version is None else _replayed(store, table, version, log)
    return _opened(store, table, version) if replayed is None else replayed


def _replayed(
    store: Path, table: str, version: int, log: tuple[LogEntry, ...]
) -> TableState | None:
    """Replay the log up to a version; None where the library must read it."""
    checkpoints = [e.version for e in log if e.name == _checkpoint(e.version)]
    base = max((at for at in checkpoints if at <= version), default=-1)
    wanted = range(base + 1, version + 1)
    if not {_entry(at) for at in wanted} <= {entry.name for entry in log}:
        return None
    folder, files, columns = store / table / LOG, dict[str, Any](), frozenset[str]()
    try:
        for action in _actions(folder, base, wanted):
            ((kind, content),) = action.items()
            if kind == "add":
                files[content["path"]] = content
            elif kind == "remove":
                files.pop(content["path"], None)
            elif kind == "metaData":
                columns = frozenset(
                    field["name"] for field in json.loads(content["schemaString"])["fields"]
                )
            if kind not in ACTIONS or content.get("minReaderVersion", READER) > READER:
                return None
        staged = [_file(table, path, add) for path, add in files.items()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # the library says what is wrong
    staged.sort(key=lambda file: file.path)
    return TableState(version, tuple(staged), columns)


def _file(table: str, path: str, add: dict[str, Any]) -> StagedFile:
    stats = json.loads(add["stats"])
    first, last = (stats.get(end, {}).get(KEY) for end in ("minValues", "maxValues"))
    rows, size = stats["numRecords"], add["size"]
    return StagedFile(table, f"{table}/{path}", rows, size, first or FIRST_KEY, last or LAST_KEY)


def _actions(folder: Path, base: int, wanted: range) -> Iterator[dict[str, Any]]:
    """Yield what is needed of the checkpoint at `base`, if any, then the actions of entries."""
    if base >= 0:
        from rejse.pipelines.store import parquet_files

        for row in parquet_files.rows(folder / _checkpoint(base), _CHECKPOINTED).to_pylist():
            yield from ({kind: content} for kind, content in row.items() if content is not None)
    for at in wanted:
        for line in (folder / _entry(at)).read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


_CHECKPOINTED = ("add.path", "add.size", "add.stats", "metaData.schemaString",
                 "protocol.minReaderVersion")  # fmt: skip


def _entry(version: int) -> str:
    return f"{version:020}.json"


def _checkpoint(version: int) -> str:
    return f"{version:020}.checkpoint.parquet"


def _opened(store: Path, table: str, version: int | None) -> TableState:
    """Return the state as the library reads it. Raises StoreDamagedError."""
    table_at = errors.opened(store / table, version)
    actions = table_at.get_add_actions(flatten=True)
    given = set(actions.schema.names)
    columns = (
        actions.column(name).to_pylist() if name in given else [None] * actions.num_rows
        for name in ("path", "num_records", "size_bytes", f"min.{KEY}", f"max.{KEY}")
    )
    files = [
        StagedFile(table, f"{table}/{path}", n, size, first or FIRST_KEY, last or LAST_KEY)
        for path, n, size, first, last in zip(*columns, strict=True)
    ]
    files.sort(key=lambda file: file.path)
    names = frozenset(field.name for field in table_at.schema().fields)
    return TableState(int(table_at.version()), tuple(files), names)
