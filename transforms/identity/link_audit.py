"""Why identities are one person, and which links look wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Ints, arrow, flat, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.identity.changed_links import connected, moments
from rejse.transforms.identity.resolve import CASE, Links
from rejse.transforms.schema.contract import TIME

#: So many owners of one identity, and identities of one person, are still plausible.
OWNERS, IDENTITIES = 3, 20
_ENDS = ("previous_key", "identity_key")


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
    """Whose an identity is from a moment (None: always) until another (None: still), and why."""

    begin: datetime | None
    end: datetime | None
    person: str
    chain: tuple[Hop, ...]


@dataclass(frozen=True)
class Suspicion:
    """Links that look wrong: of which identity, how many what."""

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

    def turns(self, key: str) -> list[OwnershipPeriod]:
        """Whose the identity is, moment by moment; one turn of its own where nothing links it."""
        links, (_, label, times) = self.links, self._group(key)
        if not len(label):
            return [OwnershipPeriod(None, None, key, ())]
        found: list[OwnershipPeriod] = []
        edges = [*times.tolist(), None]
        for begin, end in pairwise(edges):
            person, chain = self._followed(links, key, begin)
            start = None if begin == times[0] else _moment(begin)
            if found and (found[-1].person, found[-1].chain) == (person, chain):
                start = found.pop().begin
            found.append(
                OwnershipPeriod(start, None if end is None else _moment(end), person, chain)
            )
        return found

    def members(self, key: str, time: int) -> list[tuple[str, tuple[Hop, ...]]]:
        """Identities that are one person with this one at a time, each with its links to it."""
        keys, _, _ = self._group(key)
        links = self.links
        person, chain = self._followed(links, key, time)
        found = [(key, chain)]
        for other in keys.to_pylist():
            mine, way = self._followed(links, other, time)
            if mine == person and other != key:
                found.append((other, way))
        return sorted(found, key=lambda pair: (len(pair[1]), pair[0]))

    def kinds(self) -> dict[str, str]:
        """Type of each identity that is linked."""
        found: dict[str, str] = {}
        for end in ("previous", "identity"):
            names = (self.table.column(f"{end}_{part}").to_pylist() for part in ("key", "type"))
            found.update(zip(*names, strict=True))
        return found

    def suspicions(self, now: int) -> list[Suspicion]:
        """Identities with many owners, with two at once, on a round of links; persons of many.

        Cases are not looked at: they change hands, and one customer has many; nor are walls.
        """
        previous, other, kind = (self.table.column(name) for name in (*_ENDS, "previous_type"))
        some = pc.and_(pc.not_equal(kind, CASE), pc.not_equal(previous, other))
        some = replace(self, table=self.table.filter(some))
        found = [*some._owners(), *some._at_once(), *some._rounds(), *some._crowds(now)]
        kinds = self.kinds()
        return [Suspicion(kind, kinds[key], key, n) for kind, key, n in sorted(found)]

    def _group(self, key: str) -> tuple[pa.Array, Ints, Ints]:
        """Identities connected with one, their label, and the moments that matter to them."""
        about = [pc.equal(self.table.column(end), key) for end in _ENDS]
        keys, label = connected(self.table, self.table.filter(pc.or_(*about)))
        return keys, label, moments(keys, label, (self.table,), self.wait)[1]

    def _followed(self, links: Links, key: str, time: int) -> tuple[str, tuple[Hop, ...]]:
        """Whose an identity is at a moment, and the links that say so."""
        at, hops, seen = links.number(text([key])), [], set()
        when = np.array([time])
        if at[0] < 0:
            return key, ()
        person = links.names[links.persons(at, when)][0].decode()
        while at[0] not in seen:
            seen.add(int(at[0]))
            row = links.link(at, when)[0]
            if row < 0 or links.following[row] == at[0]:  # a wall: it led to somebody erased
                break
            hops.append(_hop(self.table, int(links.told[row])))
            at = links.following[[row]]
        return person, tuple(hops)

    def _owners(self) -> list[tuple[str, str, int]]:
        pairs = self.table.group_by(list(_ENDS)).aggregate([])
        counted = pc.value_counts(flat(pairs.column("previous_key"))).to_pylist()
        return [("many owners", p["values"], p["counts"]) for p in counted if p["counts"] > OWNERS]

    def _at_once(self) -> list[tuple[str, str, int]]:
        """Identities of which a link begins while one to somebody else goes on."""
        previous, other = (
            values(flat(self.table.column(end)).dictionary_encode().indices) for end in _ENDS
        )
        begin, end = bound(self.table, "valid_from", -FAR), bound(self.table, "valid_to", FAR)
        order = np.lexsort((other, begin, previous))
        who, whose, at, until = previous[order], other[order], begin[order], end[order]
        both = (
            (np.diff(who) == 0)
            & (np.diff(whose) != 0)
            & (at[1:] < until[:-1])
            & (until[1:] > at[1:])
        )
        names = flat(self.table.column("previous_key")).dictionary_encode().dictionary
        codes, n = np.unique(who[1:][both], return_counts=True)
        return [
            ("two owners at once", names[int(c)].as_py(), int(k))
            for c, k in zip(codes, n, strict=True)
        ]

    def _rounds(self) -> list[tuple[str, str, int]]:
        """Identities whose links lead back to themselves when one of them begins."""
        links = self.links
        found: dict[str, int] = {}
        keys = flat(self.table.column("previous_key"))
        number = links.number(keys)
        known = np.flatnonzero(number >= 0)
        start, when = number[known], bound(self.table, "valid_from", 0)[known]
        at, length, seen = links.after(start, when), 1, len(links.keys)
        while length <= seen and (at >= 0).any():
            for row in np.flatnonzero((at == start) & (at >= 0)).tolist():
                found.setdefault(keys[int(known[row])].as_py(), length)
            on = (at >= 0) & (at != start)
            start, when, known, at = start[on], when[on], known[on], at[on]
            at, length = links.after(at, when), length + 1
        return [("links go round", key, n) for key, n in found.items()]

    def _crowds(self, now: int) -> list[tuple[str, str, int]]:
        links = self.links
        every = np.arange(len(links.keys))
        persons = links.persons(every, np.full(len(every), now)) if len(every) else every
        codes, n = np.unique(persons, return_counts=True)
        many = n > IDENTITIES
        return [
            ("many identities", links.names[code].decode(), int(k))
            for code, k in zip(codes[many], n[many], strict=True)
        ]


def _hop(table: pa.Table, row: int) -> Hop:
    (found,) = table.slice(row, 1).select(list(Hop.__dataclass_fields__)).to_pylist()
    return Hop(**found)


def _moment(micros: int) -> Any:
    return arrow(np.array([micros]), TIME)[0].as_py()
