"""Read the rows of some customers again and again: row groups stay in memory, up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.file_index import pairs
from rejse.pipelines.store.state_reader import (
    CustomerKeys,
    PublishedTables,
    concatenated,
    keys_of,
    plain,
    spans,
)
from rejse.transforms.columnar.arrays import Ints, arrow
from rejse.transforms.incremental.cross_customer_ids import Words, leading


@dataclass(frozen=True)
class RowGroup:
    """The rows of a row group, with their customers' leading keys in order.

    Attributes:
        rows: As they are stored.
        leading: Leading halves of the customer keys, sorted.
        order: Row number of each.
        is_sorted: Whether the rows are stored in this order.
    """

    rows: pa.Table
    leading: Words
    order: Ints
    is_sorted: bool

    @classmethod
    def read(cls, path: Path, group: int, columns: list[str] | None = None) -> RowGroup:
        """Read a row group of a file, in all columns or, without dictionaries, in some."""
        rows = parquet_files.groups(path, [group], columns)
        rows = rows if columns is None else plain(rows)
        of_rows = leading(keys_of(rows))
        order = np.argsort(of_rows, kind="stable")
        return cls(rows, of_rows[order], order, bool((order[1:] > order[:-1]).all()))

    def of(self, wanted: Words) -> pa.Table:
        """Return the rows whose leading half is wanted, in the order in which they are stored.

        They have no dictionaries: to unify those of many row groups costs more than all else.
        """
        first = np.searchsorted(self.leading, wanted)
        last = np.searchsorted(self.leading, wanted, "right")
        if len(wanted) == 1 and self.is_sorted:  # nothing is copied
            return plain(self.rows.slice(first[0], last[0] - first[0]))
        _, held = pairs(first, last)
        return plain(self.rows.take(arrow(np.sort(self.order[held]), pa.int64())))

    @property
    def nbytes(self) -> int:
        """Return the bytes that it holds."""
        return int(self.rows.nbytes + self.leading.nbytes + self.order.nbytes)


@dataclass
class RowGroups:
    """The row groups that were read last, of at most so many bytes together, but at least one.

    Threads may share them.
    """

    most_bytes: int
    _held: OrderedDict[tuple[Path, int], RowGroup] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, path: Path, group: int, columns: list[str] | None = None) -> RowGroup:
        """Return a row group of an immutable file, always in the same columns."""
        place = (path, group)
        with self._lock:
            if place in self._held:
                self._held.move_to_end(place)
                return self._held[place]
        made = RowGroup.read(path, group, columns)
        with self._lock:
            if place not in self._held:
                self._held[place] = made
                self._bytes += made.nbytes
            while self._bytes > self.most_bytes and len(self._held) > 1:
                _, last = self._held.popitem(last=False)
                self._bytes -= last.nbytes
        return made

    @property
    def nbytes(self) -> int:
        """Return the bytes that are held."""
        return self._bytes

    @property
    def have_room(self) -> bool:
        """Return whether half of the bytes are free: what is asked for later has its place."""
        return 2 * self.nbytes <= self.most_bytes

    def keep(self, paths: Collection[Path]) -> None:
        """Drop the row groups of all other files."""
        with self._lock:
            for place in [place for place in self._held if place[0] not in paths]:
                self._bytes -= self._held.pop(place).nbytes


@dataclass(frozen=True)
class WarmTables(PublishedTables):
    """Tables of a publication whose row groups stay in memory."""

    groups: RowGroups
    _asked: set[str] = field(default_factory=set)

    def rows(
        self, table: str, customers: pa.Array, columns: list[str] | None = None
    ) -> pa.Table | None:
        """Read rows of some customers (sorted keys) as `PublishedTables.rows` does."""
        self._asked.add(table)
        wanted, prefixes = CustomerKeys(customers), leading(customers)
        whole = concatenated(
            self.groups.of(self.store / file.path, group).of(prefixes)
            for file in self.files.get(table, ())
            for group in wanted.groups(self.store, file)
        )
        if whole is None:
            return None
        is_theirs = pc.is_in(keys_of(whole), value_set=customers)
        rows = whole if pc.all(is_theirs).as_py() else whole.filter(is_theirs)
        if not rows.num_rows:
            return None
        return rows if columns is None else rows.select(columns)

    def read_ahead(self, stop: threading.Event) -> None:
        """Read the tables that rows were asked of, until `stop` is set or half the memory is used.

        Another thread may do it: customers to come then find their row groups in memory.
        """
        for table in sorted(self._asked):
            for file in self.files.get(table, ()):
                for group, *_ in spans(self.store / file.path):
                    if stop.is_set() or not self.groups.have_room:
                        return
                    self.groups.of(self.store / file.path, group)
