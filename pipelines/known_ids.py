"""Which stored rows bear an id that arrives: an index beside each file of stored rows.

An id that a source gives to two customers, in two runs, stays with one of them, so that a run must
find the other's row without reading all that is stored. The index of a file is made from it alone
and lies in the store's folder `.ids`: one that is missing is made, one whose file is gone goes. So
it needs no publication, and what rewrites a file (compaction, erasure, links) need not know of it.

It holds two rows of 64-bit words, ordered by the first: the leading bits of an id's 128 (see
`shared_ids`) with the number of the row in the file, and the first bits of the customer's key. It
is looked up where it lies: an increment reads of it what it asks for. The salt comes from the key,
and the second half of an id's bits lies nowhere: who reads a store can make no two ids alike.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines.history import KEY, plain
from rejse.transforms.arrays import Ints, arrow
from rejse.transforms.duplicates import LOOKED_AT
from rejse.transforms.meeting import STORED
from rejse.transforms.schema import IDENTITY_KEY
from rejse.transforms.shared_ids import Records, Words, records

FOLDER = ".ids"
READ = ("source", KEY, IDENTITY_KEY, *LOOKED_AT)
_MADE = ".npy"
#: Another one with another `_index` or other hashes of ids.
_FORM = b"1"


@dataclass(frozen=True)
class KnownIds:
    """Ids of the rows in some files of one table (relative to the store), under a salt."""

    store: Path
    files: Sequence[str]
    salt: bytes

    def of(self, found: Records) -> pa.Table | None:
        """Stored rows (`source`, `customer_key`, `LOOKED_AT`) whose ids now came from another
        customer; seldom, another row besides. None where there are none.
        """
        order = np.argsort(found["high"])
        wanted, whose = found["high"][order], found["customer"][order]
        parts = []
        for file in self.files:
            rows = _elsewhere(self._index(file), wanted, whose)
            if len(rows):
                parts.append(_read(self.store / file, rows))
        return pa.concat_tables(parts, promote_options="permissive") if parts else None

    def _index(self, file: str) -> Words:
        place = _place(self.store, file, self.salt)
        try:
            return np.asarray(np.load(place, mmap_mode="r"))
        except (EOFError, ValueError):  # half of it, which a power cut may leave
            place.unlink(missing_ok=True)
            make(self.store, [file], self.salt)
            return np.asarray(np.load(place, mmap_mode="r"))


def make(store: Path, files: Iterable[str], salt: bytes) -> None:
    """Make the indexes that are missing of files of stored rows; of other tables there are none."""
    for file in files:
        place = _place(store, file, salt)
        if file.partition("/")[0] in STORED.values() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = place.with_suffix(f".{uuid.uuid4().hex}.making")
            with draft.open("wb") as out:
                np.save(out, _index(store / file, salt))
                out.flush()
                os.fsync(out.fileno())  # whole before it has its name, also after a power cut
            draft.replace(place)


def tidy(store: Path) -> None:
    """Remove indexes whose files are gone; call it only as the one writer."""
    for folder in (store / FOLDER).glob("*"):
        there = {path.stem for path in (store / folder.name).glob("*.parquet")}
        for path in folder.iterdir():
            if path.suffix != _MADE or path.name.partition(".")[0] not in there:
                path.unlink()


def _place(store: Path, file: str, salt: bytes) -> Path:
    """Where its index lies, under a name that another salt or form does not find."""
    mark = hashlib.sha256(_FORM + salt).hexdigest()[:8]
    return (store / FOLDER / file).with_suffix(f".{mark}{_MADE}")


def _index(path: Path, salt: bytes) -> Words:
    """Ids with their rows, and customers, in the order of ids."""
    found = records(pq.ParquetFile(path).read(["source", "id", KEY]), salt)
    bits = _row_bits(len(found))
    packed = (found["high"] >> bits << bits) | np.arange(len(found), dtype=np.uint64)
    order = np.argsort(packed)
    return np.stack([packed[order], found["customer"][order]])


def _row_bits(n: int) -> np.uint64:
    """How many low bits of a word tell one of n rows."""
    return np.uint64((n - 1).bit_length())


def _elsewhere(index: Words, wanted: Words, whose: Words) -> Ints:
    """Rows of a file, rising, that have one of some ids (ordered), but are another customer's."""
    packed, customers = np.asarray(index[0]), np.asarray(index[1])
    bits = _row_bits(len(packed))
    mask = (np.uint64(1) << bits) - np.uint64(1)
    least, most = wanted[:1] & ~mask, wanted[-1:] | mask
    start, stop = np.searchsorted(packed, least)[0], np.searchsorted(packed, most, "right")[0]
    packed, customers = packed[start:stop], customers[start:stop]
    if len(wanted) < len(packed):  # few are looked up among many, whichever are few
        low = wanted & ~mask
        first, last = np.searchsorted(packed, low), np.searchsorted(packed, low | mask, "right")
        new, old = _pairs(first, last)
    else:
        short, there = wanted >> bits, packed >> bits
        old, new = _pairs(np.searchsorted(short, there), np.searchsorted(short, there, "right"))
    differ = whose[new] != customers[old]
    return np.unique(packed[old[differ]] & mask).astype(np.int64)


def _pairs(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Each place with each of its range [first, last)."""
    counts = last - first
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + within


def _read(path: Path, rows: Ints) -> pa.Table:
    """Some rows of a file, out of the row groups that have them."""
    file = pq.ParquetFile(path)
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    begins = np.cumsum([0, *sizes])
    group = np.searchsorted(begins, rows, "right") - 1
    groups = np.unique(group)
    shift = np.zeros(len(sizes), np.int64)
    shift[groups] = begins[groups] - np.cumsum([0, *np.array(sizes)[groups]])[:-1]
    names = [name for name in READ if name in file.schema_arrow.names]
    found = file.read_row_groups(groups.tolist(), columns=names)
    return plain(found.take(arrow(rows - shift[group], pa.int64())))
