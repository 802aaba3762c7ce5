"""The lock of a store: one process of a machine writes to it."""

from __future__ import annotations

import os
from pathlib import Path

from rejse.pipelines import modes

LOCK = ".writer.lock"


class AnotherWriter(RuntimeError):  # noqa: N818 - says what is there, not what failed
    """Somebody else writes to this store; nothing of ours was published."""

    exit_code = 75

    @classmethod
    def at_work(cls, store: Path) -> AnotherWriter:
        """The error of a lock that another process holds."""
        return cls(
            f"expected to be the only writer of {store}, found another run at work; "
            "wait until it has finished, then run again"
        )


def opened(store: Path) -> int:
    """Descriptor of the file to be locked; the store is made where there is none."""
    if not store.exists():
        modes.settle(store, "private")
    return os.open(store / LOCK, os.O_RDWR | os.O_CREAT, modes.file(modes.of(store)))
