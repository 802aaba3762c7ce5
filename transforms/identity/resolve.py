"""Resolve an identity to its owner at a point in time (docs/reference/identity.md#links).

A link says that from `valid_from` until `valid_to` the previous identity belongs to another one.
Each identity that is not a customer follows the valid link that began last. If none was valid
before, it follows the first that begins within the wait. The other end is followed in turn. Between
two customers a link is a merge: until it ends it also holds for all time before it began. Raw
identities are unknown here: both ends are pseudonyms, made like customer keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, arrow, flat, valid, values
from rejse.transforms.columnar.customer_buckets import buckets
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.validity import FAR, AsOf, bound
from rejse.transforms.schema.contract import BUCKET, CODED, CUSTOMER_KEY, IDENTITY_KEY

CUSTOMER = "customer"
#: Where a link comes from: the table `identity_links`, an event, or the table of cases.
TABLE, EVENT, CASE = "table", "event", "case"
Keys = np.ndarray[Any, np.dtype[np.bytes_]]
#: Length of a pseudonym.
SIZE = 32


@dataclass(frozen=True)
class Links:
    """Indexed links. Identities are numbered by (type, key).

    `keys` are their pseudonyms, ascending; `numbers` the number of each; `rows` the links by the
    slot (`slots`) of their previous identity; `following` the number of the other end.
    """

    keys: Keys
    numbers: Ints
    is_customer: Bools
    slots: Ints
    rows: AsOf
    following: Ints
    #: Row of the table that each link has.
    table_rows: Ints
    wait: int

    @classmethod
    def of(cls, table: pa.Table, wait: int) -> Links:
        """Index links (columns of the published `identity_links`); `wait` in microseconds.

        Links that never hold, and links from a customer to another type of identity, are left out.
        """
        table_rows = np.flatnonzero(_is_valid_link(table))
        table = table.take(arrow(table_rows, pa.int64()))
        identities = _identities(table)
        keys, kinds = (
            key_bytes(flat(identities.column("key"))),
            Categorical.of(identities.column("kind")),
        )
        by_key = np.argsort(keys)
        ends = [
            values(pc.index_in(flat(table.column(name)), value_set=flat(identities.column("key"))))
            for name in ("previous_key", "identity_key")
        ]
        begin, end = bound(table, "valid_from", -FAR), bound(table, "valid_to", FAR)
        precedence = table.column("precedence")
        rank = np.where(valid(precedence), values(precedence), 0)
        # Of links that begin at once the lowest sorts last, where a search finds it.
        kind = kinds.codes[ends[1]]  # ascending with the name of the type
        order = np.lexsort((-ends[1], -rank, -kind, begin, ends[0]))
        order, end = _coalesced(order, ends, begin, end)
        previous, place = np.unique(ends[0][order], return_inverse=True)
        places = np.full(len(keys), NULL)
        places[previous] = np.arange(len(previous))
        rows = AsOf(pa.table({}), {}, place.astype(np.int64), begin[order], end)
        return cls(
            keys[by_key],
            by_key.astype(np.int64),
            kinds.of_names([CUSTOMER]),
            places,
            rows,
            ends[1][order].astype(np.int64),
            table_rows[order],
            wait,
        )

    def number(self, keys: pa.Array) -> Ints:
        """Return the number of each identity (text), -1 where no link has it."""
        out = np.full(len(keys), NULL)
        if len(self.keys) and len(keys):
            wanted = key_bytes(keys)
            index = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            out = np.where(self.keys[index] == wanted, self.numbers[index], NULL)
        return out

    @cached_property
    def names(self) -> Keys:
        """Pseudonyms by number."""
        out = np.empty_like(self.keys)
        out[self.numbers] = self.keys
        return out

    def after(self, number: Ints, time: Ints) -> Ints:
        """Return the other end of each identity's link at its time (microseconds), -1 if none."""
        row = self.link(number, time)
        if not len(self.following):
            return row
        return np.where(row >= 0, self.following[row], NULL)

    def link(self, number: Ints, time: Ints) -> Ints:
        """Return the link that each identity follows at its time, -1 where it follows none."""
        if not len(self.following):
            return np.full(len(number), NULL)
        slot = self.slots[number]
        row = self.rows.at(slot, time)
        first = self._first[slot]
        begin = self.rows.valid_from[first]
        soon = self.is_customer[number] | (begin <= time + self.wait)
        return np.where((slot >= 0) & (time < begin) & soon, first, row)

    @cached_property
    def _first(self) -> Ints:
        """Of each slot the link that holds first; ties: the last of them."""
        slot, begin = self.rows.key_codes, self.rows.valid_from
        is_last = np.append((np.diff(slot) != 0) | (np.diff(begin) != 0), True)
        lasts = np.flatnonzero(is_last) if len(slot) else np.zeros(0, np.int64)
        return lasts[np.unique(slot[lasts], return_index=True)[1]]

    def persons(self, number: Ints, time: Ints) -> Ints:
        """Return the owner of each identity at its time: the end of its links.

        In a cycle all identities belong to the lowest of it.
        """
        out = number.copy()
        for rows, at in self._ends(number, time):
            out[rows] = at
        return out

    def _ends(self, number: Ints, time: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Yield rows and the ends of their links.

        Cycles are found by Floyd's algorithm: `fast` takes two links where `slow` takes one.
        """
        rows, slow, fast = np.arange(len(number)), number, number
        while len(rows):
            step = self.after(fast, time)
            step_after = np.where(step >= 0, self.after(step, time), NULL)
            slow = self.after(slow, time)
            yield rows[step < 0], fast[step < 0]
            ends = (step >= 0) & (step_after < 0)
            yield rows[ends], step[ends]
            is_cycle = (step_after >= 0) & (slow == step_after)
            yield rows[is_cycle], self._lowest_of_cycle(slow[is_cycle], time[is_cycle])
            on = (step_after >= 0) & ~is_cycle
            rows, slow, fast, time = rows[on], slow[on], step_after[on], time[on]

    def _lowest_of_cycle(self, number: Ints, time: Ints) -> Ints:
        """Return the lowest identity of the cycle of each identity."""
        least, at = number, self.after(number, time)
        while (at != number).any():
            least = np.minimum(least, at)
            at = np.where(at != number, self.after(at, time), at)
        return least


def resolve(keys: Categorical, time: Ints, links: Links) -> tuple[pa.Array, Ints]:
    """Return names of persons, and the index in them of each row's person.

    `keys` are the identities, `time` their times (microseconds). The names begin with those of
    `keys`.
    """
    known = links.number(keys.names)
    number = keys.lookup(known.tolist(), NULL).astype(np.int64)
    has_link = (number >= 0) & (links.slots[number] >= 0) if len(links.slots) else number >= 0
    rows = np.flatnonzero(has_link)
    persons = links.persons(number[rows], time[rows])
    moved = persons != number[rows]
    used, code = np.unique(persons[moved], return_inverse=True)
    new_names = key_strings(links.names[used])
    index = pc.index_in(new_names, value_set=keys.names)
    is_new = ~valid(index)
    codes = np.where(is_new, len(keys.names) + np.cumsum(is_new) - 1, values(index))
    out = keys.codes.astype(np.int64)
    out[rows[moved]] = codes[code]
    return pa.concat_arrays([keys.names, new_names.filter(arrow(is_new))]), out


def to_persons(rows: pa.RecordBatch | pa.Table, links: Links) -> pa.RecordBatch | pa.Table:
    """Set the customer of pseudonymous rows to the owner of their identity at their `time`.

    `identity_key` keeps the pseudonym of the row's own identity where another one owns it. Rows
    that were resolved before are resolved again. Rows are returned unchanged where no identity is
    another's and none was.
    """
    identities = original_identity(rows)
    names, codes = resolve(identities, values(flat(rows.column("time"))), links)
    moved = codes != identities.codes
    if not moved.any() and IDENTITY_KEY not in rows.schema.names:
        return rows
    kept = Categorical(
        np.where(moved, identities.codes, NULL).astype(np.int32), identities.names
    ).arrow()
    customer = Categorical(codes.astype(np.int32), names).arrow()
    columns = {CUSTOMER_KEY: customer, BUCKET: buckets(customer), IDENTITY_KEY: kept.cast(CODED)}
    for name, column in columns.items():
        position = rows.schema.get_field_index(name)
        rows = (
            rows.append_column(name, column)
            if position < 0
            else rows.set_column(position, name, column)
        )
    return rows


def original_identity(rows: pa.RecordBatch | pa.Table) -> Categorical:
    """Return the own identity of each pseudonymous row."""
    customer = Categorical.of(rows.column(CUSTOMER_KEY))
    if IDENTITY_KEY not in rows.schema.names:
        return customer
    return Categorical.of(rows.column(IDENTITY_KEY)).fallback(customer)


def _is_valid_link(table: pa.Table) -> Bools:
    begin, end = bound(table, "valid_from", -FAR), bound(table, "valid_to", FAR)
    previous, other = (
        values(pc.equal(flat(table.column(name)), CUSTOMER))
        for name in ("previous_type", "identity_type")
    )
    return np.asarray((begin < end) & (~previous | other))


def _coalesced(order: Ints, ends: list[Ints], begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Merge adjacent intervals of one link, as successive logins give.

    Returns the order of the links and their ends.
    """
    previous, other = (side[order] for side in ends)
    goes_on = (np.diff(previous) == 0) & (np.diff(other) == 0)
    goes_on &= begin[order][1:] == end[order][:-1]
    firsts = np.flatnonzero(np.append(True, ~goes_on)) if len(order) else order
    lasts = np.append(firsts[1:], len(order)) - 1 if len(order) else order
    return order[firsts], end[order][lasts]


def _identities(table: pa.Table) -> pa.Table:
    """Return all identities of the links, as type and key, sorted."""
    kinds, keys = (
        pa.chunked_array([flat(table.column(f"{end}_{part}")) for end in ("previous", "identity")])
        for part in ("type", "key")
    )
    pairs = pa.table({"kind": kinds, "key": keys}).group_by(["kind", "key"], use_threads=False)
    return pairs.aggregate([]).sort_by([("kind", "ascending"), ("key", "ascending")])


def key_bytes(keys: pa.Array) -> Keys:
    """Return pseudonyms of 32 letters as numpy bytes. Raises ValueError for other lengths."""
    offsets = np.frombuffer(keys.buffers()[1], np.int32)[keys.offset : keys.offset + len(keys) + 1]
    if (np.diff(offsets) != SIZE).any():
        raise ValueError(f"expected pseudonyms of {SIZE} letters, came others")
    if not len(keys):
        return np.zeros(0, "S32")
    return np.frombuffer(keys.buffers()[2], "S32", len(keys), int(offsets[0]))


def key_strings(keys: Keys) -> pa.Array:
    """Return pseudonyms as an Arrow array of texts."""
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(SIZE)
    data = [pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(keys).tobytes())]
    return pa.StringArray.from_buffers(len(keys), *data)
