"""A file that a command writes for people: replaced as a whole, so that no reader sees half."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(out: Path, mode: int, what: str, example: str) -> Iterator[Path]:
    """Yield the path of an unfinished file of this mode, which takes the place of `out` in the end.

    `what` is what is written, and `example` a name for it, for messages.

    Raises:
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `out` is a folder.
    """
    if out.is_dir():
        raise IsADirectoryError(
            f"expected a file to write the {what} to, came the folder {out};"
            f" such as {out / example}"
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"expected a folder to write the {what} to, found no {out.parent}; make it first"
        )
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        unfinished.touch(mode)
        unfinished.chmod(mode)  # whatever was there, and whatever the process masks
        yield unfinished
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
