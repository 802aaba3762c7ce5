"""The place of a store: what it takes beyond files in a folder to publish, read and remove there.

All code of the store works on a folder of this machine. In the local form that folder is the store,
and nothing of this module does more than is done there. Of a store on an object store the folder is
a working copy (`object_place`): logs and notes are whole in it, data files and catalogues only
where they were read or made here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rejse.transforms.errors import RejseError

#: File of a working copy that says of which object store.
MARK = ".place.json"
#: Times of files of a working copy (nanoseconds since 1970): of one of which only the size is here,
#: and of one that was read; both are published by others.
NOT_HERE, COPIED = 0, 1_000_000_000
T = TypeVar("T")
R = TypeVar("R")


class TakenError(RejseError):
    """Another writer has written this entry of a log first."""


class Place:
    """A store in a folder of this machine."""

    #: Whether others may read what is published here without this machine.
    is_remote = False
    #: Whether private data, such as quarantine, have a folder that is theirs to stay.
    keeps_private = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def base(self) -> str:
        """Return what stands before the names of files for whoever reads them by name."""
        return str(self.folder.resolve())

    def base_of(self, file: str) -> str:
        """Return what stands before the name of one file (relative to the store)."""
        return self.base

    def refresh(self, *, is_held: bool) -> None:
        """Take over what others have published.

        Args:
            is_held: Whether the lock of the store is held, so that what is gone may go here too.
        """

    def send(self, files: Iterable[str]) -> None:
        """Bring finished files (relative to the store) to where others read them."""

    @contextlib.contextmanager
    def committing(self, table: str) -> Iterator[Path]:
        """Yield the folder of a table in which one entry of its log is to be written.

        Raises TakenError where another writer has written an entry of this number.
        """
        yield self.folder / table

    def share(self, name: str) -> None:
        """Show others a note (relative to the store) as it is here now."""

    def point(self, name: str, number: Callable[[str], int | None]) -> None:
        """Let a note that names a publication be as it is here, unless it names a later one.

        Args:
            name: The note, relative to the store.
            number: Returns the publication that a text of the note names.
        """

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files of the store; those that are gone are no error."""
        for path in paths:
            path.unlink(missing_ok=True)

    def abandon(self, paths: Iterable[Path]) -> None:
        """Remove files that no commit names, unless a writer on another machine may name them."""
        self.remove(paths)

    def fetch(self, path: Path) -> None:
        """Bring the bytes of a file here."""

    def tail(self, path: Path) -> bytes | None:
        """Return the last bytes of a file that is not here; None where it is to be fetched."""
        return None

    def checksum(self, path: Path, digits: Callable[[Path], str]) -> str:
        """Return the checksum of a file as others would read it."""
        return digits(path)

    def attach(self, con: Any) -> None:
        """Let a connection of DuckDB read files below `base`."""

    @contextlib.contextmanager
    def whole(self, files: Iterable[str]) -> Iterator[Path]:
        """Yield a folder in which some files of the store are whole, by their names."""
        yield self.folder

    def all_of(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what a function makes of items; on an object store several at a time."""
        return [function(item) for item in items]


def of(store: Path) -> Place:
    """Return the place of the store in a folder."""
    if not (store / MARK).exists():
        return Place(store)
    from rejse.pipelines.places import object_place

    return object_place.of(store)


def here(path: Path) -> Path:
    """Return the path of a file of a store, with its bytes here."""
    if is_here(path):
        return path
    store = _store(path)
    if store is not None:
        of(store).fetch(path)
    return path


def is_here(path: Path) -> bool:
    """Return whether a file has its bytes here, or does not exist."""
    try:
        return os.stat(path).st_mtime_ns != NOT_HERE  # noqa: PTH116 - for each file that is opened
    except OSError:
        return True


def tail(path: Path) -> bytes | None:
    """Return the last bytes of a file of a store; None where it is here, or is to be fetched."""
    store = None if is_here(path) else _store(path)
    return None if store is None else of(store).tail(path)


def _store(path: Path) -> Path | None:
    """Return the working copy that holds a file; None where it is in none."""
    return next((folder for folder in path.parents[:3] if (folder / MARK).exists()), None)
