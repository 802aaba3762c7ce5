"""Staged files that no commit names: left by a run that crashed before it published."""

from __future__ import annotations

import json
from pathlib import Path

from rejse.pipelines.places import place
from rejse.pipelines.store import errors

#: In the name of the folder of a table that was set aside because it cannot be read.
SET_ASIDE = ".damaged-"


def remove_orphans(store: Path) -> list[Path]:
    """Delete staged files that no commit names. Call it only with the store's lock held."""
    removed = []
    for folder in sorted(path for path in store.iterdir() if path.is_dir()):
        if SET_ASIDE in folder.name:
            continue
        files = list(folder.glob("part-*.parquet"))
        if not files:
            continue
        named = _ever_committed(folder)
        for path in files:
            if path.name not in named:
                removed.append(path)
    place.of(store).abandon(removed)
    return removed


def _ever_committed(folder: Path) -> set[str]:
    """Return names of all files that a commit in the log has added, or a checkpoint holds.

    Only `vacuum` shortens a log; what was current then is in the checkpoint that it writes.
    """
    named = set()
    for checkpoint in folder.glob("_delta_log/*.checkpoint*.parquet"):
        from rejse.pipelines.store import parquet_files

        added = parquet_files.rows(checkpoint, ["add.path"]).column("add").combine_chunks()
        named |= {path for path in added.field("path").to_pylist() if path is not None}
    for log in folder.glob("_delta_log/*.json"):
        for line in log.read_text(encoding="utf-8").splitlines():
            try:
                action = json.loads(line).get("add")
            except ValueError as fault:
                raise errors.unreadable(folder, f"{log.name}: {fault}") from None
            if action:
                named.add(action["path"])
    return named
