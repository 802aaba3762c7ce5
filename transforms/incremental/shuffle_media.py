"""What carries the pieces that a bundle writes to the step that reads them.

On one machine they are files in a scratch folder, and only their paths are passed on. Where workers
share no folder they are bytes, which the shuffle of the runner carries; a bundle of any size holds
little of them, since they leave it when they are many.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

#: A finished piece: the path of its file, or its bytes.
Piece = str | bytes
#: Bytes of unfinished pieces that a bundle holds in memory before they leave it, about.
HELD = 32 << 20


class Draft(Protocol):
    """A piece that is being written."""

    @property
    def out(self) -> pa.NativeFile:
        """Return the stream that takes its bytes."""

    def finish(self) -> Piece:
        """End it and return it."""


class Medium(Protocol):
    """Makes pieces."""

    @property
    def most_held(self) -> int:
        """Return how many bytes unfinished pieces may have together."""

    def begin(self, name: str) -> Draft:
        """Begin a piece; `name` need not be unique."""


@dataclass(frozen=True)
class ScratchFiles:
    """Pieces are files in a folder that all steps see."""

    folder: Path
    most_held: int = sys.maxsize

    def begin(self, name: str) -> Draft:
        """Begin a file of its own."""
        return _File(self.folder / f"{name}-{uuid.uuid4().hex}")


@dataclass(frozen=True)
class InMemory:
    """Pieces are bytes."""

    most_held: int = HELD

    def begin(self, name: str) -> Draft:
        """Begin some bytes."""
        return _Bytes()


class _File:
    def __init__(self, path: Path) -> None:
        self._path, self.out = str(path), pa.OSFile(str(path), "wb")

    def finish(self) -> str:
        self.out.close()
        return self._path


class _Bytes:
    def __init__(self) -> None:
        self.out = pa.BufferOutputStream()

    def finish(self) -> bytes:
        return bytes(self.out.getvalue().to_pybytes())


def is_full(medium: Medium, drafts: Iterable[Draft]) -> bool:
    """Return whether unfinished pieces have more bytes than a medium wants to hold."""
    held: int = sum(draft.out.tell() for draft in drafts)
    return held > medium.most_held


@contextmanager
def opened(piece: Piece) -> Iterator[pa.NativeFile]:
    """Open a piece to read it, a file by mapping it into memory."""
    with pa.memory_map(piece) if isinstance(piece, str) else pa.BufferReader(piece) as source:
        yield source
