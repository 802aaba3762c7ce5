"""Read the log of a Delta table: which files each version names; and shorten it.

Delta's own reader lists the files of one version. To find the files that any of thousands of
versions needs, this module reads the actions of the log in one pass.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rejse.pipelines.places import place
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.log_replay import LOG as LOG

#: Entries before the oldest needed version that a log may have before it is shortened.
SPARE = 20


def versions_of(store: Path, table: str) -> dict[int, int]:
    """Return the Delta version of `publications` by number of the publication it committed."""
    versions = {}
    for version, actions in _entries(store / table):
        for action in actions:
            number = action.get("commitInfo", {}).get("publication")
            if number is not None:
                versions[int(number)] = version
    return versions


def named(store: Path, table: str, versions: Collection[int]) -> set[str]:
    """Return names of the files that any of these versions, or the newest one, names.

    Names are without the folder. Raises DeltaError of deltalake where a version is no longer in the
    log.
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
                if any(since <= needed_version < version for needed_version in wanted):
                    needed.add(path)
        for action in actions:
            if "add" in action:
                alive.setdefault(action["add"]["path"], version)
    return needed | {path for path, since in alive.items() if since <= wanted[-1]}


def _entries(folder: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield version and actions of each entry that the log still has, oldest first."""
    for path in sorted((folder / LOG).glob("*.json")):
        if path.stem.isdigit():
            lines = path.read_text(encoding="utf-8").splitlines()
            yield int(path.stem), [json.loads(line) for line in lines]


def before(store: Path, table: str, version: int) -> list[Path]:
    """List entries and checkpoints of the log that no version from `version` on needs.

    Empty where there are no more than `SPARE` of them.
    """
    folder = store / table / LOG
    entries = [*folder.glob("*.json"), *folder.glob("*.checkpoint*.parquet")]
    obsolete = [path for path in entries if _version(path) is not None and _version(path) < version]
    return sorted(obsolete) if len(obsolete) > SPARE else []


def shorten(store: Path, table: str, version: int) -> list[Path]:
    """Write a checkpoint at `version`, remove older entries of the log and return their paths.

    Earlier versions cannot be opened afterwards. Call it only while holding the store's lock.
    """
    from deltalake import DeltaTable

    obsolete = before(store, table, version)
    if obsolete:
        DeltaTable(str(store / table), version=version).create_checkpoint()
        at = place.of(store)
        at.send([f"{table}/{LOG}/{version:020}.checkpoint.parquet"])
        at.remove(obsolete)
    return obsolete


def _version(path: Path) -> Any:
    """Return the version in the name of a file of the log; None where it has none."""
    digits = path.name.partition(".")[0]
    return int(digits) if digits.isdigit() else None
