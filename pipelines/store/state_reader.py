"""Read rows of some customers from a publication; files and row groups without them are skipped.

Rows of a file lie by customer key, so that a row group covers a short range of keys: its statistics
tell which are worth a look, and of these the keys are read before all other columns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.staged_file import FIRST_KEY, LAST_KEY, StagedFile
from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, index_in, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.schema.contract import CUSTOMER_KEY


@dataclass(frozen=True)
class CustomerKeys:
    """Keys of customers to look for, sorted."""

    keys: pa.Array

    @cached_property
    def _names(self) -> list[str]:
        return list(self.keys.to_pylist())

    def are_between(self, first: str, last: str) -> bool:
        """Return whether any key is in [first, last]."""
        at = bisect_left(self._names, first)
        return at < len(self._names) and self._names[at] <= last

    def groups(self, store: Path, file: StagedFile) -> list[int]:
        """Return the row groups of a file that may have rows of these customers."""
        if not self.are_between(file.first, file.last):
            return []
        return [group for group, *span in spans(store / file.path) if self.are_between(*span)]

    def mask(self, keys: Categorical) -> Bools:
        """Return which of some keys are among these (bool a row)."""
        is_in = values(pc.is_in(keys.names, value_set=self.keys))
        return np.asarray(is_in[keys.codes])

    def have_rows_in(self, store: Path, file: StagedFile) -> bool:
        """Return whether a file has a row of any of these customers."""
        return any(self.mask(keys).any() for _, _, keys in self.looked_at(store, file))

    def looked_at(
        self, store: Path, file: StagedFile
    ) -> Iterator[tuple[pq.ParquetFile, int, Categorical]]:
        """Yield the row groups that may have their rows: the open file, number, keys of all rows.

        Raises StoreDamagedError.
        """
        groups = self.groups(store, file)
        if not groups:
            return
        with parquet_files.opened(store / file.path) as content:
            for group in groups:
                rows = content.read_row_group(group, columns=[CUSTOMER_KEY])
                yield content, group, Categorical.of(rows.column(CUSTOMER_KEY))


@dataclass(frozen=True)
class PublishedTables:
    """Tables of a publication by name."""

    store: Path
    files: Mapping[str, Sequence[StagedFile]]

    def rows(
        self, table: str, customers: pa.Array, columns: list[str] | None = None
    ) -> pa.Table | None:
        """Read rows of some customers (sorted keys); None where there are none.

        `columns` must include the key; None: all columns.
        """
        wanted = CustomerKeys(customers)
        parts = (
            content.read_row_group(group, columns=columns).filter(arrow(is_theirs))
            for file in self.files.get(table, ())
            for content, group, keys in wanted.looked_at(self.store, file)
            if (is_theirs := wanted.mask(keys)).any()
        )
        return concatenated(parts)

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Read rows of customers with keys in [low, high); None where there are none."""
        if low >= high:
            return None
        parts = (
            part.filter(pc.and_(pc.greater_equal(keys_of(part), low), pc.less(keys_of(part), high)))
            for path in self._paths(table, low, high)
            for part in _read(path, _overlapping(path, low, high))
        )
        return concatenated(parts)

    def customers(self, table: str, low: str, high: str) -> pa.Array:
        """Return the keys in [low, high) of the customers who have rows, each once."""
        keys = [
            pc.unique(keys_of(part))
            for path in self._paths(table, low, high)
            for part in _read(path, _overlapping(path, low, high), [CUSTOMER_KEY])
        ]
        distinct = pc.unique(pa.chunked_array(keys, pa.string()))
        return distinct.filter(pc.and_(pc.greater_equal(distinct, low), pc.less(distinct, high)))

    def row_counts(self, table: str, customers: pa.Array) -> Ints:
        """Count the rows of each of some customers (sorted keys)."""
        counts = np.zeros(len(customers), np.int64)
        wanted = CustomerKeys(customers)
        for file in self.files.get(table, ()):
            for _, _, keys in wanted.looked_at(self.store, file):
                at = index_in(keys.names, customers)[keys.codes]
                counts += np.bincount(at[at >= 0], minlength=len(customers))
        return counts

    def is_among(self, table: str, column: str, low: int, high: int) -> bool:
        """Return whether any row's time is in [low, high) microseconds."""
        for path in self._paths(table):
            for part in _read(path, [n for n, *_ in spans(path)], [column]):
                time = values(part.column(column))
                if ((time >= low) & (time < high)).any():
                    return True
        return False

    def _paths(self, table: str, low: str = FIRST_KEY, high: str = LAST_KEY) -> Iterator[Path]:
        """Yield the files that may have keys in [low, high)."""
        for file in self.files.get(table, ()):
            if low <= file.last and file.first < high:
                yield self.store / file.path


def _overlapping(path: Path, low: str, high: str) -> list[int]:
    """List the row groups that may have keys in [low, high)."""
    return [group for group, least, most in spans(path) if low <= most and least < high]


def _read(path: Path, groups: list[int], columns: list[str] | None = None) -> Iterator[pa.Table]:
    if groups:
        yield parquet_files.groups(path, groups, columns)


@lru_cache(maxsize=4096)
def spans(path: Path) -> tuple[tuple[int, str, str], ...]:
    """Return row groups of a file with the least and the greatest customer key in each."""
    meta = parquet_files.metadata(path)
    names = meta.schema.names
    column = names.index(CUSTOMER_KEY) if CUSTOMER_KEY in names else -1
    out = []
    for group in range(meta.num_row_groups):
        statistics = meta.row_group(group).column(column).statistics if column >= 0 else None
        if statistics is None or not statistics.has_min_max:
            out.append((group, FIRST_KEY, LAST_KEY))
        else:
            out.append((group, statistics.min, statistics.max))
    return tuple(out)


def keys_of(part: pa.Table) -> pa.Array:
    """Return the customer keys of rows as plain text."""
    return flat(part.column(CUSTOMER_KEY)).cast(pa.string())


def concatenated(parts: Iterable[pa.Table]) -> pa.Table | None:
    """Concatenate rows of several files; None where there are none."""
    filled = [part for part in parts if part.num_rows]
    if not filled:
        return None
    if any(part.schema != filled[0].schema for part in filled):
        filled = [plain(part) for part in filled]
    whole = pa.concat_tables(filled, promote_options="permissive")
    return whole.unify_dictionaries().combine_chunks()


def plain(rows: pa.Table) -> pa.Table:
    """Return the rows without dictionaries: files of several runs may encode other columns."""
    if not any(map(pa.types.is_dictionary, rows.schema.types)):
        return rows
    columns = [
        c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in rows.columns
    ]
    return pa.Table.from_arrays(columns, names=rows.column_names)
