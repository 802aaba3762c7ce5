"""Which stored rows bear an id that arrives: an index beside each file of stored rows.

An id that a source gives to two customers, in two runs, stays with one of them, so that a run must
find the other's row without reading all that is stored.

The index of a file (`file_index`) holds two rows of 64-bit words, ordered by the first: the leading
bits of an id's 128 (see `shared_ids`) with the number of the row in the file, and the first bits of
the customer's key. The salt comes from the key, and the second half of an id's bits lies nowhere:
who reads a store can make no two ids alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import IDS, FileIndex, pairs
from rejse.pipelines.store.key_index import KEY
from rejse.pipelines.store.state_reader import plain
from rejse.transforms.columnar.arrays import Ints, arrow
from rejse.transforms.incremental.cross_customer_ids import Records, Words, records
from rejse.transforms.incremental.deduplicate import SORT_KEY_COLUMNS
from rejse.transforms.incremental.merge_customers import TABLE_OF_KIND
from rejse.transforms.schema.contract import IDENTITY_KEY

READ = ("source", KEY, IDENTITY_KEY, *SORT_KEY_COLUMNS)
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
        parts, known = [], _indexes(self.store, self.salt)
        for file in self.files:
            rows = _elsewhere(known.of(file), wanted, whose)
            if len(rows):
                parts.append(_read(self.store / file, rows))
        return pa.concat_tables(parts, promote_options="permissive") if parts else None


def make(store: Path, files: Iterable[str], salt: bytes) -> None:
    """Make the indexes that are missing of files of stored rows; of other tables there are none."""
    of_rows = (file for file in files if file.partition("/")[0] in TABLE_OF_KIND.values())
    _indexes(store, salt).make(of_rows)


def _indexes(store: Path, salt: bytes) -> FileIndex:
    return FileIndex(store, IDS, _FORM + salt, 2, partial(_index, salt=salt))


def _index(path: Path, salt: bytes) -> Words:
    """Ids with their rows, and customers, in the order of ids."""
    found = records(parquet_files.rows(path, ["source", "id", KEY]), salt)
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
        new, old = pairs(first, last)
    else:
        short, there = wanted >> bits, packed >> bits
        old, new = pairs(np.searchsorted(short, there), np.searchsorted(short, there, "right"))
    differ = whose[new] != customers[old]
    return np.unique(packed[old[differ]] & mask).astype(np.int64)


def _read(path: Path, rows: Ints) -> pa.Table:
    """Some rows of a file, out of the row groups that have them."""
    with parquet_files.opened(path) as file:
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        begins = np.cumsum([0, *sizes])
        group = np.searchsorted(begins, rows, "right") - 1
        groups = np.unique(group)
        shift = np.zeros(len(sizes), np.int64)
        shift[groups] = begins[groups] - np.cumsum([0, *np.array(sizes)[groups]])[:-1]
        names = [name for name in READ if name in file.schema_arrow.names]
        found = file.read_row_groups(groups.tolist(), columns=names)
    return plain(found.take(arrow(rows - shift[group], pa.int64())))
