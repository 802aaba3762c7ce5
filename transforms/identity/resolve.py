"""Identity links: whose an identity is, as of a time (docs/reference/identity.md#links).

A link says that from `valid_from` until `valid_to` the previous identity is another one's. Every
identity that is not a customer follows the live one of them that began last; if it never had one,
the first that begins within the wait; and so on from there. Between two customers a link is a
merge: it holds for what was before it too, however long ago, until it ends. Raw identities are not
known here: both ends are pseudonyms, made as customer keys are.
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
#: Who says that two identities are one person: `identity_links`, an event, or the table of cases.
TABLE, EVENT, CASE = "table", "event", "case"
Keys = np.ndarray[Any, np.dtype[np.bytes_]]
#: Letters of a pseudonym.
SIZE = 32


@dataclass(frozen=True)
class Links:
    """Links to be followed. Identities are numbered by (type, key).

    `keys` are their pseudonyms, rising, `numbers` the number of each; `rows` the links by the
    slot (`slots`) of their previous identity, `following` the number of the other one.
    """

    keys: Keys
    numbers: Ints
    is_customer: Bools
    slots: Ints
    rows: AsOf
    following: Ints
    #: Which row of the table each link is.
    told: Ints
    wait: int

    @classmethod
    def of(cls, table: pa.Table, wait: int) -> Links:
        """Index links (columns of the published `identity_links`); `wait` in microseconds.

        Links that never hold, and those that would lead from a customer to another kind of
        identity, are left out.
        """
        told = np.flatnonzero(_followed(table))
        table = table.take(arrow(told, pa.int64()))
        every = _identities(table)
        keys, kinds = key_bytes(flat(every.column("key"))), Categorical.of(every.column("kind"))
        by_key = np.argsort(keys)
        ends = [
            values(pc.index_in(flat(table.column(name)), value_set=flat(every.column("key"))))
            for name in ("previous_key", "identity_key")
        ]
        begin, end = bound(table, "valid_from", -FAR), bound(table, "valid_to", FAR)
        said = table.column("precedence")
        rank = np.where(valid(said), values(said), 0)
        # Of those that begin at once the least sorts last: there a search finds it.
        kind = kinds.codes[ends[1]]  # which rise with the type's name
        order = np.lexsort((-ends[1], -rank, -kind, begin, ends[0]))
        order, end = _joined(order, ends, begin, end)
        previous, place = np.unique(ends[0][order], return_inverse=True)
        places = np.full(len(keys), NULL)
        places[previous] = np.arange(len(previous))
        rows = AsOf(pa.table({}), {}, place.astype(np.int64), begin[order], end)
        return cls(
            keys[by_key], by_key.astype(np.int64), kinds.of_names([CUSTOMER]), places, rows,
            ends[1][order].astype(np.int64), told[order], wait,
        )  # fmt: skip

    def number(self, keys: pa.Array) -> Ints:
        """Number of each identity (text), -1 of those that no link names."""
        out = np.full(len(keys), NULL)
        if len(self.keys) and len(keys):
            wanted = key_bytes(keys)
            at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            out = np.where(self.keys[at] == wanted, self.numbers[at], NULL)
        return out

    @cached_property
    def names(self) -> Keys:
        """Pseudonyms by number."""
        out = np.empty_like(self.keys)
        out[self.numbers] = self.keys
        return out

    def after(self, number: Ints, time: Ints) -> Ints:
        """The identity that each one's link leads to as of its time (microseconds), -1 if none."""
        row = self.link(number, time)
        if not len(self.following):
            return row
        return np.where(row >= 0, self.following[row], NULL)

    def link(self, number: Ints, time: Ints) -> Ints:
        """The link that each identity follows as of its time, -1 where it follows none."""
        if not len(self.following):
            return np.full(len(number), NULL)
        place = self.slots[number]
        row = self.rows.at(place, time)
        first = self._first[place]
        begin = self.rows.valid_from[first]
        soon = self.is_customer[number] | (begin <= time + self.wait)
        return np.where((place >= 0) & (time < begin) & soon, first, row)

    @cached_property
    def _first(self) -> Ints:
        """Of each place the link that holds first: the last one of those that begin first."""
        place, begin = self.rows.key_codes, self.rows.valid_from
        is_last = np.append((np.diff(place) != 0) | (np.diff(begin) != 0), True)
        lasts = np.flatnonzero(is_last) if len(place) else np.zeros(0, np.int64)
        return lasts[np.unique(place[lasts], return_index=True)[1]]

    def persons(self, number: Ints, time: Ints) -> Ints:
        """Whose each identity is at its time: the end of its links, of a cycle the least in it."""
        out = number.copy()
        for rows, at in self._ends(number, time):
            out[rows] = at
        return out

    def _ends(self, number: Ints, time: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Rows and where they end. One walker goes at twice the pace of the other: where both
        meet, the links go round.
        """
        rows, slow, fast = np.arange(len(number)), number, number
        while len(rows):
            one = self.after(fast, time)
            two = np.where(one >= 0, self.after(one, time), NULL)
            slow = self.after(slow, time)
            yield rows[one < 0], fast[one < 0]
            ends = (one >= 0) & (two < 0)
            yield rows[ends], one[ends]
            round_ = (two >= 0) & (slow == two)
            yield rows[round_], self._least(slow[round_], time[round_])
            on = (two >= 0) & ~round_
            rows, slow, fast, time = rows[on], slow[on], two[on], time[on]

    def _least(self, number: Ints, time: Ints) -> Ints:
        """The least identity of the cycle that each one is in."""
        least, at = number, self.after(number, time)
        while (at != number).any():
            least = np.minimum(least, at)
            at = np.where(at != number, self.after(at, time), at)
        return least


def resolve(keys: Categorical, time: Ints, links: Links) -> tuple[pa.Array, Ints]:
    """Names of persons, and the place among them of each row's (`keys`: identity, `time`: when).

    The names begin with those of `keys`, at their places.
    """
    known = links.number(keys.names)
    number = keys.lookup(known.tolist(), NULL).astype(np.int64)
    has_link = (number >= 0) & (links.slots[number] >= 0) if len(links.slots) else number >= 0
    rows = np.flatnonzero(has_link)
    persons = links.persons(number[rows], time[rows])
    moved = persons != number[rows]
    used, place = np.unique(persons[moved], return_inverse=True)
    persons_ = key_strings(links.names[used])
    here = pc.index_in(persons_, value_set=keys.names)
    is_new = ~valid(here)
    places = np.where(is_new, len(keys.names) + np.cumsum(is_new) - 1, values(here))
    out = keys.codes.astype(np.int64)
    out[rows[moved]] = places[place]
    return pa.concat_arrays([keys.names, persons_.filter(arrow(is_new))]), out


def to_persons(rows: pa.RecordBatch | pa.Table, links: Links) -> pa.RecordBatch | pa.Table:
    """Pseudonymous rows of any kind with the customers whose they are, as of their `time`.

    `identity_key` keeps the pseudonym of the identity that a row bears where that is another one.
    Rows that were resolved before are resolved anew. Where no row is another's, and none was, the
    rows come back as they are.
    """
    mine = original_identity(rows)
    names, place = resolve(mine, values(flat(rows.column("time"))), links)
    moved = place != mine.codes
    if not moved.any() and IDENTITY_KEY not in rows.schema.names:
        return rows
    kept = Categorical(np.where(moved, mine.codes, NULL).astype(np.int32), mine.names).arrow()
    customer = Categorical(place.astype(np.int32), names).arrow()
    told = {CUSTOMER_KEY: customer, BUCKET: buckets(customer), IDENTITY_KEY: kept.cast(CODED)}
    for name, column in told.items():
        at = rows.schema.get_field_index(name)
        rows = rows.append_column(name, column) if at < 0 else rows.set_column(at, name, column)
    return rows


def original_identity(rows: pa.RecordBatch | pa.Table) -> Categorical:
    """The identity that each pseudonymous row bears."""
    customer = Categorical.of(rows.column(CUSTOMER_KEY))
    if IDENTITY_KEY not in rows.schema.names:
        return customer
    return Categorical.of(rows.column(IDENTITY_KEY)).fallback(customer)


def _followed(table: pa.Table) -> Bools:
    begin, end = bound(table, "valid_from", -FAR), bound(table, "valid_to", FAR)
    previous, other = (
        values(pc.equal(flat(table.column(name)), CUSTOMER))
        for name in ("previous_type", "identity_type")
    )
    return np.asarray((begin < end) & (~previous | other))


def _joined(order: Ints, ends: list[Ints], begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Links in their order, and their ends; one for several that go on from each other, as those
    do that the events of one login after the other tell.
    """
    previous, other = (side[order] for side in ends)
    goes_on = (np.diff(previous) == 0) & (np.diff(other) == 0)
    goes_on &= begin[order][1:] == end[order][:-1]
    firsts = np.flatnonzero(np.append(True, ~goes_on)) if len(order) else order
    lasts = np.append(firsts[1:], len(order)) - 1 if len(order) else order
    return order[firsts], end[order][lasts]


def _identities(table: pa.Table) -> pa.Table:
    """All identities of the links, as type and key, in the order of both."""
    kinds, keys = (
        pa.chunked_array([flat(table.column(f"{end}_{part}")) for end in ("previous", "identity")])
        for part in ("type", "key")
    )
    pairs = pa.table({"kind": kinds, "key": keys}).group_by(["kind", "key"], use_threads=False)
    return pairs.aggregate([]).sort_by([("kind", "ascending"), ("key", "ascending")])


def key_bytes(keys: pa.Array) -> Keys:
    """Pseudonyms, each of 32 letters, as numpy knows texts. Raises ValueError for others."""
    offsets = np.frombuffer(keys.buffers()[1], np.int32)[keys.offset : keys.offset + len(keys) + 1]
    if (np.diff(offsets) != SIZE).any():
        raise ValueError(f"expected pseudonyms of {SIZE} letters, came others")
    if not len(keys):
        return np.zeros(0, "S32")
    return np.frombuffer(keys.buffers()[2], "S32", len(keys), int(offsets[0]))


def key_strings(keys: Keys) -> pa.Array:
    """Pseudonyms as an Arrow array of texts."""
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(SIZE)
    data = [pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(keys).tobytes())]
    return pa.StringArray.from_buffers(len(keys), *data)
