"""Which row groups of a file hold rows of which customers, and how many.

Keys are hashes, so that between the least and the greatest of a row group lie those of nearly all
customers. The index of a file has three rows of 64-bit words, ordered by the first: the leading
half of a customer's key, a row group that holds rows of his, and how many. Two keys that share
their half make a row group be read in vain, and no more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import KEYS, FileIndex, Words, pairs
from rejse.transforms.columnar.arrays import Ints
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.incremental.cross_customer_ids import leading

KEY = "customer_key"
_FORM = b"1"  # of `_index`


def key_index(store: Path) -> FileIndex:
    """The indexes of keys of a store's files, for `holding` and `counted`."""
    return FileIndex(store, KEYS, _FORM, 3, _index)


def holding(index: Words, customers: Words) -> list[int]:
    """Row groups of a file that hold rows of one of these customers (`leading` of sorted keys)."""
    _, held = _met(index, customers)
    return [int(group) for group in np.unique(index[1, held])]


def counted(index: Words, customers: Words) -> Ints:
    """How many rows of each of these customers (`leading` of sorted keys) a file has."""
    which, held = _met(index, customers)
    found = np.zeros(len(customers), np.int64)
    np.add.at(found, which, index[2, held].astype(np.int64))
    return found


def _met(index: Words, customers: Words) -> tuple[Ints, Ints]:
    """Customers and the places of the index that are theirs."""
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
            keys = Categorical.of(file.read_row_group(group, columns=[KEY]).column(KEY))
            rows = np.bincount(keys.codes, minlength=len(keys.names))
            told = [leading(keys.names), np.full(len(rows), group, np.uint64), rows]
            parts.append(np.stack([one.astype(np.uint64) for one in told])[:, rows > 0])
    whole = np.concatenate(parts, axis=1)
    return whole[:, np.argsort(whole[0], kind="stable")]
