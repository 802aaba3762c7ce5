"""What a publication holds of some customers, read again: row groups without them are skipped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.transforms.arrays import Ints, flat, values

KEY = "customer_key"
#: Keys are 32 hex digits; a row group without statistics may hold any.
FIRST, LAST = "", "g"


@dataclass(frozen=True)
class History:
    """Tables of a publication by name, as paths relative to the store."""

    store: Path
    files: Mapping[str, Sequence[str]]

    def rows(self, table: str, customers: pa.Array) -> pa.Table | None:
        """Rows of some customers (sorted keys); None where there are none."""
        keys = customers.to_pylist()
        found = (
            part.filter(pc.is_in(_key(part), value_set=customers))
            for part in self._parts(table, lambda low, high: _holds(keys, low, high))
        )
        return _together(found)

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Rows of the customers whose keys lie in [low, high); None where there are none."""
        found = (
            part.filter(pc.and_(pc.greater_equal(_key(part), low), pc.less(_key(part), high)))
            for part in self._parts(table, lambda least, most: least < high and most >= low)
        )
        return _together(found)

    def counted(self, table: str, customers: pa.Array) -> Ints:
        """How many rows each of some customers (sorted keys) has."""
        keys, counts = customers.to_pylist(), np.zeros(len(customers), np.int64)
        for part in self._parts(table, lambda low, high: _holds(keys, low, high), [KEY]):
            at = pc.drop_null(pc.index_in(_key(part), value_set=customers))
            counts += np.bincount(values(at), minlength=len(keys))
        return counts

    def is_among(self, table: str, column: str, low: int, high: int) -> bool:
        """Whether any row's time lies in [low, high) microseconds."""
        for part in self._parts(table, lambda *_: True, [column]):
            time = values(part.column(column))
            if ((time >= low) & (time < high)).any():
                return True
        return False

    def holds(self, table: str, keys: list[str]) -> bool:
        """Whether a row group may have rows of one of these customers (sorted)."""
        return any(
            _holds(keys, low, high)
            for path in self.files.get(table, ())
            for _, low, high in spans(self.store / path)
        )

    def _parts(
        self, table: str, wanted: Callable[[str, str], bool], columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        for path in self.files.get(table, ()):
            groups = [n for n, low, high in spans(self.store / path) if wanted(low, high)]
            if groups:
                yield pq.ParquetFile(self.store / path).read_row_groups(groups, columns=columns)


def _holds(keys: list[str], low: str, high: str) -> bool:
    at = bisect_left(keys, low)
    return at < len(keys) and keys[at] <= high


@lru_cache(maxsize=4096)
def spans(path: Path) -> tuple[tuple[int, str, str], ...]:
    """Row groups of a file with the least and the greatest customer key in each."""
    meta = pq.read_metadata(path)
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
