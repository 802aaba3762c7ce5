"""What a publication holds of some customers, read again: row groups without them are skipped."""

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
from rejse.pipelines.store.key_index import KEY, counted, holding, key_index
from rejse.transforms.columnar.arrays import Ints, flat, values
from rejse.transforms.incremental.cross_customer_ids import leading

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
        """Rows of some customers (sorted keys), all columns or some, with the key among them; None
        where there are none.
        """
        known, wanted = self._keys, leading(customers)
        found = (
            part.filter(pc.is_in(_key(part), value_set=customers))
            for file in self.files.get(table, ())
            for part in _read(self.store / file, holding(known.of(file), wanted), columns)
        )
        return _together(found)

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Rows of the customers whose keys lie in [low, high); None where there are none."""
        if low >= high:
            return None
        found = (
            part.filter(pc.and_(pc.greater_equal(_key(part), low), pc.less(_key(part), high)))
            for path in self._paths(table)
            for part in _read(path, _overlapping(path, low, high))
        )
        return _together(found)

    def row_counts(self, table: str, customers: pa.Array) -> Ints:
        """How many rows each of some customers (sorted keys) has; those of two whose keys begin
        alike are not told apart.
        """
        known, wanted = self._keys, leading(customers)
        counts = np.zeros(len(customers), np.int64)
        for file in self.files.get(table, ()):
            counts += counted(known.of(file), wanted)
        return counts

    def is_among(self, table: str, column: str, low: int, high: int) -> bool:
        """Whether any row's time lies in [low, high) microseconds."""
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
    """Row groups whose keys may lie in [low, high)."""
    return [group for group, least, most in spans(path) if low <= most and least < high]


def _read(path: Path, groups: list[int], columns: list[str] | None = None) -> Iterator[pa.Table]:
    if groups:
        yield parquet_files.groups(path, groups, columns)


@lru_cache(maxsize=4096)
def spans(path: Path) -> tuple[tuple[int, str, str], ...]:
    """Row groups of a file with the least and the greatest customer key in each."""
    meta = parquet_files.metadata(path)
    place = meta.schema.to_arrow_schema().get_field_index(KEY)
    out = []
    for group in range(meta.num_row_groups):
        said = meta.row_group(group).column(place).statistics if place >= 0 else None
        if said is None or not said.has_min_max:
            out.append((group, FIRST, LAST))
        else:
            out.append((group, said.min, said.max))
    return tuple(out)


def _key(part: pa.Table) -> pa.Array:
    return flat(part.column(KEY)).cast(pa.string())


def _together(parts: Iterable[pa.Table]) -> pa.Table | None:
    found = [part for part in parts if part.num_rows]
    if not found:
        return None
    if any(part.schema != found[0].schema for part in found):
        found = [plain(part) for part in found]
    whole = pa.concat_tables(found, promote_options="permissive")
    return whole.unify_dictionaries().combine_chunks()


def plain(rows: pa.Table) -> pa.Table:
    """The rows without dictionaries: files of several runs may code other columns."""
    columns = [
        c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in rows.columns
    ]
    return pa.Table.from_arrays(columns, names=rows.column_names)
