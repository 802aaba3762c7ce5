"""What is wrong with a store or its disk, in words: no room, a file that is gone, a log in pieces.

Nothing that readers see depends on a run that fails so: the last publication is served on.
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
#: A file system that is mounted to be read, a folder of somebody else.
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
#: Beam hands on what a worker raised as text.
_ERRNO = re.compile(r"\[[Ee]rrno (\d+)\]")
_OURS = re.compile(r"[^'\s]*/part-[0-9a-f]{32}\.parquet")
#: DuckDB looks for a file that is gone as a folder, too, which the seal refuses.
_READ = re.compile(r"[\"']([^\"']*/part-[0-9a-f]{32}\.parquet)(?:/\*\*/\*\.parquet)?[\"']")
_READING = ("IOException", "InvalidInputException", "PermissionException")
_SAID = re.compile(r"StoreDamagedError: (expected .+?)(?: \[while running .*)?$", re.MULTILINE)
#: Tables that no source could give again.
OWN = ("publications", "runs", "erasures")
SERVED = "nothing was published; `rejse sql` serves the last publication on"


class StoreDamagedError(StoreError):
    """The store cannot be read as it was written; the message says what is wrong."""


@contextmanager
def writable(store: Path) -> Iterator[None]:
    """Raises StoreDamagedError where nothing may be written to the store, whoever says so."""
    try:
        yield
    except StoreDamagedError:
        raise
    except Exception as fault:
        why = next((os.strerror(one) for one in FORBIDDEN if _says(fault, one)), None)
        named = {str(store), str(store.resolve())}
        if why is None or not any(name in f"{fault}" for name in named):
            raise
        raise StoreDamagedError(
            f"expected to write to the store {store}, came: {why.lower()}; let this user write"
            f" there, or name another place as `store`; {SERVED}"
        ) from fault


def _says(fault: Exception, number: int) -> bool:
    return getattr(fault, "errno", None) == number or os.strerror(number) in str(fault)


def opened(folder: Path, version: int | None = None) -> Any:
    """A Delta table, at a version or the newest. Raises StoreDamagedError for a log in pieces."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return DeltaTable(str(folder), version=version)
    except DeltaError as fault:
        raise unreadable(folder, str(fault).partition("\n")[0]) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises StoreDamagedError, naming the file of the store, where what is read of it is damaged;
    what else the disk says passes: the file is gone, or nobody may read it.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        if isinstance(fault, MemoryError) or getattr(fault, "errno", None) not in (None, errno.EIO):
            raise
        raise damaged(path, str(fault)) from None


def damaged(path: Path, came: str) -> StoreDamagedError:
    """The error of a file that is not as it was written: of a table's data, or of its log."""
    if path.parent.name == "_delta_log":
        return unreadable(path.parent.parent, f"{path.name}: {came}".partition("\n")[0])
    return StoreDamagedError(
        f"expected the file {path} as it was written, came a damaged one"
        f" ({came.partition(chr(10))[0]}); {mend(path)}; {SERVED}"
    )


def mend(path: Path) -> str:
    """How to go on without a file of the store."""
    again = ", or read all sources again with `rejse run --rebuild`"
    return "bring it back from a backup" + ("" if path.parent.name in OWN else again)


def query_words(fault: Exception) -> str | None:
    """What DuckDB says of a file of the store that it cannot read; None for any other fault."""
    text = str(fault)
    found = _READ.search(text)
    if not found or type(fault).__name__ not in _READING:
        return None
    path = Path(found[1])
    came = f"came a damaged one ({text.partition(chr(10))[0]})" if path.exists() else "it is gone"
    return f"expected the file {path} as it was written, {came}; {mend(path)}"


def unreadable(folder: Path, came: str) -> StoreDamagedError:
    """The error of a table whose log cannot be read."""
    return StoreDamagedError(
        f"expected a readable log in {folder / '_delta_log'}, came: {came}; bring its files back"
        f" from a backup; {SERVED}"
    )


def words(fault: Exception) -> str | None:
    """What the disk did, where that is what went wrong; None for any other fault."""
    text = str(fault)
    if told := _SAID.findall(text):
        return str(told[-1])
    if told_by_query := query_words(fault):
        return told_by_query
    found = _ERRNO.search(text)
    number = fault.errno if isinstance(fault, OSError) and fault.errno else None
    if number is None and found:
        number = int(found[1])
    if number in FULL or any(os.strerror(one) in text for one in FULL):
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
