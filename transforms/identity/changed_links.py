"""Find the customers between whom two versions of the identity links move rows.

The owner of an identity changes only where a link of its connected component begins or ends. So
comparing both versions at each of these moments compares them at all times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Ints, arrow, flat, valid, values
from rejse.transforms.identity.resolve import Links, key_bytes, key_strings

#: Pairs of identity and moment that are compared at once.
AT_ONCE = 1_000_000
#: Earlier than all moments of links; a wait can still be subtracted.
_ALWAYS = -(2**62)
_SIDES = ("previous_key", "identity_key")


@dataclass(frozen=True)
class Relink:
    """Customers (sorted keys) whose stored rows are resolved again by `links`.

    Rows move only between customers of one `group` (a number for each).
    """

    customers: pa.Array
    group: Ints
    links: Links

    def parts(self, rows: Ints, at_once: int) -> Iterator[pa.Array]:
        """Split customers (sorted keys) into whole groups of about `at_once` of `rows`."""
        order = np.argsort(self.group, kind="stable")
        parts = np.cumsum(rows[order]) // at_once
        begins = np.flatnonzero(np.diff(self.group[order], prepend=-1))
        part_of = np.repeat(parts[begins], np.diff(np.append(begins, len(order))))
        for members in np.split(order, np.flatnonzero(np.diff(part_of)) + 1):
            if len(members):
                yield self.customers.take(arrow(np.sort(members), pa.int64()))


def relink(before: pa.Table, now: pa.Table, wait: int) -> Relink:
    """Compare two versions of links (columns of the published `identity_links`).

    Returns the customers who own an identity at some time in one version only. `wait`:
    microseconds.
    """
    keys, label = connected(pa.concat_tables([before, now]), _changed(before, now))
    # No other links lead to these customers.
    before, now = (
        table.filter(pc.is_in(table.column(_SIDES[0]), value_set=keys)) for table in (before, now)
    )
    old, new = Links.of(before, wait), Links.of(now, wait)
    differing = np.zeros((2, 0), "S32")
    at = moments(keys, label, (before, now), wait)
    for identity, time in _lookups(keys, label, *at):
        old_owner, new_owner = _persons(identity, time, old), _persons(identity, time, new)
        differs = old_owner != new_owner
        pairs = np.stack([old_owner[differs], new_owner[differs]])
        differing = np.unique(np.concatenate([differing, pairs], axis=1), axis=1)
    customers, index = np.unique(differing.ravel(), return_inverse=True)
    first, second = index.reshape(differing.shape)
    return Relink(key_strings(customers), _components(first, second, len(customers)), new)


def _changed(before: pa.Table, now: pa.Table) -> pa.Table:
    """Return the links that only one version has."""
    names, sides = before.column_names, [len(before), len(now)]
    version = arrow(np.repeat([1, 2], sides))
    both = pa.concat_tables([before, now]).append_column("version", version)
    versions = both.group_by(names, use_threads=False).aggregate(
        [("version", "min"), ("version", "max")]
    )
    apart = pc.equal(versions.column("version_min"), versions.column("version_max"))
    return versions.filter(apart).select(names)


def connected(links: pa.Table, changed: pa.Table) -> tuple[pa.Array, Ints]:
    """Return the identities that links connect with a changed link, and their components."""
    keys = pc.unique(pa.concat_arrays([flat(links.column(side)) for side in _SIDES]))
    first, second = (
        values(pc.index_in(flat(links.column(side)), value_set=keys)).astype(np.int64)
        for side in _SIDES
    )
    label = _components(first, second, len(keys))
    touched = pc.index_in(flat(changed.column(_SIDES[0])), value_set=keys)
    chosen = np.isin(label, label[values(touched)])
    return keys.filter(arrow(chosen)), label[chosen]


def _components(first: Ints, second: Ints, n: int) -> Ints:
    """Return the least member of the connected component of each of n nodes."""
    label = np.arange(n)
    while True:  # labels spread to neighbours; pointer jumping keeps it fast
        least = label.copy()
        np.minimum.at(least, first, label[second])
        np.minimum.at(least, second, label[first])
        least = least[least]
        if (least == label).all():
            return label
        label = least


def _lookups(
    keys: pa.Array, label: Ints, group: Ints, times: Ints
) -> Iterator[tuple[pa.Array, Ints]]:
    """Yield each identity at each moment of its component, some at once: (keys, times)."""
    first, last = (np.searchsorted(group, label, side=side) for side in ("left", "right"))
    n_moments = last - first
    ends = np.cumsum(n_moments)
    edges = np.flatnonzero(np.diff(ends // AT_ONCE)) + 1
    for rows in np.split(np.arange(len(label)), edges):
        counts = n_moments[rows]
        which = np.repeat(rows, counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield keys.take(arrow(which, pa.int64())), times[first[which] + within]


def moments(
    keys: pa.Array, label: Ints, tables: Iterable[pa.Table], wait: int
) -> tuple[Ints, Ints]:
    """Return the moments at which owners can change, by component, and one before all of them."""
    groups, times = [label], [np.full(len(label), _ALWAYS)]
    for table in tables:
        at = pc.index_in(flat(table.column(_SIDES[0])), value_set=keys)
        for name, shift in (("valid_from", 0), ("valid_from", wait), ("valid_to", 0)):
            column = flat(table.column(name))
            known = valid(at) & valid(column)
            groups.append(label[values(at)[known]])
            times.append(values(column)[known] - shift)
    pairs = np.unique(np.stack([np.concatenate(groups), np.concatenate(times)]), axis=1)
    return pairs[0], pairs[1]


def _persons(keys: pa.Array, time: Ints, links: Links) -> Any:
    """Return the pseudonyms of the persons who own the identities (text) at their times."""
    number = links.number(keys)
    out = key_bytes(keys).copy()
    linked = np.flatnonzero(number >= 0)
    out[linked] = links.names[links.persons(number[linked], time[linked])]
    return out
