"""The log of a Delta table: which files each version names, and how the log stays short.

Delta's own reader gives the files of one version; which of thousands of versions need a file is
read here from the actions themselves, in one pass over the log.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rejse.pipelines.store import delta_store as storage

LOG = "_delta_log"
#: Entries before the oldest needed version that a log may have before it is shortened.
SPARE = 20


def versions_of(store: Path, table: str) -> dict[int, int]:
    """Delta version of `publications` by number of the publication that its commit made."""
    found = {}
    for version, actions in _entries(store / table):
        for action in actions:
            number = action.get("commitInfo", {}).get("publication")
            if number is not None:
                found[int(number)] = version
    return found


def named(store: Path, table: str, versions: Collection[int]) -> set[str]:
    """Names of files that any of these versions or the newest one names, without the folder.

    Raises DeltaError of deltalake where a version is no longer in the log.
    """
    wanted = sorted({*versions, storage.head(store, table)} - {-1})
    if not wanted:
        return set()
    first = wanted[0]
    alive = {path.partition("/")[2]: first for path in storage.files(store, table, first)}
    needed: set[str] = set()
    for version, actions in _entries(store / table):
        if version <= first:
            continue
        for action in actions:
            if "remove" in action:
                path = action["remove"]["path"]
                since = alive.pop(path, version)
                if any(since <= one < version for one in wanted):
                    needed.add(path)
        for action in actions:
            if "add" in action:
                alive.setdefault(action["add"]["path"], version)
    return needed | {path for path, since in alive.items() if since <= wanted[-1]}


def _entries(folder: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Version and actions of each entry that the log still has, oldest first."""
    for path in sorted((folder / LOG).glob("*.json")):
        if path.stem.isdigit():
            lines = path.read_text(encoding="utf-8").splitlines()
            yield int(path.stem), [json.loads(line) for line in lines]


def before(store: Path, table: str, version: int) -> list[Path]:
    """Entries and checkpoints of the log that no version from `version` on needs, if many."""
    folder = store / table / LOG
    every = [*folder.glob("*.json"), *folder.glob("*.checkpoint*.parquet")]
    old = [path for path in every if _version(path) is not None and _version(path) < version]
    return sorted(old) if len(old) > SPARE else []


def shorten(store: Path, table: str, version: int) -> list[Path]:
    """Write a checkpoint at `version` and remove what the log has before it; returns that.

    Earlier versions cannot be opened afterwards. Call it only as the one writer of the store.
    """
    from deltalake import DeltaTable

    old = before(store, table, version)
    if old:
        DeltaTable(str(store / table), version=version).create_checkpoint()
        for path in old:
            path.unlink()
    return old


def _version(path: Path) -> Any:
    digits = path.name.partition(".")[0]
    return int(digits) if digits.isdigit() else None
