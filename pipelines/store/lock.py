"""The lock of a store: one process of a machine writes to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes
from rejse.transforms.errors import BusyError, MisuseError

LOCK = ".writer.lock"
#: Held by the one hot core that lays provisional rows over the store.
HOT_LOCK = ".live.lock"


class AnotherWriter(BusyError):  # noqa: N818 - says what is there, not what failed
    """Another process writes to this store; nothing of this run was published."""


class AnotherHotCore(BusyError):  # noqa: N818 - says what is there, not what failed
    """Another process lays provisional rows over this store."""


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store; make it where there is none.

    Raises AnotherWriter at once where another process holds it, OSError where nothing may be
    written.
    """
    if not store.exists():
        file_modes.settle(store, "private")
    with _held(store, LOCK) as is_held:
        if not is_held:
            raise AnotherWriter(
                f"expected to be the only writer of {store}, found another run at work; "
                "wait until it has finished, then run again"
            )
        yield


@contextlib.contextmanager
def hot(store: Path) -> Iterator[None]:
    """Hold the provisional rows of a store, once there is one.

    Raises AnotherHotCore at once where another process holds them.
    """
    refuse_hot(store)
    if not store.is_dir():
        yield
        return
    with _held(store, HOT_LOCK) as is_held:
        if not is_held:
            raise AnotherHotCore(
                f"expected to be the only hot core on {store}, found another `rejse live` at work"
            )
        yield


def refuse_hot(store: Path) -> None:
    """Raise MisuseError where the store is none over which provisional rows can be laid."""
    at = place.of(store)
    if at.is_remote:
        raise MisuseError(
            f"expected a store in a folder for the hot core, came {at.base}; `rejse run`, again and"
            " again, publishes there (cron, systemd or Airflow), or name a folder as `store`"
        )


@contextlib.contextmanager
def _held(store: Path, name: str) -> Iterator[bool]:
    """Hold a lock of the store; False where another process holds it."""
    handle = os.open(store / name, os.O_RDWR | os.O_CREAT, file_modes.file(file_modes.of(store)))
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = True
        except BlockingIOError:
            is_held = False
        yield is_held
    finally:
        os.close(handle)


def overtaken(table: str, expected: int, version: int) -> AnotherWriter:
    """Return the error of a table that another writer has committed to since it was read."""
    return AnotherWriter(
        f"expected table {table} to stand at version {expected}, found {version}: another writer "
        "has published meanwhile; nothing of this run was published, run it again"
    )
