"""Events of some customers as sorted columns: the form in which the core reads them.

Texts are codes into a small dictionary, times are microseconds, null is -1 (codes) or a mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms import schema
from rejse.transforms.arrays import NULL, Bools, Ints, arrow, flat, take, valid, values
from rejse.transforms.segments import Array, Segments


@dataclass(frozen=True)
class Coded:
    """A column of texts: `codes[i]` points into `names`, -1 is null."""

    codes: Array
    names: pa.Array

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> Coded:
        """Encode a text or dictionary column."""
        array = flat(column)
        if not pa.types.is_dictionary(array.type):
            array = flat(pc.dictionary_encode(array))
        indices = array.indices
        codes = values(indices)
        if indices.null_count:
            codes = np.where(valid(indices), codes, NULL)
        return cls(codes.astype(np.int32, copy=False), array.dictionary.cast(pa.string()))

    @classmethod
    def named(cls, codes: Array, names: Iterable[str]) -> Coded:
        """A column of codes into given names."""
        return cls(codes.astype(np.int32, copy=False), pa.array(list(names), pa.string()))

    @classmethod
    def nulls(cls, n: int) -> Coded:
        """A column of nothing but nulls."""
        return cls(np.full(n, NULL, np.int32), pa.array([], pa.string()))

    @property
    def known(self) -> Bools:
        """Rows that are not null."""
        return self.codes != NULL

    def of_names(self, wanted: Iterable[str]) -> Bools:
        """Rows whose text is one of `wanted`."""
        chosen = set(wanted)
        return self.lookup([name in chosen for name in self.names.to_pylist()], False)

    def lookup(self, per_name: list[Any], null: Any) -> Array:
        """Value of each row, given one value a name and one for null."""
        return np.asarray([*per_name, null])[self.codes]

    def rows(self, rows: Array) -> Coded:
        """The column at `rows`; row -1 gives null."""
        codes = self.codes[rows] if len(self.codes) else np.full(len(rows), NULL, np.int32)
        return Coded(np.where(rows >= 0, codes, NULL).astype(np.int32), self.names)

    def recode(self, codes: Array) -> Coded:
        """Other codes of the same names."""
        return Coded(codes.astype(np.int32, copy=False), self.names)

    def arrow(self) -> pa.Array:
        """Dictionary array of the column."""
        ok = None if (self.codes >= 0).all() else self.codes >= 0
        return pa.DictionaryArray.from_arrays(arrow(self.codes, pa.int32(), ok), self.names)

    def aligned(self, other: Coded) -> tuple[Array, Array]:
        """Codes of both columns over one dictionary, so that equal texts have equal codes."""
        names = self.names.to_pylist()
        place = {name: code for code, name in enumerate(names)}
        moved = [place.setdefault(name, len(place)) for name in other.names.to_pylist()]
        return self.codes, other.lookup(moved, NULL).astype(np.int32)

    def fallback(self, *others: Coded) -> Coded:
        """This column, where null the first other one that is not (coalesce)."""
        out = self
        for other in others:
            mine, theirs = out.aligned(other)
            names = out.names.to_pylist()
            extra = [n for n in other.names.to_pylist() if n not in set(names)]
            merged = pa.array(names + extra, pa.string())
            out = Coded(np.where(mine == NULL, theirs, mine).astype(np.int32), merged)
        return out


@dataclass(frozen=True)
class Events:
    """Sorted events; columns are read by name and are all null where the source has none."""

    table: pa.Table
    n: int
    _cache: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: pa.Table) -> Events:
        """Events of an Arrow table with the columns of `schema.event_schema`."""
        return cls(table, table.num_rows)

    def has(self, name: str) -> bool:
        """Does the table carry the column at all?"""
        return name in self.table.column_names

    def coded(self, name: str) -> Coded:
        """Text column as codes."""
        if name not in self._cache:
            found = self.table.column(name) if self.has(name) else None
            self._cache[name] = Coded.nulls(self.n) if found is None else Coded.of(found)
        return self._cache[name]  # type: ignore[no-any-return]

    def number(self, name: str) -> tuple[Array, Bools]:
        """Numeric, boolean or time column (microseconds) and the mask of its values."""
        key = f"#{name}"
        if key not in self._cache:
            if self.has(name):
                column = flat(self.table.column(name))
                self._cache[key] = (values(column), valid(column))
            else:
                self._cache[key] = (np.zeros(self.n, np.int64), np.zeros(self.n, bool))
        return self._cache[key]  # type: ignore[no-any-return]

    @property
    def time(self) -> Ints:
        """Event time in microseconds since 1970, UTC."""
        return self.number("time")[0]

    def is_one(self, name: str, *wanted: str) -> Bools:
        """Rows whose text is one of `wanted`."""
        key = f"{name}={wanted}"
        if key not in self._cache:
            self._cache[key] = self.coded(name).of_names(wanted)
        return self._cache[key]  # type: ignore[no-any-return]

    def rows(self, order: Ints) -> Events:
        """The events in another order, or some of them."""
        if len(order) == self.n and bool((order == np.arange(self.n)).all()):
            return self
        return Events(self.table.take(arrow(order, pa.int64())), len(order))

    def refs(self) -> pa.Array:
        """`source/id` of each event."""
        if "/refs" not in self._cache:
            source = self.coded("source").arrow().cast(pa.string())
            ident = flat(self.table.column("id"))
            self._cache["/refs"] = pc.binary_join_element_wise(source, ident, "/")
        return self._cache["/refs"]  # type: ignore[no-any-return]


def total_order(table: pa.Table) -> pa.Table:
    """Events by customer and, within each, in the total order (time, source, sequence, id).

    `source` and `id` compare as bytes, `sequence` as integer with null first: no result depends on
    the order in which events arrived.
    """
    events = Events.of(_one_dictionary(table))
    customer = _ranked(events.coded(schema.CUSTOMER_KEY))
    order = _by_two(customer, events.time)
    return events.rows(_settle_ties(events, order, customer)).table


def _one_dictionary(table: pa.Table) -> pa.Table:
    """The table with one dictionary and one chunk a column."""
    arrays = [flat(column) for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _ranked(texts: Coded) -> Ints:
    """Codes whose order is that of the texts."""
    rank = np.empty(len(texts.names), np.int64)
    rank[values(pc.sort_indices(texts.names)).astype(np.int64)] = np.arange(len(rank))
    return rank[texts.codes] if len(rank) else np.zeros(len(texts.codes), np.int64)


def _by_two(first: Ints, second: Ints) -> Ints:
    """Order by two keys; one packed key where both fit into 63 bits, which sorts much faster."""
    if not len(first):
        return np.zeros(0, np.int64)
    low = second - second.min()
    bits = int(low.max()).bit_length()
    if bits + int(first.max()).bit_length() <= 63:
        return np.argsort((first << bits) | low)
    return np.lexsort((second, first))


def _settle_ties(events: Events, order: Ints, customer: Ints) -> Ints:
    """Sort the rows of equal customer and time by source, sequence and id."""
    time, who = events.time[order], customer[order]
    same = np.zeros(len(order) + 1, dtype=bool)
    same[1:-1] = (time[1:] == time[:-1]) & (who[1:] == who[:-1])
    tied = np.flatnonzero(same[:-1] | same[1:])
    if not len(tied):
        return order
    rows = order[tied]
    group = np.cumsum(~same[:-1])[tied]
    keys = {
        "group": arrow(group),
        "source": events.coded("source").rows(rows).arrow().cast(pa.string()),
        "sequence": arrow(
            np.where(events.number("sequence")[1], events.number("sequence")[0], 0)[rows],
            pa.int64(),
            events.number("sequence")[1][rows],
        ),
        "id": take(flat(events.table.column("id")), rows),
    }
    by = [(name, "ascending", "at_start") for name in keys]
    settled = values(pc.sort_indices(pa.table(keys), sort_keys=by)).astype(np.int64)
    out = order.copy()
    out[tied] = rows[settled]
    return out


def customers(events: Events) -> Segments:
    """One segment a customer of events in total order."""
    return Segments.of(events.coded(schema.CUSTOMER_KEY).codes)
