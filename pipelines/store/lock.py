"""The lock of a store: one process of a machine writes to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from rejse.pipelines.runtime import file_modes
from rejse.transforms.errors import BusyError

LOCK = ".writer.lock"


class AnotherWriter(BusyError):  # noqa: N818 - says what is there, not what failed
    """Another process writes to this store; nothing of this run was published."""


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store; make it where there is none.

    Raises AnotherWriter at once where another process holds it, OSError where nothing may be
    written.
    """
    if not store.exists():
        file_modes.settle(store, "private")
    handle = os.open(store / LOCK, os.O_RDWR | os.O_CREAT, file_modes.file(file_modes.of(store)))
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherWriter(
                f"expected to be the only writer of {store}, found another run at work; "
                "wait until it has finished, then run again"
            ) from None
        yield
    finally:
        os.close(handle)


def overtaken(table: str, expected: int, version: int) -> AnotherWriter:
    """Return the error of a table that another writer has committed to since it was read."""
    return AnotherWriter(
        f"expected table {table} to stand at version {expected}, found {version}: another writer "
        "has published meanwhile; nothing of this run was published, run it again"
    )
