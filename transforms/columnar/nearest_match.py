"""The nearest candidate within reach, for many queries at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.radix_sort import sorted_by

#: Says for pairs (query row, candidate row) whether the candidate is within reach.
Within = Callable[[Ints, Ints], Bools]


@dataclass(frozen=True)
class Candidates:
    """Candidate rows sorted by (group, row); rows are places in the total order."""

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
        """Nearest candidate before (or at) each row in its group and within reach, -1 if none."""
        side: Literal["left", "right"] = "right" if inclusive else "left"
        at = np.searchsorted(self.keys, group * self.width + rows, side=side) - 1
        return self._walk(rows, group, at, -1, within)

    def later(self, rows: Ints, group: Ints, within: Within) -> Ints:
        """Nearest candidate after each row in its group and within reach, -1 if none."""
        at = np.searchsorted(self.keys, group * self.width + rows, side="right")
        return self._walk(rows, group, at, 1, within)

    def _walk(self, rows: Ints, group: Ints, at: Ints, step: int, within: Within) -> Ints:
        """Step away from the query until a candidate is within reach or its group ends."""
        found = np.full(len(rows), NULL, dtype=np.int64)
        asking = np.arange(len(rows))
        while len(asking):
            inside = (at >= 0) & (at < len(self.keys))
            here = np.where(inside, at, 0)
            inside &= len(self.keys) > 0
            if inside.any():
                inside &= self.keys[here] // self.width == group[asking]
            asking, at = asking[inside], at[inside]
            reached = within(rows[asking], self.rows[at])
            found[asking[reached]] = self.rows[at[reached]]
            asking, at = asking[~reached], at[~reached] + step
        return found
