"""One writer of a store at a time, on one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

LOCK = ".writer.lock"


class AnotherWriter(RuntimeError):  # noqa: N818 - says what is there, not what failed
    """Somebody else writes to this store; nothing of ours was published."""

    exit_code = 75


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Be the only writer of the store on this machine. Raises AnotherWriter, OSError."""
    handle = os.open(store / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
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
