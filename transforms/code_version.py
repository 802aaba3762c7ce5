"""The version of the code that a process runs: workers of another one must not work on a graph."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

import pyarrow as pa

import rejse.transforms
from rejse.transforms.errors import MisuseError

#: Folders of code beside this one whose results may travel between workers.
FOLDERS = ("pipelines", "sql", "transforms")
SUFFIXES = (".py", ".sql", ".txt")


class WorkerVersionError(MisuseError):
    """A worker runs other code than the process that planned the work."""


@cache
def code_version() -> str:
    """Return a short text that is equal where code, Python and Arrow are."""
    root, hashed = Path(str(rejse.transforms.__file__)).parents[1], hashlib.sha256()
    for folder in FOLDERS:
        files = (root / folder).rglob("*")
        for path in sorted(file for file in files if file.suffix in SUFFIXES):
            place = path.relative_to(root).as_posix()
            hashed.update(place.encode() + b"\x1f" + path.read_bytes() + b"\x1f")
    python = platform.python_version()
    return f"rejse {hashed.hexdigest()[:12]}, Python {python}, Arrow {pa.__version__}"


def refuse_other(planned: str) -> None:
    """Raise WorkerVersionError where this process runs other code than `planned`."""
    if planned != code_version():
        raise WorkerVersionError(
            f"expected a worker of the version that planned the graph, {planned}; this one is"
            f" {code_version()}: install the same on all workers, and start again"
        )
