"""Who may read the store: its owner, or the owner's group where the configuration says so.

The store's own folder says which: whoever writes follows it. In a store of a group each folder
hands its group on to what is made in it (setgid), so that several accounts can take turns.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Mode = Literal["private", "group"]
#: What the folder of a group's store has, and no other by chance.
_OF_GROUP = stat.S_ISGID | stat.S_IWGRP

#: What lies in a store beside its tables.
FILES = ("catalog-*.duckdb", "rejse.duckdb*", "current", "verified.json", ".writer.lock",
         ".erasing.json")  # fmt: skip
FOLDERS = frozenset(("audits", "quarantine", ".ids", ".keys"))


def of(store: Path) -> Mode:
    """The mode of a store by its folder; private where there is none yet."""
    try:
        return "group" if store.stat().st_mode & _OF_GROUP == _OF_GROUP else "private"
    except FileNotFoundError:
        return "private"


def file(mode: Mode) -> int:
    """Mode of a file."""
    return 0o660 if mode == "group" else 0o600


def folder(mode: Mode) -> int:
    """Mode of a folder."""
    return 0o2770 if mode == "group" else 0o700


@contextmanager
def kept(store: Path) -> Iterator[None]:
    """Whatever this process makes meanwhile is readable by those only who may read the store."""
    before = os.umask(0o777 & ~folder(of(store)))
    try:
        yield
    finally:
        os.umask(before)


def settle(store: Path, mode: Mode) -> None:
    """Give the store and all in it the mode of the configuration, where it has another. Its own
    folder comes last: what was interrupted is done again.

    The owner's own rights stay: whoever has made a store read-only has meant it.
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
    """What we have made in the folder; it may hold other things."""
    for pattern in FILES:
        yield from (path for path in store.glob(pattern) if path.is_file())
    for place in store.iterdir():
        if place.is_dir() and (place.name in FOLDERS or (place / "_delta_log").is_dir()):
            yield place
            yield from (path for path in place.rglob("*") if not path.is_symlink())
