"""Indexes of data files, each derived from its file alone.

An index has the file's name in a hidden folder of the store. A missing one is made, one whose file
no longer exists is removed; so compaction, erasure and relinking need not know of indexes.

A run opens thousands: so an index is a sequence of 64-bit words, the first of them the number of
the others. It is memory-mapped in 10 us, where numpy's own format takes 100.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store.index_folders import MADE
from rejse.transforms.columnar.arrays import Ints

WORD = np.dtype("<u8")
Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class FileIndex:
    """Indexes of one kind: their folder, and how to build one as `height` rows of words.

    `form` changes with what `build` makes of a file: indexes of another form are not used.
    """

    store: Path
    folder: str
    form: bytes
    height: int
    build: Callable[[Path], Words]

    def of(self, file: str) -> Words:
        """Return the index of a file (relative to the store), memory-mapped."""
        path = self._place(file)
        words = _mapped(path, self.height)
        if words is None:
            self._make(file, path)
            words = _mapped(path, self.height)
        assert words is not None, "expected the index that was made"
        return words.reshape(self.height, -1)

    def make(self, files: Iterable[str]) -> None:
        """Make the missing indexes of some files."""
        for file in files:
            path = self._place(file)
            if not path.exists():
                self._make(file, path)

    def _make(self, file: str, path: Path) -> None:
        path.parent.mkdir(
            parents=True, exist_ok=True, mode=file_modes.folder(file_modes.of(self.store))
        )
        draft = path.with_suffix(f".{uuid.uuid4().hex}.making")
        words = self.build(self.store / file)
        with draft.open("wb") as out:
            out.write(np.array(words.size, WORD).tobytes() + words.astype(WORD).tobytes())
            out.flush()
            os.fsync(out.fileno())  # whole before it has its name, also after a power cut
        draft.rename(path)  # `rename`: fault tests count `replace` as steps of a publication

    def _place(self, file: str) -> Path:
        return (self.store / self.folder / file).with_suffix(self._suffix)

    @cached_property
    def _suffix(self) -> str:
        return f".{hashlib.sha256(self.form).hexdigest()[:8]}{MADE}"


def pairs(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of a row number and a number of its range [first, last)."""
    counts = last - first
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + within


def _mapped(path: Path, height: int) -> Words | None:
    """Map the words of an index; None where it is missing, cut off, or of another height.

    A power cut may leave half an index.
    """
    try:
        with path.open("rb", buffering=0) as file:
            words = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), WORD)
    except (FileNotFoundError, ValueError):
        return None
    n = len(words) - 1
    return words[1:] if words[0] == n and n % height == 0 else None
