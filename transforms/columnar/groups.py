"""The columnar vocabulary: sort once, then say every metric in one line.

A `Segments` cuts `n` sorted rows into consecutive segments (a journey's events, a step's events,
a journey's steps). Reductions give one value a segment, scans one value a row.
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
    """Consecutive segments, none empty: segment i is rows `starts[i]:starts[i + 1]` of `n`."""

    starts: Ints
    n: int

    @classmethod
    def where(cls, begins: Bools) -> Groups:
        """Segments that begin where `begins` is true; the first row always begins one."""
        if len(begins):
            begins = begins.copy()
            begins[0] = True
        return cls(np.flatnonzero(begins), len(begins))

    @classmethod
    def of(cls, *keys: Array) -> Groups:
        """Segments of rows with equal keys, which must already be sorted together."""
        begins = np.zeros(len(keys[0]), dtype=bool)
        for key in keys:
            begins[1:] |= key[1:] != key[:-1]
        return cls.where(begins)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def lengths(self) -> Ints:
        """Rows in each segment."""
        return np.diff(self.starts, append=self.n)

    @cached_property
    def lasts(self) -> Ints:
        """Last row of each segment."""
        return self.starts + self.lengths - 1

    @cached_property
    def ids(self) -> Ints:
        """Segment of each row."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def begins(self) -> Bools:
        """Is the row the first of its segment?"""
        mask = np.zeros(self.n, dtype=bool)
        mask[self.starts] = True
        return mask

    @cached_property
    def row_number(self) -> Ints:
        """Place of each row in its segment, from 0."""
        return np.arange(self.n) - self.broadcast(self.starts)

    def broadcast(self, per_segment: Array) -> Array:
        """The segment's value on each of its rows."""
        return np.repeat(per_segment, self.lengths)

    # Reductions: one value a segment.

    def sum(self, x: Array) -> Array:
        """Sum of x."""
        if x.dtype.kind == "f":  # no sum of a segment may hang on what stands before it
            return np.add.reduceat(x, self.starts, dtype=np.float64) if self.n else np.zeros(0)
        totals = np.concatenate(([0], np.cumsum(x, dtype=np.int64)))
        return np.asarray(totals[self.lasts + 1] - totals[self.starts])

    def count(self, mask: Bools) -> Ints:
        """Number of true rows."""
        return self.sum(mask)

    def any(self, mask: Bools) -> Bools:
        """Is a row true?"""
        found = np.zeros(len(self), dtype=bool)
        found[self.ids[np.flatnonzero(mask)]] = True  # few rows are, mostly
        return found

    def max(self, x: Array) -> Array:
        """Largest x."""
        return np.maximum.reduceat(x, self.starts) if self.n else x[:0]

    def min(self, x: Array) -> Array:
        """Least x."""
        return np.minimum.reduceat(x, self.starts) if self.n else x[:0]

    def first(self, x: Array) -> Array:
        """x of the first row."""
        return x[self.starts]

    def last(self, x: Array) -> Array:
        """x of the last row."""
        return x[self.lasts]

    def first_row(self, mask: Bools) -> Ints:
        """First row where `mask` is true, -1 where none is."""
        so_far, rows = np.cumsum(mask), np.append(np.flatnonzero(mask), self.n)
        found = rows[so_far[self.starts] - mask[self.starts]]
        return np.where(found <= self.lasts, found, NULL)

    def last_row(self, mask: Bools) -> Ints:
        """Last row where `mask` is true, -1 where none is."""
        so_far, rows = np.cumsum(mask), np.append(np.flatnonzero(mask), NULL)
        found = rows[so_far[self.lasts] - 1]
        return np.where(found >= self.starts, found, NULL)

    def first_valid(self, codes: Array) -> Array:
        """First code that is not null (-1)."""
        return pick(codes, self.first_row(codes != NULL))

    def last_valid(self, codes: Array) -> Array:
        """Last code that is not null (-1)."""
        return pick(codes, self.last_row(codes != NULL))

    def nunique(self, codes: Array) -> Ints:
        """Number of distinct codes that are not null (-1)."""
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
        """Does the row differ from the one before it in its segment? The first never does."""
        mask = np.zeros(self.n, dtype=bool)
        for x in codes:
            mask[1:] |= x[1:] != x[:-1]
        mask[self.starts] = False
        return mask

    def before(self, x: Array, fill: Any = NULL) -> Array:
        """x of the row before in the segment, `fill` on the first row."""
        out = np.empty_like(x)
        out[1:] = x[:-1]
        out[self.starts] = fill
        return out

    def last_row_before(self, mask: Bools, inclusive: bool = False) -> Ints:
        """Row of the last true `mask` before this row (or at it) in its segment, -1 if none."""
        rows = np.where(mask, np.arange(self.n), NULL)
        latest = np.maximum.accumulate(rows) if self.n else rows
        if not inclusive:
            latest = self.before(latest)
        return np.where(latest >= self.broadcast(self.starts), latest, NULL)

    def next_row_after(self, mask: Bools) -> Ints:
        """Row of the next true `mask` after this row in its segment, -1 if none."""
        rows = np.where(mask, np.arange(self.n), self.n)
        coming = np.minimum.accumulate(rows[::-1])[::-1] if self.n else rows
        after = np.append(coming[1:], self.n)[: self.n]
        return np.where(after <= self.broadcast(self.lasts), after, NULL)

    def running_max(self, x: Ints) -> Ints:
        """Largest x so far in the segment."""
        order = sorted_by(x)
        rank = np.empty(self.n, dtype=np.int64)
        rank[order] = np.arange(self.n)
        best = np.maximum.accumulate(rank + self.ids * self.n) - self.ids * self.n
        return x[order[best]] if self.n else x


def pick(x: Array, rows: Ints, fill: Any = NULL) -> Array:
    """x at `rows`, `fill` where the row is -1."""
    if not len(x):
        return np.full(len(rows), fill, dtype=x.dtype)
    if not len(rows) or rows.min() >= 0:
        return x.take(rows, axis=0)
    return np.where(rows >= 0, x[rows], fill)


def distinct(x: Array) -> Array:
    """Distinct values, rising; for many integers much faster than `np.unique`, which hashes."""
    return numbered(x)[0]


def numbered(x: Array) -> tuple[Array, Ints, Ints]:
    """Distinct values, rising; the first row of each; and the place of each row among them."""
    order = sorted_by(x)
    ranked = x[order]
    same = Groups.of(ranked)
    places = np.empty(len(x), dtype=np.int64)
    places[order] = same.ids
    return ranked[same.starts], order[same.starts], places
