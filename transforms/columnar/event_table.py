"""Events of some customers as sorted columns: the form in which the core reads them.

Texts are codes into a small dictionary, times are microseconds, null is -1 (codes) or a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import (
    NULL,
    Bools,
    Ints,
    arrow,
    flat,
    index_in,
    take,
    valid,
    values,
)
from rejse.transforms.columnar.groups import Array, Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.schema import contract


@dataclass(frozen=True)
class Categorical:
    """A column of texts: `codes[i]` points into `names`, -1 is null."""

    codes: Array
    names: pa.Array

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> Categorical:
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
    def named(cls, codes: Array, names: Iterable[str]) -> Categorical:
        """A column of codes into given names."""
        return cls(codes.astype(np.int32, copy=False), pa.array(list(names), pa.string()))

    @classmethod
    def among(cls, column: pa.Array, names: pa.Array) -> Categorical:
        """A text column as codes into given names; texts that are none of them are null."""
        return cls(index_in(column, names).astype(np.int32), names)

    @classmethod
    def nulls(cls, n: int) -> Categorical:
        """A column of nothing but nulls."""
        return _nulls(n)

    @property
    def known(self) -> Bools:
        """Rows that are not null."""
        return np.asarray(self.codes != NULL)

    def of_names(self, wanted: Iterable[str]) -> Bools:
        """Rows whose text is one of `wanted`."""
        chosen = set(wanted)
        codes = [code for code, name in enumerate(self.names.to_pylist()) if name in chosen]
        if len(codes) > 3:
            return self.lookup([code in codes for code in range(len(self.names))], False)
        out = np.zeros(len(self.codes), dtype=bool)
        for code in codes:  # a comparison is thirty times as fast as a look-up
            out |= self.codes == code
        return out

    def lookup(self, per_name: list[Any], null: Any) -> Array:
        """Value of each row, given one value a name and one for null."""
        return np.asarray(np.asarray([*per_name, null]).take(self.codes, mode="wrap"))

    def rows(self, rows: Array) -> Categorical:
        """The column at `rows`; row -1 gives null."""
        return Categorical(pick(self.codes, rows).astype(np.int32, copy=False), self.names)

    def recode(self, codes: Array) -> Categorical:
        """Other codes of the same names."""
        return Categorical(codes.astype(np.int32, copy=False), self.names)

    def arrow(self) -> pa.Array:
        """Dictionary array of the column."""
        ok = None if not len(self.codes) or self.codes.min() >= 0 else self.codes >= 0
        return pa.DictionaryArray.from_arrays(arrow(self.codes, pa.int32(), ok), self.names)

    def within(self, names: pa.Array) -> Categorical:
        """The column as codes into other names; texts that are none of them are null."""
        return Categorical(self._moved(index_in(self.names, names)), names)

    def aligned(self, other: Categorical) -> tuple[Array, Array]:
        """Codes of both columns over one dictionary, so that equal texts have equal codes."""
        if other.names.equals(self.names):
            return self.codes, other.codes
        return self.codes, other._moved(self._joined(other.names)[0])

    def fallback(self, *others: Categorical) -> Categorical:
        """This column, where null the first other one that is not (coalesce)."""
        out = self
        for other in others:
            if len(out.codes) and out.codes.min() >= 0:
                break
            at, names = out._joined(other.names)
            out = Categorical(np.where(out.known, out.codes, other._moved(at)), names)
        return out

    def _joined(self, names: pa.Array) -> tuple[Ints, pa.Array]:
        """Where each of some names is among those of this column and the new ones; all of these."""
        at = index_in(names, self.names)
        new = at == NULL
        at[new] = len(self.names) + np.arange(np.count_nonzero(new))
        return at, pa.concat_arrays([self.names, names.filter(arrow(new))])

    def _moved(self, at: Ints) -> Array:
        """The place of each row, given that of each name."""
        return np.append(at, NULL).astype(np.int32).take(self.codes, mode="wrap")


@lru_cache(maxsize=16)
def _nulls(n: int) -> Categorical:
    return Categorical(_shared(np.full(n, NULL, np.int32)), pa.array([], pa.string()))


@dataclass(frozen=True)
class Events:
    """Events in some order; columns are read by name and are all null where the source has none.

    A new order moves no column: each is decoded once, and taken in the order in which it is read.
    """

    table: pa.Table
    order: Ints | None = None
    _decoded: dict[str, Any] = field(default_factory=dict, compare=False)
    _taken: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: pa.Table) -> Events:
        """Events of an Arrow table with the columns of `schema.event_schema`."""
        arrays = [flat(column) for column in table.columns]
        return cls(pa.Table.from_arrays(arrays, schema=table.schema))

    @property
    def n(self) -> int:
        """Number of events."""
        return self.table.num_rows if self.order is None else len(self.order)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.table.column_names)

    def has(self, name: str) -> bool:
        """Does the table carry the column at all?"""
        return name in self._names

    def column(self, name: str) -> pa.Array:
        """Column as Arrow array; raises KeyError where the table does not carry it."""
        if name not in self._taken:
            base = flat(self.table.column(name))
            self._taken[name] = base if self.order is None else take(base, self.order)
        return self._taken[name]

    def carries(self, name: str) -> Bools:
        """Rows in which the column, of whatever type, is not null."""
        known = self._base(f"known {name}", lambda: valid(self.table.column(name)))
        return known if self.order is None else known[self.order]  # type: ignore[no-any-return]

    def logs(self, name: str, declared: Mapping[str, Collection[str]]) -> Bools:
        """Rows that carry a column, or whose source declares that it would log it."""
        source = self.coded("source")
        says = [name in declared.get(one, ()) for one in source.names.to_pylist()]
        has = self.carries(name) if self.has(name) else np.zeros(self.n, dtype=bool)
        return has | source.lookup(says, False)

    def coded(self, name: str) -> Categorical:
        """Text column as codes."""
        if not self.has(name):
            return Categorical.nulls(self.n)
        key = f"codes {name}"
        if key not in self._taken:
            base = self._base(key, lambda: Categorical.of(self.table.column(name)))
            self._taken[key] = base if self.order is None else base.recode(base.codes[self.order])
            _shared(self._taken[key].codes)
        return self._taken[key]  # type: ignore[no-any-return]

    def number(self, name: str) -> tuple[Array, Bools]:
        """Numeric, boolean or time column (microseconds) and the mask of its values."""
        if not self.has(name):
            return np.zeros(self.n, np.int64), np.zeros(self.n, bool)
        key = f"number {name}"
        if key not in self._taken:
            column = flat(self.table.column(name))
            data, known = self._base(key, lambda: (values(column), valid(column)))
            ordered = (data, known) if self.order is None else (data[self.order], known[self.order])
            self._taken[key] = tuple(_shared(array) for array in ordered)
        return self._taken[key]  # type: ignore[no-any-return]

    def _base(self, key: str, decode: Callable[[], Any]) -> Any:
        if key not in self._decoded:
            self._decoded[key] = decode()
        return self._decoded[key]

    @property
    def time(self) -> Ints:
        """Event time in microseconds since 1970, UTC."""
        return self.number("time")[0]

    def is_one(self, name: str, *wanted: str) -> Bools:
        """Rows whose text is one of `wanted`."""
        key = f"{name} in {wanted}"
        if key not in self._taken:
            self._taken[key] = _shared(self.coded(name).of_names(wanted))
        return self._taken[key]  # type: ignore[no-any-return]

    def rows(self, order: Ints) -> Events:
        """The events in another order, or some of them."""
        if len(order) == self.n and bool((order == np.arange(self.n)).all()):
            return self
        moved = order if self.order is None else self.order[order]
        return Events(self.table, moved, self._decoded)

    def refs(self) -> pa.Array:
        """`source/id` of each event."""
        if "refs" not in self._taken:
            source = self.coded("source").arrow().cast(pa.string())
            self._taken["refs"] = pc.binary_join_element_wise(source, self.column("id"), "/")
        return self._taken["refs"]


def _shared(array: Array) -> Array:
    """The array, which nobody may change in place any more: others hold it too."""
    array.flags.writeable = False
    return array


def total_order(table: pa.Table) -> Events:
    """Events by customer and, within each, in the total order (time, source, sequence, id).

    `source` and `id` compare as bytes, `sequence` as integer with null first: no result depends on
    the order in which events arrived.
    """
    events = Events.of(table)
    customer = _ranked(events.coded(contract.CUSTOMER_KEY))
    order = sorted_by(customer, events.time)
    return events.rows(_settle_ties(events, order, customer))


def _ranked(texts: Categorical) -> Ints:
    """Codes whose order is that of the texts."""
    rank = np.empty(len(texts.names), np.int64)
    rank[values(pc.sort_indices(texts.names)).astype(np.int64)] = np.arange(len(rank))
    return rank[texts.codes] if len(rank) else np.zeros(len(texts.codes), np.int64)


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
        "id": take(events.column("id"), rows),
    }
    by = [(name, "ascending", "at_start") for name in keys]
    settled = values(pc.sort_indices(pa.table(keys), sort_keys=by)).astype(np.int64)
    out = order.copy()
    out[tied] = rows[settled]
    return out


def customers(events: Events) -> Groups:
    """One segment a customer of events in total order."""
    return Groups.of(events.coded(contract.CUSTOMER_KEY).codes)
