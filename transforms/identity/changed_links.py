"""Which customers two versions of the identity links tell apart, so that stored rows can follow.

Whose an identity is changes only at the beginnings and ends of links of those that it is connected
with, so that a look at each of these moments says whether two versions agree at all times.
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

#: Identities and moments that are looked at together.
AT_ONCE = 1_000_000
#: Before all moments of links, but so that a wait can be added.
_EVER = -(2**62)
_SIDES = ("previous_key", "identity_key")


@dataclass(frozen=True)
class Relink:
    """Customers (sorted keys) whose stored rows are resolved anew by `links`.

    Rows move only between customers of one `group` (a number for each).
    """

    customers: pa.Array
    group: Ints
    links: Links

    def parts(self, rows: Ints, at_once: int) -> Iterator[pa.Array]:
        """Whole groups of customers (sorted keys) that have about so many `rows` together."""
        order = np.argsort(self.group, kind="stable")
        parts = np.cumsum(rows[order]) // at_once
        begins = np.flatnonzero(np.diff(self.group[order], prepend=-1))
        part_of = np.repeat(parts[begins], np.diff(np.append(begins, len(order))))
        for mine in np.split(order, np.flatnonzero(np.diff(part_of)) + 1):
            if len(mine):
                yield self.customers.take(arrow(np.sort(mine), pa.int64()))


def relink(before: pa.Table, now: pa.Table, wait: int) -> Relink:
    """Of two versions of links (columns of the published `identity_links`) the customers to whom
    an identity belongs at some time by one of them only.
    """
    keys, label = connected(pa.concat_tables([before, now]), _changed(before, now))
    # Links of others lead to none of these customers.
    before, now = (
        table.filter(pc.is_in(table.column(_SIDES[0]), value_set=keys)) for table in (before, now)
    )
    old, new = Links.of(before, wait), Links.of(now, wait)
    found = np.zeros((2, 0), "S32")
    at = moments(keys, label, (before, now), wait)
    for identity, time in _looked_at(keys, label, *at):
        mine, theirs = _persons(identity, time, old), _persons(identity, time, new)
        differs = mine != theirs
        pairs = np.stack([mine[differs], theirs[differs]])
        found = np.unique(np.concatenate([found, pairs], axis=1), axis=1)
    customers, place = np.unique(found.ravel(), return_inverse=True)
    one, other = place.reshape(found.shape)
    return Relink(key_strings(customers), _groups(one, other, len(customers)), new)


def _changed(before: pa.Table, now: pa.Table) -> pa.Table:
    """Links of one version only."""
    names, sides = before.column_names, [len(before), len(now)]
    version = arrow(np.repeat([1, 2], sides))
    both = pa.concat_tables([before, now]).append_column("version", version)
    told = both.group_by(names, use_threads=False).aggregate(
        [("version", "min"), ("version", "max")]
    )
    apart = pc.equal(told.column("version_min"), told.column("version_max"))
    return told.filter(apart).select(names)


def connected(every: pa.Table, changed: pa.Table) -> tuple[pa.Array, Ints]:
    """Identities connected with a changed link over any links, and a number of each one's group."""
    keys = pc.unique(pa.concat_arrays([flat(every.column(side)) for side in _SIDES]))
    one, other = (
        values(pc.index_in(flat(every.column(side)), value_set=keys)).astype(np.int64)
        for side in _SIDES
    )
    label = _groups(one, other, len(keys))
    touched = pc.index_in(flat(changed.column(_SIDES[0])), value_set=keys)
    chosen = np.isin(label, label[values(touched)])
    return keys.filter(arrow(chosen)), label[chosen]


def _groups(one: Ints, other: Ints, n: int) -> Ints:
    """Of n things, some connected in pairs, the least thing of each one's group."""
    label = np.arange(n)
    while True:  # the least number of a group spreads; halving the way makes that fast
        least = label.copy()
        np.minimum.at(least, one, label[other])
        np.minimum.at(least, other, label[one])
        least = least[least]
        if (least == label).all():
            return label
        label = least


def _looked_at(
    keys: pa.Array, label: Ints, group: Ints, times: Ints
) -> Iterator[tuple[pa.Array, Ints]]:
    """Each identity at each of its group's moments, some at once: (keys, times)."""
    first, last = (np.searchsorted(group, label, side=side) for side in ("left", "right"))
    many = last - first
    ends = np.cumsum(many)
    edges = np.flatnonzero(np.diff(ends // AT_ONCE)) + 1
    for mine in np.split(np.arange(len(label)), edges):
        counts = many[mine]
        which = np.repeat(mine, counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield keys.take(arrow(which, pa.int64())), times[first[which] + within]


def moments(
    keys: pa.Array, label: Ints, tables: Iterable[pa.Table], wait: int
) -> tuple[Ints, Ints]:
    """Moments at which anything can change, by group, and the one before all of them."""
    groups, times = [label], [np.full(len(label), _EVER)]
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
    """Pseudonyms of the persons whose the identities (text) are at their times."""
    number = links.number(keys)
    out = key_bytes(keys).copy()
    linked = np.flatnonzero(number >= 0)
    out[linked] = links.names[links.persons(number[linked], time[linked])]
    return out
