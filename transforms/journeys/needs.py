"""What events say of the customer's need: its product and its objects (orders, claims, devices).

Two needs are other ones where both state objects of one type and share none of them, or, where no
such type is shared, where both state a product and these differ. Messages that the company drives
state nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, values
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.journeys import event_flags

#: A product that is not the one asked about.
SOME_OTHER = -2
#: More codes than any column has.
CODES = 1 << 32


def product(events: Events, data: Operational) -> Categorical:
    """Product of each event: its own, else that of its case at its time."""
    cases = data.cases
    return events.coded("product_id").fallback(cases.text("product_id", data.case_rows(events)))


@dataclass(frozen=True)
class Needs:
    """Product of each of `n` events, and the objects that events state, in order of events."""

    product: Ints  # codes, NULL where none is stated
    row: Ints  # event that states the object
    kind: Ints  # type of the object
    ident: Ints  # type and id of the object

    @classmethod
    def of(cls, events: Events, product: Categorical) -> Needs:
        """What each event states."""
        silent = event_flags.is_company_driven(events)
        codes = np.where(silent, NULL, product.codes).astype(np.int64)
        nothing = np.zeros(0, np.int64)
        if not events.has("objects") or not events.carries("objects").any():
            return cls(codes, nothing, nothing, nothing)
        column = events.column("objects")
        row = values(pc.list_parent_indices(column)).astype(np.int64)
        items = pc.list_flatten(column)
        kind, ident = (Categorical.of(pc.struct_field(items, part)) for part in ("type", "id"))
        kept = np.flatnonzero(kind.known & ident.known & ~silent[row])
        both = kind.codes.astype(np.int64) * len(ident.names) + ident.codes
        return cls(codes, row[kept], kind.codes[kept].astype(np.int64), both[kept])

    @cached_property
    def objects(self) -> Mapping[int, Mapping[int, frozenset[int]]]:
        """Ids by type of each event that states objects."""
        found: dict[int, dict[int, frozenset[int]]] = {}
        entries = zip(self.row.tolist(), self.kind.tolist(), self.ident.tolist(), strict=True)
        for row, kind, ident in entries:
            of = found.setdefault(row, {})
            of[kind] = of.get(kind, frozenset()) | {ident}
        return found

    def changes(self, journeys: Groups) -> Bools:
        """Events that state another product than the last one stated in their journey, or another
        object of a type: all that can state another need than it, and more.
        """
        known = self.product != NULL
        last = pick(self.product, journeys.last_row_before(known), NULL)
        out: Bools = known & (last != NULL) & (last != self.product)
        if len(self.row):
            order = sorted_by(journeys.ids[self.row], self.kind)
            row, ident = self.row[order], self.ident[order]
            groups = Groups.of(journeys.ids[row], self.kind[order])
            out[row[groups.changed(ident)]] = True
        return out

    def others(self, asking: Ints, earlier: Ints) -> Bools:
        """Does each of some events state another need than an earlier one?"""
        place, kind, ident = self._stated(asking)
        there, their_kind, theirs = self._stated(earlier)
        wide = int(self.ident.max(initial=0)) + 1
        shared = np.isin(place * wide + kind, there * wide + their_kind)
        same = np.isin(place * wide + ident, there * wide + theirs)
        return self._verdict(asking, self.product[earlier], place, kind, shared, same)

    def others_before(self, asking: Ints, journey: Ints, moment: Ints, until: Ints) -> Bools:
        """Does each of some events state another need than its journey did up to a moment?

        `journey` and `moment` (place in total order) are those of all events.
        """
        known, wanted = np.flatnonzero(self.product != NULL), self.product[asking]
        stated = occurs(
            pairs(journey[known], self.product[known]), moment[known],
            pairs(journey[asking], wanted), until,
        )  # fmt: skip
        any_stated = occurs(journey[known], moment[known], journey[asking], until)
        before = np.where(stated, wanted, np.where(any_stated, SOME_OTHER, NULL))
        place, kind, ident = self._stated(asking)
        shared, same = (
            occurs(
                pairs(journey[self.row], every), moment[self.row],
                pairs(journey[asking[place]], mine), until[place],
            )
            for every, mine in ((self.kind, kind), (self.ident, ident))
        )  # fmt: skip
        return self._verdict(asking, before, place, kind, shared, same)

    def objects_before(self, asking: Ints, journey: Ints, moment: Ints, until: Ints) -> Bools:
        """Does each of some events state an object that its journey stated up to a moment?"""
        place, _, mine = self._stated(asking)
        keys = pairs(journey[self.row], self.ident)
        same = occurs(keys, moment[self.row], pairs(journey[asking[place]], mine), until[place])
        out = np.zeros(len(asking), dtype=bool)
        out[place[same]] = True
        return out

    def _stated(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Place among `rows`, type and object of all objects that some events state."""
        begin, end = np.searchsorted(self.row, rows), np.searchsorted(self.row, rows, side="right")
        n = end - begin
        at = np.arange(n.sum()) + np.repeat(begin - np.cumsum(n) + n, n)
        return np.repeat(np.arange(len(rows)), n), self.kind[at], self.ident[at]

    def _verdict(
        self, asking: Ints, before: Ints, place: Ints, kind: Ints, shared: Bools, same: Bools
    ) -> Bools:
        """Another object of a type that both state; where none is shared, another product."""
        key = pairs(place, kind)
        apart = shared & ~np.isin(key, key[same])
        other, alike = np.zeros(len(asking), bool), np.zeros(len(asking), bool)
        other[place[apart]] = True
        alike[place[same]] = True
        mine = self.product[asking]
        product = (mine != NULL) & (before != NULL) & (mine != before)
        return np.asarray(other | (product & ~alike))


def pairs(group: Ints, code: Ints) -> Ints:
    """One key for a group and a code (at least NULL) of it."""
    return group * CODES + code + 1


def occurs(keys: Ints, moments: Ints, asked: Ints, until: Ints) -> Bools:
    """Is each key asked for among `keys` at a moment of at most `until`?"""
    order = sorted_by(keys, moments)
    same = Groups.of(keys[order])
    at, first = keys[order][same.starts], moments[order][same.starts]
    if not len(at):
        return np.zeros(len(asked), dtype=bool)
    place = np.minimum(np.searchsorted(at, asked), len(at) - 1)
    return np.asarray((at[place] == asked) & (first[place] <= until))
