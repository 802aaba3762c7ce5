"""Damage of a store or its disk, in words: no room, a missing file, an unreadable log.

Readers are not affected by a run that fails so: the last publication stays served.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rejse.transforms.errors import StoreError

#: A full disk, a spent quota, the largest file that a process may write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: A read-only file system, a folder of another user.
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
#: Beam passes on an error of a worker as text.
_ERRNO = re.compile(r"\[[Ee]rrno (\d+)\]")
_OURS = re.compile(r"[^'\s]*/part-[0-9a-f]{32}\.parquet")
#: DuckDB looks for a missing file as a folder, too, which a locked-down session refuses.
_READ = re.compile(r"[\"']([^\"']*/part-[0-9a-f]{32}\.parquet)(?:/\*\*/\*\.parquet)?[\"']")
_READING = ("IOException", "InvalidInputException", "PermissionException")
_MESSAGE = re.compile(r"StoreDamagedError: (expected .+?)(?: \[while running .*)?$", re.MULTILINE)
#: Tables that cannot be made again from the sources.
OWN = ("publications", "runs", "erasures")
SERVED = "nothing was published; `rejse sql` serves the last publication on"


class StoreDamagedError(StoreError):
    """The store cannot be read as it was written; the message says what is wrong."""


@contextmanager
def writable(store: Path) -> Iterator[None]:
    """Raise StoreDamagedError where nothing may be written to the store."""
    try:
        yield
    except StoreDamagedError:
        raise
    except Exception as fault:
        why = next((os.strerror(number) for number in FORBIDDEN if _reports(fault, number)), None)
        named = {str(store), str(store.resolve())}
        if why is None or not any(name in f"{fault}" for name in named):
            raise
        raise StoreDamagedError(
            f"expected to write to the store {store}, came: {why.lower()}; let this user write"
            f" there, or name another place as `store`; {SERVED}"
        ) from fault


def _reports(fault: Exception, number: int) -> bool:
    return getattr(fault, "errno", None) == number or os.strerror(number) in str(fault)


def opened(folder: Path, version: int | None = None) -> Any:
    """Open a Delta table at a version or the newest one.

    Raises StoreDamagedError for an unreadable log.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as fault:
        raise unreadable(folder, str(fault).partition("\n")[0]) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise StoreDamagedError, naming the file, where what is read of it is damaged.

    Other errors pass: the file is missing, or this user may not read it.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        if isinstance(fault, MemoryError) or getattr(fault, "errno", None) not in (None, errno.EIO):
            raise
        raise damaged(path, str(fault)) from None


def damaged(path: Path, problem: str) -> StoreDamagedError:
    """Return the error of a file of a table's data or log that is not as it was written."""
    if path.parent.name == "_delta_log":
        return unreadable(path.parent.parent, f"{path.name}: {problem}".partition("\n")[0])
    return StoreDamagedError(
        f"expected the file {path} as it was written, came a damaged one"
        f" ({problem.partition(chr(10))[0]}); {mend(path)}; {SERVED}"
    )


def mend(path: Path) -> str:
    """Say how to go on without a file of the store."""
    again = ", or read all sources again with `rejse run --rebuild`"
    return "bring it back from a backup" + ("" if path.parent.name in OWN else again)


def query_words(fault: Exception) -> str | None:
    """Return DuckDB's message on an unreadable file of the store; None for any other fault."""
    text = str(fault)
    match = _READ.search(text)
    if not match or type(fault).__name__ not in _READING:
        return None
    path = Path(match[1])
    problem = (
        f"came a damaged one ({text.partition(chr(10))[0]})" if path.exists() else "it is gone"
    )
    return f"expected the file {path} as it was written, {problem}; {mend(path)}"


def unreadable(folder: Path, problem: str) -> StoreDamagedError:
    """Return the error of a table whose log cannot be read."""
    return StoreDamagedError(
        f"expected a readable log in {folder / '_delta_log'}, came: {problem}; bring its files back"
        f" from a backup; {SERVED}"
    )


def words(fault: Exception) -> str | None:
    """Return what went wrong with the disk or a file of the store; None for any other fault."""
    text = str(fault)
    if messages := _MESSAGE.findall(text):
        return str(messages[-1])
    if query_message := query_words(fault):
        return query_message
    match = _ERRNO.search(text)
    number = fault.errno if isinstance(fault, OSError) and fault.errno else None
    if number is None and match:
        number = int(match[1])
    if number in FULL or any(os.strerror(code) in text for code in FULL):
        return f"expected room to write, came: {text}; make room and run again; {SERVED}"
    if number == errno.EIO:
        return f"expected a disk that works, came: {text}; {SERVED}"
    ours = _OURS.search(text)
    if number == errno.ENOENT and ours:
        return (
            f"expected the file {ours[0]} that the last publication names, it is gone;"
            f" {mend(Path(ours[0]))}; {SERVED}"
        )
    return None
