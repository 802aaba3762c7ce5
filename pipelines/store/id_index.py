"""Find stored rows with an arriving id: an index beside each file of stored rows.

An id that a source gives to two customers, in two runs, stays with one of them. So a run finds the
other customer's row without reading all stored rows.

The index of a file (`file_index`) holds two rows of 64-bit words, sorted by the first: the leading
bits of an id's 128-bit hash (`cross_customer_ids`) with the number of the row in the file, and the
first bits of the customer's key. The salt is derived from the key and half of the hash is not
stored: a reader of the store cannot construct two ids with one hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import FileIndex, pairs
from rejse.pipelines.store.index_folders import IDS
from rejse.pipelines.store.state_reader import plain
from rejse.transforms.columnar.arrays import Ints, arrow
from rejse.transforms.incremental.cross_customer_ids import Records, Words, records
from rejse.transforms.incremental.deduplicate import SORT_KEY_COLUMNS
from rejse.transforms.incremental.merge_customers import TABLE_OF_KIND
from rejse.transforms.schema.contract import CUSTOMER_KEY, IDENTITY_KEY

READ = ("source", CUSTOMER_KEY, IDENTITY_KEY, *SORT_KEY_COLUMNS)
#: Changes with `_index` and with the hashes of ids.
_FORM = b"1"


@dataclass(frozen=True)
class KnownIds:
    """Ids of the rows in some files of one table (relative to the store), under a salt."""

    store: Path
    files: Sequence[str]
    salt: bytes

    def of(self, arriving: Records) -> pa.Table | None:
        """Return stored rows whose ids arrive from another customer; None where there are none.

        Columns: `source`, `customer_key`, `SORT_KEY_COLUMNS`. Seldom another row is among them.
        """
        order = np.argsort(arriving["high"])
        wanted, customers = arriving["high"][order], arriving["customer"][order]
        parts, known = [], _indexes(self.store, self.salt)
        for file in self.files:
            rows = _of_other_customers(known.of(file), wanted, customers)
            if len(rows):
                parts.append(_read(self.store / file, rows))
        return pa.concat_tables(parts, promote_options="permissive") if parts else None


def make(store: Path, files: Iterable[str], salt: bytes) -> None:
    """Make the missing indexes of files of accepted rows; other tables have none."""
    of_rows = (file for file in files if file.partition("/")[0] in TABLE_OF_KIND.values())
    _indexes(store, salt).make(of_rows)


def _indexes(store: Path, salt: bytes) -> FileIndex:
    return FileIndex(store, IDS, _FORM + salt, 2, partial(_index, salt=salt))


def _index(path: Path, salt: bytes) -> Words:
    """Return hashed ids with their rows, and customers, sorted by id."""
    ids = records(parquet_files.rows(path, ["source", "id", CUSTOMER_KEY]), salt)
    bits = _row_bits(len(ids))
    packed = (ids["high"] >> bits << bits) | np.arange(len(ids), dtype=np.uint64)
    order = np.argsort(packed)
    return np.stack([packed[order], ids["customer"][order]])


def _row_bits(n: int) -> np.uint64:
    """Return the number of low bits that number n rows."""
    return np.uint64((n - 1).bit_length())


def _of_other_customers(index: Words, wanted: Words, wanted_customers: Words) -> Ints:
    """Return rising row numbers of rows with a wanted id that are another customer's."""
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
    differ = wanted_customers[new] != customers[old]
    return np.unique(packed[old[differ]] & mask).astype(np.int64)


def _read(path: Path, rows: Ints) -> pa.Table:
    """Read some rows of a file from the row groups that have them."""
    with parquet_files.opened(path) as file:
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        begins = np.cumsum([0, *sizes])
        group = np.searchsorted(begins, rows, "right") - 1
        groups = np.unique(group)
        shift = np.zeros(len(sizes), np.int64)
        shift[groups] = begins[groups] - np.cumsum([0, *np.array(sizes)[groups]])[:-1]
        names = [name for name in READ if name in file.schema_arrow.names]
        stored = file.read_row_groups(groups.tolist(), columns=names)
    return plain(stored.take(arrow(rows - shift[group], pa.int64())))
