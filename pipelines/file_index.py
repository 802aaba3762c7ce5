"""An index beside each file of a store, made from the file alone.

It lies in a folder of the store under the file's name: one that is missing is made, one whose file
is gone goes. So it needs no publication, and what rewrites a file (compaction, erasure, links)
need not know of it. It is looked up where it lies: of a large one is read what is asked for.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rejse.transforms.arrays import Ints

#: Where the indexes of ids lie, and those of keys.
IDS, KEYS = ".ids", ".keys"
_MADE = ".npy"
Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class FileIndex:
    """Indexes of one kind: their folder, and how one is built of a file.

    `form` changes with what `build` makes of a file: those of another form are not found.
    """

    store: Path
    folder: str
    form: bytes
    build: Callable[[Path], Words]

    def of(self, file: str) -> Words:
        """The index of a file (relative to the store), mapped into memory."""
        place = self._place(file)
        try:
            return _mapped(place)
        except (FileNotFoundError, EOFError, ValueError):  # none, or half of one after a power cut
            self._make(file, place)
            return _mapped(place)

    def make(self, files: Iterable[str]) -> None:
        """Make the indexes that are missing."""
        for file in files:
            place = self._place(file)
            if not place.exists():
                self._make(file, place)

    def _make(self, file: str, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = place.with_suffix(f".{uuid.uuid4().hex}.making")
        with draft.open("wb") as out:
            np.save(out, self.build(self.store / file))
            out.flush()
            os.fsync(out.fileno())  # whole before it has its name, also after a power cut
        draft.replace(place)

    def _place(self, file: str) -> Path:
        mark = hashlib.sha256(self.form).hexdigest()[:8]
        return (self.store / self.folder / file).with_suffix(f".{mark}{_MADE}")


def tidy(store: Path) -> None:
    """Remove indexes whose files are gone; call it only as the one writer."""
    for kind in (IDS, KEYS):
        for folder in (store / kind).glob("*"):
            there = {path.stem for path in (store / folder.name).glob("*.parquet")}
            for path in folder.iterdir():
                if path.suffix != _MADE or path.name.partition(".")[0] not in there:
                    path.unlink()


def pairs(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Each place with each of its range [first, last)."""
    counts = last - first
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + within


def _mapped(place: Path) -> Words:
    return np.asarray(np.load(place, mmap_mode="r"))
