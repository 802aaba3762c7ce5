"""Customers' needs as events state them: a product, and objects (orders, claims, devices).

Two needs differ where both state objects of one type and share none of them. Where they share no
object type they differ if both state a product and the products differ. Company-driven messages
state no need.
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

#: Code for a product other than the one compared with.
SOME_OTHER = -2
#: More codes than any column has.
CODES = 1 << 32


def product(events: Events, data: Operational) -> Categorical:
    """Return the product of each event: logged, else that of its case at its time."""
    cases = data.cases
    return events.coded("product_id").fallback(cases.text("product_id", data.case_rows(events)))


@dataclass(frozen=True)
class Needs:
    """Product of each event, and the objects that events state, in order of events."""

    product: Ints  # codes, NULL where none is stated
    row: Ints  # event that states the object
    kind: Ints  # type of the object
    ident: Ints  # type and id of the object

    @classmethod
    def of(cls, events: Events, product: Categorical) -> Needs:
        """Read what each event states."""
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
        by_event: dict[int, dict[int, frozenset[int]]] = {}
        entries = zip(self.row.tolist(), self.kind.tolist(), self.ident.tolist(), strict=True)
        for row, kind, ident in entries:
            of = by_event.setdefault(row, {})
            of[kind] = of.get(kind, frozenset()) | {ident}
        return by_event

    def changes(self, journeys: Groups) -> Bools:
        """Return events that may state another need than their journey did before.

        These state another product than the last one of their journey, or another object of a type.
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
        """Return whether each event of `asking` differs in need from its event of `earlier`."""
        place, kind, ident = self._stated(asking)
        there, their_kind, theirs = self._stated(earlier)
        wide = int(self.ident.max(initial=0)) + 1
        shared = np.isin(place * wide + kind, there * wide + their_kind)
        same = np.isin(place * wide + ident, there * wide + theirs)
        return self._verdict(asking, self.product[earlier], place, kind, shared, same)

    def others_before(self, asking: Ints, journey: Ints, moment: Ints, until: Ints) -> Bools:
        """Return whether each event of `asking` differs in need from its journey `until`.

        `journey` and `moment` (place in total order) are those of all events.
        """
        known, wanted = np.flatnonzero(self.product != NULL), self.product[asking]
        stated = occurs(
            pairs(journey[known], self.product[known]),
            moment[known],
            pairs(journey[asking], wanted),
            until,
        )
        any_stated = occurs(journey[known], moment[known], journey[asking], until)
        before = np.where(stated, wanted, np.where(any_stated, SOME_OTHER, NULL))
        place, kind, ident = self._stated(asking)
        shared, same = (
            occurs(
                pairs(journey[self.row], codes),
                moment[self.row],
                pairs(journey[asking[place]], wanted_codes),
                until[place],
            )
            for codes, wanted_codes in ((self.kind, kind), (self.ident, ident))
        )
        return self._verdict(asking, before, place, kind, shared, same)

    def objects_before(self, asking: Ints, journey: Ints, moment: Ints, until: Ints) -> Bools:
        """Return whether each event of `asking` states an object of its journey `until`."""
        place, _, mine = self._stated(asking)
        keys = pairs(journey[self.row], self.ident)
        same = occurs(keys, moment[self.row], pairs(journey[asking[place]], mine), until[place])
        out = np.zeros(len(asking), dtype=bool)
        out[place[same]] = True
        return out

    def _stated(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the objects that events state: place among `rows`, type, and type with id."""
        begin, end = np.searchsorted(self.row, rows), np.searchsorted(self.row, rows, side="right")
        n = end - begin
        at = np.arange(n.sum()) + np.repeat(begin - np.cumsum(n) + n, n)
        return np.repeat(np.arange(len(rows)), n), self.kind[at], self.ident[at]

    def _verdict(
        self, asking: Ints, before: Ints, place: Ints, kind: Ints, shared: Bools, same: Bools
    ) -> Bools:
        """Return where objects of a shared type differ or, without shared objects, products."""
        key = pairs(place, kind)
        apart = shared & ~np.isin(key, key[same])
        other, alike = np.zeros(len(asking), bool), np.zeros(len(asking), bool)
        other[place[apart]] = True
        alike[place[same]] = True
        mine = self.product[asking]
        product = (mine != NULL) & (before != NULL) & (mine != before)
        return np.asarray(other | (product & ~alike))


def pairs(group: Ints, code: Ints) -> Ints:
    """Return one integer key for a group and a code (NULL allowed)."""
    return group * CODES + code + 1


def occurs(keys: Ints, moments: Ints, wanted: Ints, until: Ints) -> Bools:
    """Return whether each key of `wanted` is among `keys` at a moment of at most `until`."""
    order = sorted_by(keys, moments)
    same = Groups.of(keys[order])
    known_keys, first = keys[order][same.starts], moments[order][same.starts]
    if not len(known_keys):
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(known_keys, wanted), len(known_keys) - 1)
    return np.asarray((known_keys[place] == wanted) & (first[place] <= until))
