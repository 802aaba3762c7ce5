"""File modes of the store: private to its owner, or shared with the owner's group.

The mode of the store's folder decides: all writers follow it. In a shared store each folder hands
its group on to new files in it (setgid), so that several accounts can take turns.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Mode = Literal["private", "group"]
#: Mode bits of the folder of a shared store; no other folder has both by chance.
_OF_GROUP = stat.S_ISGID | stat.S_IWGRP

#: File with the request of an erasure that is not finished.
ERASING = ".erasing.json"
#: Folder of the ledger of alerts.
ALERTS = ".alerts"
#: Files and folders of a store beside its tables.
FILES = ("catalog-*.duckdb", "rejse.duckdb*", "current", "latest.json", "unjoined.json",
         "verified.json", ".attempts.jsonl", ".writer.lock", ".live.lock",
         ERASING)  # fmt: skip
FOLDERS = frozenset(("audits", "quarantine", "archive", ".ids", ALERTS))


def of(store: Path) -> Mode:
    """Return the mode of a store by its folder; private where there is none yet."""
    try:
        return "group" if store.stat().st_mode & _OF_GROUP == _OF_GROUP else "private"
    except FileNotFoundError:
        return "private"


def file(mode: Mode) -> int:
    """Return the permission bits of a file."""
    return 0o660 if mode == "group" else 0o600


def folder(mode: Mode) -> int:
    """Return the permission bits of a folder."""
    return 0o2770 if mode == "group" else 0o700


def read_only(file: Path) -> None:
    """Remove the write permission of a finished file.

    A file of the store is never written again, only removed.
    """
    file.chmod(file.stat().st_mode & ~0o222)


@contextmanager
def kept(store: Path) -> Iterator[None]:
    """Create files inside the context with the store's mode (by umask)."""
    before = os.umask(0o777 & ~folder(of(store)))
    try:
        yield
    finally:
        os.umask(before)


def settle(store: Path, mode: Mode) -> None:
    """Change the store and all files in it to the configured mode, where it differs.

    The store's own folder is changed last, so that an interrupted change is repeated. The owner's
    permissions stay: a store may be read-only on purpose.
    """
    if not store.exists():
        store.mkdir(parents=True, mode=0o700)
    if _settled(store, mode) == stat.S_IMODE(store.stat().st_mode):
        return
    for place in _ours(store):
        place.chmod(_settled(place, mode))
    store.chmod(_settled(store, mode))


def _settled(place: Path, mode: Mode) -> int:
    current = place.stat().st_mode
    owner = current & 0o700
    if mode == "private":
        return owner
    return owner | owner >> 3 | (stat.S_ISGID if stat.S_ISDIR(current) else 0)


def _ours(store: Path) -> Iterator[Path]:
    """Yield the files and folders of the store; its folder may hold others."""
    for pattern in FILES:
        yield from (path for path in store.glob(pattern) if path.is_file())
    for place in store.iterdir():
        if place.is_dir() and (place.name in FOLDERS or (place / "_delta_log").is_dir()):
            yield place
            yield from (path for path in place.rglob("*") if not path.is_symlink())
