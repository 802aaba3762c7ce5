"""The table `identity_links` as its owner keeps it, and as it is published: pseudonymous.

Its owner's rows name identities in the clear. Both ends are hashed where the table is read, as
customer keys are; which of several links that begin at once holds is settled before, by the
identities themselves.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, take, values
from rejse.transforms.columnar.string_arrays import coded, constant, text
from rejse.transforms.dimensions.tables import TABLES, TEXT, VALIDITY, Declared
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.identity import pseudonyms
from rejse.transforms.identity.erasure import NOTHING_ERASED, Erased
from rejse.transforms.identity.resolve import CUSTOMER, TABLE
from rejse.transforms.ingest.identity_spelling import canonical
from rejse.transforms.schema.contract import IDENTITY_TYPES

LINKS = TABLES["identity_links"].schema
_ENDS = ("previous", "")
_NEEDED = ("previousidentity", "previousidentitytype", "identity", "identitytype")
#: The columns of the owner's file.
FILE = Declared(
    TABLES["identity_links"].about, _NEEDED,
    pa.schema({**dict.fromkeys(_NEEDED, TEXT), **VALIDITY}),
)  # fmt: skip


def check_links(table: pa.Table) -> None:
    """Raises ValueError, naming the row, where a type is unknown, or where a customer is said to
    be of another type: between customers a link is a merge, and nothing else leads on from them.
    """
    types = zip(*(table.column(f"{end}identitytype").to_pylist() for end in _ENDS), strict=True)
    for number, (previous, other) in enumerate(types, start=1):
        for kind in (previous, other):
            if kind not in IDENTITY_TYPES:
                raise ValueError(
                    f"row {number}: expected an identity type of {', '.join(IDENTITY_TYPES)},"
                    f" came {kind!r}"
                )
        if previous == CUSTOMER != other:
            raise ValueError(
                f"row {number}: expected identitytype customer, for a customer is linked to"
                f" another only to be merged, came {other!r}; turn the link round"
            )


def pseudonymous(
    table: pa.Table, key: bytes, non_persons: tuple[str, ...] = (), erased: Erased = NOTHING_ERASED
) -> pa.Table:
    """Links of an owner's table (columns of FILE) in the columns that are published.

    Links of what is no person (`non_persons`) are left out: they would make one person of many.
    Those of `erased` identities are `walled`.
    """
    table = table.filter(arrow(~_are_of_none(table, non_persons)))
    given, table = table, _in_one_spelling(table)
    sign = pseudonyms.signer(key)
    columns = {name: table.column(name) for name in VALIDITY}
    for end, named in (("previous", "previous"), ("", "identity")):
        kinds, people = (flat(table.column(f"{end}identity{part}")) for part in ("type", ""))
        keys, _ = pseudonyms.customer_keys(kinds, people, sign)
        columns[f"{named}_key"], columns[f"{named}_type"] = keys.cast(TEXT), kinds
    columns["precedence"] = arrow(_precedence(table).astype(np.int32), pa.int32())
    columns["method"] = constant(TABLE, table.num_rows).cast(TEXT)
    order = ("previous_key", "valid_from", "precedence", "identity_key", "valid_to")
    links = pa.table([columns[name] for name in LINKS.names], schema=LINKS)
    links = blocked_by_erasure(links, *(erased.rows(given, sign, end) for end in _ENDS))
    return links.take(pc.sort_indices(links, [(name, "ascending") for name in order]))


def blocked_by_erasure(links: pa.Table, from_erased: Bools, to_erased: Bools) -> pa.Table:
    """Links (columns LINKS) without those from an erased identity; those to one lead back to where
    they come from: as long as they hold, that is its own, and not a former or the next owner's.
    """
    for part in ("key", "type"):
        place = LINKS.get_field_index(f"identity_{part}")
        own, other = links.column(f"previous_{part}"), links.column(place)
        kept = pc.if_else(arrow(to_erased), flat(own), flat(other).cast(own.type))
        links = links.set_column(place, links.schema.field(place), kept.cast(other.type))
    return links.filter(arrow(~from_erased))


def _in_one_spelling(table: pa.Table) -> pa.Table:
    """The rows with both identities as they are hashed: of one identity's links one comes first."""
    for end in _ENDS:
        place = table.schema.get_field_index(f"{end}identity")
        kinds, people = (flat(table.column(f"{end}identity{part}")) for part in ("type", ""))
        named = canonical(kinds, people).cast(table.schema.types[place])
        table = table.set_column(place, table.schema.field(place), named)
    return table


def _are_of_none(table: pa.Table, non_persons: tuple[str, ...]) -> Bools:
    out = np.zeros(table.num_rows, bool)
    for end in _ENDS:
        kinds, people = (flat(table.column(f"{end}identity{part}")) for part in ("type", ""))
        out |= pseudonyms.is_non_person(kinds, coded(people), non_persons)
    return out


def _precedence(table: pa.Table) -> Ints:
    """Of the links of one identity that begin at once: the place of each by (type, identity)."""
    begin = bound(table, "valid_from", -FAR)
    ends = {"begin": arrow(begin), "end": arrow(bound(table, "valid_to", FAR))}
    told = pa.table({**{name: table.column(name) for name in _NEEDED}, **ends})
    by = ("previousidentitytype", "previousidentity", "begin", "identitytype", "identity", "end")
    order = values(pc.sort_indices(told, [(name, "ascending") for name in by])).astype(np.int64)
    names = pc.binary_join_element_wise(
        *(flat(told.column(name)) for name in by[:2]), text(["\x1f"])[0]
    )
    previous = values(take(names, order).dictionary_encode().indices)
    is_same = (np.diff(previous) == 0) & (np.diff(begin[order]) == 0)
    start = np.maximum.accumulate(np.where(np.append(True, ~is_same), np.arange(len(order)), 0))
    out = np.empty(len(order), np.int64)
    out[order] = np.arange(len(order)) - start
    return out
