"""Find the row groups of a file with rows of some customers, and count these rows.

Keys are hashes, so that the range of a row group covers nearly all customers. The index of a file
has three rows of 64-bit words, sorted by the first: the leading half of a customer's key, a row
group with rows of theirs, and their number. Two keys that share their leading half cost a read in
vain, nothing more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import KEYS, FileIndex, Words, pairs
from rejse.transforms.columnar.arrays import Ints
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.incremental.cross_customer_ids import leading
from rejse.transforms.schema.contract import CUSTOMER_KEY

_FORM = b"1"  # of `_index`


def key_index(store: Path) -> FileIndex:
    """Return the key indexes of a store's files, for `holding` and `counted`."""
    return FileIndex(store, KEYS, _FORM, 3, _index)


def holding(index: Words, customers: Words) -> list[int]:
    """Return the row groups with rows of these customers (`leading` of sorted keys)."""
    _, held = _matches(index, customers)
    return [int(group) for group in np.unique(index[1, held])]


def counted(index: Words, customers: Words) -> Ints:
    """Count the rows of each of these customers (`leading` of sorted keys) in a file."""
    which, held = _matches(index, customers)
    counts = np.zeros(len(customers), np.int64)
    np.add.at(counts, which, index[2, held].astype(np.int64))
    return counts


def _matches(index: Words, customers: Words) -> tuple[Ints, Ints]:
    """Return pairs of customer and column of the index, as two arrays."""
    if not len(customers):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    start, stop = (
        int(np.searchsorted(index[0], customers[0], "left")),
        int(np.searchsorted(index[0], customers[-1], "right")),
    )
    keys = index[0, start:stop]
    if len(customers) < len(keys):  # few are looked up among many, whichever are few
        which, held = pairs(*_range(keys, customers))
    else:
        held, which = pairs(*_range(customers, keys))
    return which, held + start


def _range(among: Words, wanted: Words) -> tuple[Ints, Ints]:
    return np.searchsorted(among, wanted), np.searchsorted(among, wanted, "right")


def _index(path: Path) -> Words:
    parts = [np.zeros((3, 0), np.uint64)]
    with parquet_files.opened(path) as file:
        for group in range(file.num_row_groups):
            keys = Categorical.of(
                file.read_row_group(group, columns=[CUSTOMER_KEY]).column(CUSTOMER_KEY)
            )
            rows = np.bincount(keys.codes, minlength=len(keys.names))
            words = [leading(keys.names), np.full(len(rows), group, np.uint64), rows]
            parts.append(np.stack([word.astype(np.uint64) for word in words])[:, rows > 0])
    whole = np.concatenate(parts, axis=1)
    return whole[:, np.argsort(whole[0], kind="stable")]
