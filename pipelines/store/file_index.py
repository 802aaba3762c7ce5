"""An index beside each file of a store, made from the file alone.

It lies in a folder of the store under the file's name: one that is missing is made, one whose file
is gone goes. So it needs no publication, and what rewrites a file (compaction, erasure, links)
need not know of it. It is looked up where it lies: of a large one is read what is asked for.

A run opens thousands: so an index is no more than 64-bit words, the first of them how many follow,
mapped in 10 us, where numpy's own form takes 100.
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
from rejse.transforms.columnar.arrays import Ints

#: Where the indexes of ids lie, and those of keys.
IDS, KEYS = ".ids", ".keys"
_MADE = ".words"
WORD = np.dtype("<u8")
Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class FileIndex:
    """Indexes of one kind: their folder, and how one is built of a file, as `height` rows of words.

    `form` changes with what `build` makes of a file: those of another form are not found.
    """

    store: Path
    folder: str
    form: bytes
    height: int
    build: Callable[[Path], Words]

    def of(self, file: str) -> Words:
        """The index of a file (relative to the store), mapped into memory."""
        place = self._place(file)
        found = _mapped(place, self.height)
        if found is None:
            self._make(file, place)
            found = _mapped(place, self.height)
        assert found is not None, "expected the index that was made"
        return found.reshape(self.height, -1)

    def make(self, files: Iterable[str]) -> None:
        """Make the indexes that are missing."""
        for file in files:
            place = self._place(file)
            if not place.exists():
                self._make(file, place)

    def _make(self, file: str, place: Path) -> None:
        place.parent.mkdir(
            parents=True, exist_ok=True, mode=file_modes.folder(file_modes.of(self.store))
        )
        draft = place.with_suffix(f".{uuid.uuid4().hex}.making")
        words = self.build(self.store / file)
        with draft.open("wb") as out:
            out.write(np.array(words.size, WORD).tobytes() + words.astype(WORD).tobytes())
            out.flush()
            os.fsync(out.fileno())  # whole before it has its name, also after a power cut
        draft.rename(place)  # no step of a publication: `replace` is

    def _place(self, file: str) -> Path:
        return (self.store / self.folder / file).with_suffix(self._suffix)

    @cached_property
    def _suffix(self) -> str:
        return f".{hashlib.sha256(self.form).hexdigest()[:8]}{_MADE}"


def tidy(store: Path) -> None:
    """Remove indexes whose files are gone; call it only as the one writer."""
    for kind in (IDS, KEYS):
        for folder in (store / kind).glob("*"):
            there = {path.stem for path in (store / folder.name).glob("*.parquet")}
            for path in folder.iterdir():
                if path.suffix != _MADE or path.name.partition(".")[0] not in there:
                    path.unlink(missing_ok=True)


def pairs(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Each place with each of its range [first, last)."""
    counts = last - first
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + within


def _mapped(place: Path, height: int) -> Words | None:
    """The words of an index; None where there is none, or half of one, which a power cut leaves,
    or they make no rows of so many.
    """
    try:
        with place.open("rb", buffering=0) as file:
            told = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), WORD)
    except (FileNotFoundError, ValueError):
        return None
    n = len(told) - 1
    return told[1:] if told[0] == n and n % height == 0 else None
