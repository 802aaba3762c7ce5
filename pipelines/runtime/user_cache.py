"""What costs much to make and is the same each time, kept in the user's cache folder.

The folder is `$XDG_CACHE_HOME/rejse`, else `~/.cache/rejse`. A file in it begins with the SHA-256
of its content. One that is broken, or that another user owns or may write, is not read: its content
is made anew, as it is where there is no such folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

VARIABLE = "XDG_CACHE_HOME"
#: Files that stay, those read last: versions of rejse, and stores of some shapes, may take turns.
KEPT = 32
_DIGEST = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cached(name: str, make: Callable[[], bytes]) -> bytes:
    """Return the content kept under a name; make and keep it where there is none.

    The name must differ where the content would.
    """
    folder = _folder()
    content = None if folder is None else _read(folder / name)
    if content is None:
        content = make()
        if folder is not None:
            _write(folder / name, content)
    return content


def base() -> Path | None:
    """Return the folder of the user's caches, which may not exist; None where there is no home."""
    named = Path(os.environ.get(VARIABLE, ""))
    with contextlib.suppress(RuntimeError):
        return named if named.is_absolute() else Path.home() / ".cache"
    return None


def _folder() -> Path | None:
    """Return the private cache folder; None where there can be none."""
    place = base()
    if place is None:
        return None
    with contextlib.suppress(OSError):  # not to be written
        folder = place / "rejse"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(folder.lstat(), stat.S_ISDIR):
            return folder
    return None


def _is_own(place: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Return whether a place is of a kind, this user's, and for no other user to write."""
    is_private = place.st_uid == os.geteuid() and not place.st_mode & _OTHERS_WRITE
    return is_private and is_kind(place.st_mode)


def _read(file: Path) -> bytes | None:
    """Return the content of a kept file; None where it is missing, broken or another user's."""
    try:
        # What is opened is what is judged: no link to elsewhere, no pipe that would block.
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as kept:
            is_own = _is_own(os.fstat(handle), stat.S_ISREG)
            digest, content = kept.read(_DIGEST), kept.read() if is_own else b""
            with contextlib.suppress(OSError):  # the disk may be one to read only
                os.utime(handle)
    except OSError:
        return None
    return content if hashlib.sha256(content).digest() == digest else None


def _write(file: Path, content: bytes) -> None:
    """Keep the content, if the disk lets it; remove the oldest files beyond `KEPT`."""
    with contextlib.suppress(OSError):
        handle, draft = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(hashlib.sha256(content).digest() + content)
            Path(draft).replace(file)
        finally:
            Path(draft).unlink(missing_ok=True)
        for old in sorted(file.parent.iterdir(), key=_age)[KEPT:]:
            old.unlink(missing_ok=True)


def _age(file: Path) -> float:
    return -file.lstat().st_mtime
