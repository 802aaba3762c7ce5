"""What is wrong with a store or its disk, in words: no room, a file that is gone, a log in pieces.

Nothing that readers see depends on a run that fails so: the last publication is served on.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

IO_ERROR = 74
#: A full disk, a spent quota, the largest file that a process may write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Beam hands on what a worker raised as text.
_ERRNO = re.compile(r"\[[Ee]rrno (\d+)\]")
_OURS = re.compile(r"[^'\s]*/part-[0-9a-f]{32}\.parquet")
SERVED = "nothing was published; `rejse sql` serves the last publication on"


class StoreDamagedError(RuntimeError):
    """The store cannot be read as it was written; the message says what is wrong."""

    exit_code = IO_ERROR


def opened(folder: Path, version: int | None = None) -> Any:
    """A Delta table, at a version or the newest. Raises StoreDamagedError for a log in pieces."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as fault:
        raise unreadable(folder, str(fault).partition("\n")[0]) from None


def unreadable(folder: Path, came: str) -> StoreDamagedError:
    """The error of a table whose log cannot be read."""
    return StoreDamagedError(
        f"expected a readable log in {folder / '_delta_log'}, came: {came}; bring its files back"
        f" from a backup; {SERVED}"
    )


def words(fault: Exception) -> str | None:
    """What the disk did, where that is what went wrong; None for any other fault."""
    text = str(fault)
    found = _ERRNO.search(text)
    number = fault.errno if isinstance(fault, OSError) and fault.errno else None
    if number is None and found:
        number = int(found[1])
    if number in FULL or any(os.strerror(one) in text for one in FULL):
        return f"expected room to write, came: {text}; make room and run again; {SERVED}"
    ours = _OURS.search(text)
    if number == errno.ENOENT and ours:
        return (
            f"expected the file {ours[0]} that the last publication names, it is gone; bring it"
            f" back from a backup, or read all sources again with `rejse run --rebuild`; {SERVED}"
        )
    return None
