"""Find the nearest candidate within reach, for many queries at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.radix_sort import sorted_by

#: For pairs (query row, candidate row): whether the candidate is within reach.
Within = Callable[[Ints, Ints], Bools]


@dataclass(frozen=True)
class Candidates:
    """Candidate rows sorted by (group, row); rows count in the total order of events."""

    rows: Ints
    keys: Ints
    width: int

    @classmethod
    def of(cls, rows: Ints, group: Ints, n: int) -> Candidates:
        """Index candidate rows out of `n` by their group."""
        keys = group * n + rows
        order = sorted_by(keys)
        return cls(rows[order], keys[order], n)

    def earlier(self, rows: Ints, group: Ints, within: Within, inclusive: bool = False) -> Ints:
        """Return the nearest candidate in reach before each row in its group, -1 if none.

        `inclusive` allows the row itself.
        """
        side: Literal["left", "right"] = "right" if inclusive else "left"
        at = np.searchsorted(self.keys, group * self.width + rows, side=side) - 1
        return self._walk(rows, group, at, -1, within)

    def later(self, rows: Ints, group: Ints, within: Within) -> Ints:
        """Return the nearest candidate after each row in its group and within reach, -1 if none."""
        at = np.searchsorted(self.keys, group * self.width + rows, side="right")
        return self._walk(rows, group, at, 1, within)

    def _walk(self, rows: Ints, group: Ints, at: Ints, step: int, within: Within) -> Ints:
        """Step away from the query until a candidate is within reach or its group ends."""
        nearest = np.full(len(rows), NULL, dtype=np.int64)
        open_queries = np.arange(len(rows))
        while len(open_queries):
            inside = (at >= 0) & (at < len(self.keys))
            candidate = np.where(inside, at, 0)
            inside &= len(self.keys) > 0
            if inside.any():
                inside &= self.keys[candidate] // self.width == group[open_queries]
            open_queries, at = open_queries[inside], at[inside]
            reached = within(rows[open_queries], self.rows[at])
            nearest[open_queries[reached]] = self.rows[at[reached]]
            open_queries, at = open_queries[~reached], at[~reached] + step
        return nearest
