"""Tables with validity, looked up as of a moment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, arrow, flat, take, valid, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import numbered
from rejse.transforms.columnar.radix_sort import sorted_by

FAR = np.iinfo(np.int64).max
#: Between the parts of a key of several columns.
KEY_MARK = "\x1f"


@dataclass(frozen=True)
class AsOf:
    """A validity table sorted by (key, valid_from, canonical JSON falling)."""

    table: pa.Table
    keys: dict[str, int]
    key_codes: Ints
    valid_from: Ints
    valid_to: Ints
    _texts: dict[str, Categorical] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: pa.Table, key: str) -> AsOf:
        """Index a table with `key`, `valid_from` and `valid_to` (null = always)."""
        coded = Categorical.of(table.column(key))
        codes, starts = coded.codes.astype(np.int64), bound(table, "valid_from", -FAR)
        order = _settled(table, codes, starts, sorted_by(codes, starts))
        return cls(
            table.take(arrow(order, pa.int64())),
            {name: code for code, name in enumerate(coded.names.to_pylist())},
            codes[order],
            starts[order],
            bound(table, "valid_to", FAR)[order],
        )

    def rows(self, texts: Categorical, time: Ints) -> Ints:
        """Row valid for each text at its time, -1 where there is none."""
        if not len(self.key_codes):
            return np.full(len(time), NULL, np.int64)
        code = texts.lookup([self.keys.get(n, NULL) for n in texts.names.to_pylist()], NULL)
        return self.at(code, time)

    def at(self, code: Ints, time: Ints) -> Ints:
        """Row valid for each code of a key at its time, -1 where there is none."""
        if not len(self.key_codes) or not (code >= 0).any():
            return np.full(len(time), NULL, np.int64)
        at = self._latest(code, time)
        while True:
            expired = (at >= 0) & (self.valid_to[at] <= time)
            if not expired.any():
                return at
            at = np.where(expired, self._longer[at], at)

    @cached_property
    def _longer(self) -> Ints:
        """Next row before, of the same key, that holds for longer; -1 where there is none.

        Where a row has expired, so have those between: many short rows cost no walk over them.
        """
        at = np.arange(len(self.key_codes)) - 1
        at[np.flatnonzero(np.append(True, np.diff(self.key_codes) != 0))] = NULL
        while True:
            shorter = np.flatnonzero((at >= 0) & (self.valid_to[at] <= self.valid_to))
            if not len(shorter):
                return at
            at[shorter] = at[at[shorter]]

    @cached_property
    def _is_single(self) -> bool:
        return bool(np.array_equal(self.key_codes, np.arange(len(self.key_codes))))

    @cached_property
    def _moments(self) -> Ints:
        return np.unique(self.valid_from)

    @cached_property
    def _begins(self) -> Ints:
        """Rising number of each row's key and begin."""
        place = np.searchsorted(self._moments, self.valid_from) + 1
        return self.key_codes * (len(self._moments) + 1) + place

    def _latest(self, code: Ints, time: Ints) -> Ints:
        """Last row of the code whose valid_from is at or before the time."""
        if self._is_single:  # one row a key: no search needed
            return np.where((code >= 0) & (self.valid_from[code] <= time), code, NULL)
        wanted = code * (len(self._moments) + 1)
        wanted = wanted + np.searchsorted(self._moments, time, side="right")
        at = np.searchsorted(self._begins, wanted, side="right") - 1
        same = (at >= 0) & (code >= 0) & (self.key_codes[at] == code)
        return np.where(same, at, NULL)

    def text(self, name: str, rows: Ints) -> Categorical:
        """A text column at the rows found."""
        if name not in self._texts:
            self._texts[name] = Categorical.of(self.table.column(name))
        return self._texts[name].rows(rows)

    def number(self, name: str, rows: Ints) -> tuple[np.ndarray[Any, Any], Bools]:
        """A numeric or boolean column at the rows found, with the mask of its values."""
        column = flat(self.table.column(name))
        if not len(column):
            kind = bool if pa.types.is_boolean(column.type) else np.float64
            return np.zeros(len(rows), kind), np.zeros(len(rows), bool)
        return values(column)[rows], (rows >= 0) & valid(column)[rows]


def pair_key(first: Categorical, second: Categorical) -> Categorical:
    """A key of two columns, null where either is; each pair that occurs is named once."""
    width = max(1, len(second.names))
    known = first.known & second.known
    pair = np.where(known, first.codes.astype(np.int64) * width + second.codes, NULL)
    used, _, places = numbered(pair[known])
    names = [
        take(column.names, part)
        for column, part in ((first, used // width), (second, used % width))
    ]
    out = np.full(len(pair), NULL)
    out[known] = places
    return Categorical(out.astype(np.int32), pc.binary_join_element_wise(*names, KEY_MARK))


def _settled(table: pa.Table, codes: Ints, starts: Ints, order: Ints) -> Ints:
    """Of several rows that begin at once the one of the least canonical JSON sorts last."""
    same = np.zeros(len(order) + 1, dtype=bool)
    same[1:-1] = (np.diff(codes[order]) == 0) & (np.diff(starts[order]) == 0)
    tied = np.flatnonzero(same[:-1] | same[1:])
    if not len(tied):
        return order
    rows = order[tied]
    said = table.take(arrow(rows, pa.int64())).to_pylist()
    text = np.array([json.dumps(row, sort_keys=True, default=str) for row in said], dtype=object)
    rank = np.argsort(np.argsort(text, kind="stable"), kind="stable")
    out = order.copy()
    out[tied] = rows[sorted_by(np.cumsum(~same[:-1])[tied], -rank)]
    return out


def bound(table: pa.Table, name: str, null: int) -> Ints:
    """Bounds of validity in microseconds, `null` where a row has none."""
    column = flat(table.column(name))
    return np.where(valid(column), values(column), null).astype(np.int64)
