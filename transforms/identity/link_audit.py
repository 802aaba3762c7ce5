"""Explain why identities are one person, and find links that look wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Ints, arrow, flat
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.identity.changed_links import connected, moments
from rejse.transforms.identity.resolve import CASE, Links
from rejse.transforms.schema.contract import TIME

#: More owners of one identity, or identities of one person, are suspicious.
OWNERS, IDENTITIES = 3, 20
_ENDS = ("previous_key", "identity_key")
_PERIODS = ("previous_key", "begin", "identity_key", "end")


@dataclass(frozen=True)
class Hop:
    """A link that was followed."""

    previous_type: str
    previous_key: str
    identity_type: str
    identity_key: str
    method: str
    valid_from: datetime | None
    valid_to: datetime | None


@dataclass(frozen=True)
class OwnershipPeriod:
    """The owner of an identity from a moment (None: always) until another (None: still)."""

    begin: datetime | None
    end: datetime | None
    person: str
    chain: tuple[Hop, ...]


@dataclass(frozen=True)
class Suspicion:
    """A suspicious identity: the kind of suspicion, and how many owners, identities or links."""

    kind: str
    identity_type: str
    identity_key: str
    n: int


@dataclass(frozen=True)
class LinkAudit:
    """Published links (columns of `identity_links`) under a wait, microseconds."""

    table: pa.Table
    wait: int

    @property
    def links(self) -> Links:
        """The links as they are followed."""
        return Links.of(self.table, self.wait)

    def periods(self, key: str) -> list[OwnershipPeriod]:
        """Return the owners of an identity over time; an unlinked one owns itself always."""
        links, (_, label, times) = self.links, self._group(key)
        if not len(label):
            return [OwnershipPeriod(None, None, key, ())]
        periods: list[OwnershipPeriod] = []
        edges = [*times.tolist(), None]
        for begin, end in pairwise(edges):
            person, chain = self._followed(links, key, begin)
            start = None if begin == times[0] else _moment(begin)
            if periods and (periods[-1].person, periods[-1].chain) == (person, chain):
                start = periods.pop().begin
            periods.append(
                OwnershipPeriod(start, None if end is None else _moment(end), person, chain)
            )
        return periods

    def members(self, key: str, time: int) -> list[tuple[str, tuple[Hop, ...]]]:
        """Return the identities of the same person at a time (microseconds).

        Each comes with its links to the person, those with the fewest first.
        """
        keys, _, _ = self._group(key)
        links = self.links
        person, chain = self._followed(links, key, time)
        members = [(key, chain)]
        for other in keys.to_pylist():
            owner, hops = self._followed(links, other, time)
            if owner == person and other != key:
                members.append((other, hops))
        return sorted(members, key=lambda pair: (len(pair[1]), pair[0]))

    def kinds(self) -> dict[str, str]:
        """Return the type of each linked identity."""
        types: dict[str, str] = {}
        for end in ("previous", "identity"):
            names = (self.table.column(f"{end}_{part}").to_pylist() for part in ("key", "type"))
            types.update(zip(*names, strict=True))
        return types

    def suspicions(self, now: int) -> list[Suspicion]:
        """Return identities with many owners, several at once or cyclic links, and persons of many.

        Cases are left out: they change owner, and a customer has many. So are links to erased
        identities.
        """
        previous, other, kind = (self.table.column(name) for name in (*_ENDS, "previous_type"))
        audited = pc.and_(pc.not_equal(kind, CASE), pc.not_equal(previous, other))
        audited = replace(self, table=self.table.filter(audited))
        suspicious = [
            *audited._many_owners(),
            *audited._overlapping_owners(),
            *audited._cycles(),
            *audited._large_persons(now),
        ]
        kinds = self.kinds()
        return [Suspicion(kind, kinds[key], key, n) for kind, key, n in sorted(suspicious)]

    def _group(self, key: str) -> tuple[pa.Array, Ints, Ints]:
        """Return the identities connected with one, their component, and the moments to check."""
        about = [pc.equal(self.table.column(end), key) for end in _ENDS]
        keys, label = connected(self.table, self.table.filter(pc.or_(*about)))
        return keys, label, moments(keys, label, (self.table,), self.wait)[1]

    def _followed(self, links: Links, key: str, time: int) -> tuple[str, tuple[Hop, ...]]:
        """Return the owner of an identity at a moment, and the links that lead there."""
        at, hops, seen = links.number(text([key])), [], set()
        when = np.array([time])
        if at[0] < 0:
            return key, ()
        person = links.names[links.persons(at, when)][0].decode()
        while at[0] not in seen:
            seen.add(int(at[0]))
            row = links.link(at, when)[0]
            if row < 0 or links.following[row] == at[0]:  # leads to itself: the other end is erased
                break
            hops.append(_hop(self.table, int(links.table_rows[row])))
            at = links.following[[row]]
        return person, tuple(hops)

    def _many_owners(self) -> list[tuple[str, str, int]]:
        pairs = self.table.group_by(list(_ENDS)).aggregate([])
        counts = pc.value_counts(flat(pairs.column("previous_key"))).to_pylist()
        return [
            ("many owners", pair["values"], pair["counts"])
            for pair in counts
            if pair["counts"] > OWNERS
        ]

    def _overlapping_owners(self) -> list[tuple[str, str, int]]:
        """Return identities of which a link begins while one to another owner still holds.

        Of links that begin together the one to the lesser key counts as the earlier.
        """
        begin, end = bound(self.table, "valid_from", -FAR), bound(self.table, "valid_to", FAR)
        previous, owner = (self.table.column(name) for name in _ENDS)
        links = pa.table([previous, arrow(begin), owner, arrow(end)], _PERIODS)
        links = links.filter(arrow(end > begin)).sort_by([(name, "ascending") for name in _PERIODS])
        rows = zip(*(column.to_pylist() for column in links.columns), strict=True)
        overlaps = (
            (key, _n_overlaps(row[1:] for row in periods))
            for key, periods in groupby(rows, key=itemgetter(0))
        )
        return [("two owners at once", key, n) for key, n in overlaps if n]

    def _cycles(self) -> list[tuple[str, str, int]]:
        """Return identities whose links lead back to themselves when one of them begins."""
        links = self.links
        lengths: dict[str, int] = {}
        keys = flat(self.table.column("previous_key"))
        number = links.number(keys)
        rows = np.flatnonzero(number >= 0)
        start, when = number[rows], bound(self.table, "valid_from", 0)[rows]
        at, length, n_identities = links.after(start, when), 1, len(links.keys)
        while length <= n_identities and (at >= 0).any():
            for at_start in np.flatnonzero((at == start) & (at >= 0)).tolist():
                lengths.setdefault(keys[int(rows[at_start])].as_py(), length)
            on = (at >= 0) & (at != start)
            start, when, rows, at = start[on], when[on], rows[on], at[on]
            at, length = links.after(at, when), length + 1
        return [("links go round", key, n) for key, n in lengths.items()]

    def _large_persons(self, now: int) -> list[tuple[str, str, int]]:
        links = self.links
        numbers = np.arange(len(links.keys))
        persons = links.persons(numbers, np.full(len(numbers), now)) if len(numbers) else numbers
        codes, n = np.unique(persons, return_counts=True)
        many = n > IDENTITIES
        return [
            ("many identities", links.names[code].decode(), int(k))
            for code, k in zip(codes[many], n[many], strict=True)
        ]


def _n_overlaps(periods: Iterable[tuple[int, str, int]]) -> int:
    """Count periods (begin, owner, end; sorted) that begin in an earlier one of another owner."""
    # The periods that end last of those so far: of any owner, and of any owner but that one.
    longest, rival = ("", -FAR), ("", -FAR)
    n = 0
    for begin, owner, end in periods:
        n += (rival if owner == longest[0] else longest)[1] > begin
        if owner == longest[0]:
            longest = (owner, max(end, longest[1]))
        elif end > longest[1]:
            longest, rival = (owner, end), longest
        else:
            rival = max((owner, end), rival, key=itemgetter(1))
    return n


def _hop(table: pa.Table, row: int) -> Hop:
    (link,) = table.slice(row, 1).select(list(Hop.__dataclass_fields__)).to_pylist()
    return Hop(**link)


def _moment(micros: int) -> Any:
    return arrow(np.array([micros]), TIME)[0].as_py()
