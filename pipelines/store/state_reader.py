"""Read the rows of some customers from a publication; row groups without them are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import FileIndex
from rejse.pipelines.store.key_index import counted, holding, key_index
from rejse.transforms.columnar.arrays import Ints, flat, values
from rejse.transforms.incremental.cross_customer_ids import leading
from rejse.transforms.schema.contract import CUSTOMER_KEY

#: Keys are 32 hex digits; a row group without statistics may hold any.
FIRST, LAST = "", "g"


@dataclass(frozen=True)
class PublishedTables:
    """Tables of a publication by name, as paths relative to the store."""

    store: Path
    files: Mapping[str, Sequence[str]]

    def rows(
        self, table: str, customers: pa.Array, columns: list[str] | None = None
    ) -> pa.Table | None:
        """Read rows of some customers (sorted keys); None where there are none.

        `columns` must include the key; None: all columns.
        """
        known, wanted = self._keys, leading(customers)
        parts = (
            part.filter(pc.is_in(_key(part), value_set=customers))
            for file in self.files.get(table, ())
            for part in _read(self.store / file, holding(known.of(file), wanted), columns)
        )
        return _concatenated(parts)

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Read rows of customers with keys in [low, high); None where there are none."""
        if low >= high:
            return None
        parts = (
            part.filter(pc.and_(pc.greater_equal(_key(part), low), pc.less(_key(part), high)))
            for path in self._paths(table)
            for part in _read(path, _overlapping(path, low, high))
        )
        return _concatenated(parts)

    def row_counts(self, table: str, customers: pa.Array) -> Ints:
        """Count the rows of each of some customers (sorted keys).

        Counts of two customers whose keys share their leading half are added.
        """
        known, wanted = self._keys, leading(customers)
        counts = np.zeros(len(customers), np.int64)
        for file in self.files.get(table, ()):
            counts += counted(known.of(file), wanted)
        return counts

    def is_among(self, table: str, column: str, low: int, high: int) -> bool:
        """Return whether any row's time is in [low, high) microseconds."""
        for path in self._paths(table):
            for part in _read(path, [n for n, *_ in spans(path)], [column]):
                time = values(part.column(column))
                if ((time >= low) & (time < high)).any():
                    return True
        return False

    @property
    def _keys(self) -> FileIndex:
        return key_index(self.store)

    def _paths(self, table: str) -> Iterator[Path]:
        return (self.store / path for path in self.files.get(table, ()))


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
    column = meta.schema.to_arrow_schema().get_field_index(CUSTOMER_KEY)
    out = []
    for group in range(meta.num_row_groups):
        statistics = meta.row_group(group).column(column).statistics if column >= 0 else None
        if statistics is None or not statistics.has_min_max:
            out.append((group, FIRST, LAST))
        else:
            out.append((group, statistics.min, statistics.max))
    return tuple(out)


def _key(part: pa.Table) -> pa.Array:
    return flat(part.column(CUSTOMER_KEY)).cast(pa.string())


def _concatenated(parts: Iterable[pa.Table]) -> pa.Table | None:
    filled = [part for part in parts if part.num_rows]
    if not filled:
        return None
    if any(part.schema != filled[0].schema for part in filled):
        filled = [plain(part) for part in filled]
    whole = pa.concat_tables(filled, promote_options="permissive")
    return whole.unify_dictionaries().combine_chunks()


def plain(rows: pa.Table) -> pa.Table:
    """Return the rows without dictionaries: files of several runs may encode other columns."""
    columns = [
        c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in rows.columns
    ]
    return pa.Table.from_arrays(columns, names=rows.column_names)
