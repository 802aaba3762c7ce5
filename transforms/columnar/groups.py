"""Reductions and scans over groups of consecutive rows: the vocabulary of metrics.

`Groups` splits `n` sorted rows into consecutive groups (a journey's events, a step's events, a
journey's steps). Reductions give one value a group, scans one value a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.radix_sort import sorted_by

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Groups:
    """Consecutive groups, none empty: group i has the rows `starts[i]:starts[i + 1]` of `n`."""

    starts: Ints
    n: int

    @classmethod
    def where(cls, begins: Bools) -> Groups:
        """Return groups that begin where `begins` is true; the first row always begins one."""
        if len(begins):
            begins = begins.copy()
            begins[0] = True
        return cls(np.flatnonzero(begins), len(begins))

    @classmethod
    def of(cls, *keys: Array) -> Groups:
        """Group rows by equal keys; equal keys must be adjacent."""
        begins = np.zeros(len(keys[0]), dtype=bool)
        for key in keys:
            begins[1:] |= key[1:] != key[:-1]
        return cls.where(begins)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def lengths(self) -> Ints:
        """Number of rows in each group."""
        return np.diff(self.starts, append=self.n)

    @cached_property
    def lasts(self) -> Ints:
        """Last row of each group."""
        return self.starts + self.lengths - 1

    @cached_property
    def ids(self) -> Ints:
        """Group of each row."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def begins(self) -> Bools:
        """Mask of the first row of each group."""
        mask = np.zeros(self.n, dtype=bool)
        mask[self.starts] = True
        return mask

    @cached_property
    def row_number(self) -> Ints:
        """Number of each row in its group, from 0."""
        return np.arange(self.n) - self.broadcast(self.starts)

    def broadcast(self, per_group: Array) -> Array:
        """Repeat each group's value on its rows."""
        return np.repeat(per_group, self.lengths)

    # Reductions: one value a group.

    def sum(self, x: Array) -> Array:
        """Return the sum of x."""
        if x.dtype.kind == "f":  # a float sum must not depend on the groups before it
            return np.add.reduceat(x, self.starts, dtype=np.float64) if self.n else np.zeros(0)
        totals = np.concatenate(([0], np.cumsum(x, dtype=np.int64)))
        return np.asarray(totals[self.lasts + 1] - totals[self.starts])

    def count(self, mask: Bools) -> Ints:
        """Return the number of true rows."""
        return self.sum(mask)

    def any(self, mask: Bools) -> Bools:
        """Return whether any row is true."""
        has_true = np.zeros(len(self), dtype=bool)
        has_true[self.ids[np.flatnonzero(mask)]] = True  # mostly few rows are true
        return has_true

    def max(self, x: Array) -> Array:
        """Return the largest x."""
        return np.maximum.reduceat(x, self.starts) if self.n else x[:0]

    def min(self, x: Array) -> Array:
        """Return the least x."""
        return np.minimum.reduceat(x, self.starts) if self.n else x[:0]

    def first(self, x: Array) -> Array:
        """Return x of the first row."""
        return x[self.starts]

    def last(self, x: Array) -> Array:
        """Return x of the last row."""
        return x[self.lasts]

    def first_row(self, mask: Bools) -> Ints:
        """Return the first row where `mask` is true, -1 where none is."""
        so_far, rows = np.cumsum(mask), np.append(np.flatnonzero(mask), self.n)
        row = rows[so_far[self.starts] - mask[self.starts]]
        return np.where(row <= self.lasts, row, NULL)

    def last_row(self, mask: Bools) -> Ints:
        """Return the last row where `mask` is true, -1 where none is."""
        so_far, rows = np.cumsum(mask), np.append(np.flatnonzero(mask), NULL)
        row = rows[so_far[self.lasts] - 1]
        return np.where(row >= self.starts, row, NULL)

    def first_valid(self, codes: Array) -> Array:
        """Return the first code that is not null (-1)."""
        return pick(codes, self.first_row(codes != NULL))

    def last_valid(self, codes: Array) -> Array:
        """Return the last code that is not null (-1)."""
        return pick(codes, self.last_row(codes != NULL))

    def nunique(self, codes: Array) -> Ints:
        """Return the number of distinct codes that are not null (-1)."""
        if not self.n:
            return np.zeros(0, np.int64)
        if codes.max() < 64:
            bits = np.where(codes >= 0, np.uint64(1) << codes.astype(np.uint64), np.uint64(0))
            return np.bitwise_count(np.bitwise_or.reduceat(bits, self.starts)).astype(np.int64)
        known = codes != NULL
        pairs = distinct(self.ids[known] * (int(codes.max()) + 1) + codes[known])
        return np.bincount(pairs // (int(codes.max()) + 1), minlength=len(self)).astype(np.int64)

    # Scans: one value a row.

    def changed(self, *codes: Array) -> Bools:
        """Return whether each row differs from the previous of its group; the first never does."""
        mask = np.zeros(self.n, dtype=bool)
        for x in codes:
            mask[1:] |= x[1:] != x[:-1]
        mask[self.starts] = False
        return mask

    def before(self, x: Array, fill: Any = NULL) -> Array:
        """Return x of the previous row in the group, `fill` on the first row."""
        out = np.empty_like(x)
        out[1:] = x[:-1]
        out[self.starts] = fill
        return out

    def last_row_before(self, mask: Bools, inclusive: bool = False) -> Ints:
        """Return the last row before each row in its group where `mask` is true, -1 if none.

        `inclusive` allows the row itself.
        """
        rows = np.where(mask, np.arange(self.n), NULL)
        latest = np.maximum.accumulate(rows) if self.n else rows
        if not inclusive:
            latest = self.before(latest)
        return np.where(latest >= self.broadcast(self.starts), latest, NULL)

    def next_row_after(self, mask: Bools) -> Ints:
        """Return the row of the next true `mask` after this row in its group, -1 if none."""
        rows = np.where(mask, np.arange(self.n), self.n)
        next_row = np.minimum.accumulate(rows[::-1])[::-1] if self.n else rows
        after = np.append(next_row[1:], self.n)[: self.n]
        return np.where(after <= self.broadcast(self.lasts), after, NULL)

    def running_max(self, x: Ints) -> Ints:
        """Return the largest x so far in the group."""
        order = sorted_by(x)
        rank = np.empty(self.n, dtype=np.int64)
        rank[order] = np.arange(self.n)
        best = np.maximum.accumulate(rank + self.ids * self.n) - self.ids * self.n
        return x[order[best]] if self.n else x


def pick(x: Array, rows: Ints, fill: Any = NULL) -> Array:
    """Return x at `rows`, `fill` where the row is -1."""
    if not len(x):
        return np.full(len(rows), fill, dtype=x.dtype)
    if not len(rows) or rows.min() >= 0:
        return x.take(rows, axis=0)
    filled = np.empty(len(x) + 1, np.result_type(x, fill))
    filled[:-1], filled[-1] = x, fill
    return filled[rows]  # -1 is the last: a third of what choosing row by row costs


def distinct(x: Array) -> Array:
    """Return the distinct values, ascending; for many integers much faster than `np.unique`."""
    return numbered(x)[0]


def numbered(x: Array) -> tuple[Array, Ints, Ints]:
    """Return the distinct values, ascending; the first row of each; each row's index in them."""
    order = sorted_by(x)
    ranked = x[order]
    same = Groups.of(ranked)
    index = np.empty(len(x), dtype=np.int64)
    index[order] = same.ids
    return ranked[same.starts], order[same.starts], index
