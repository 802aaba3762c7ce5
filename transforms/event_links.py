"""Identity links that events tell: `previousidentity` is `identity`, until its next link."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms import identity
from rejse.transforms.arrays import arrow, flat, valid, values
from rejse.transforms.as_of import FAR, bound
from rejse.transforms.link_table import LINKS
from rejse.transforms.links import CUSTOMER, EVENT
from rejse.transforms.schema import CUSTOMER_KEY, TEXT, TIME, Contract
from rejse.transforms.texts import coded, constant

PREVIOUS, PREVIOUS_TYPE = "previousidentity", "previousidentitytype"


def told(
    batch: pa.RecordBatch, key: bytes, non_persons: tuple[str, ...], contract: Contract
) -> pa.Table:
    """Links that accepted rows of a contract tell (columns LINKS), each once, without ends.

    Between two customers a link is a merge, which only the table of links can say; what is no
    person (`non_persons`) is linked with nobody.
    """
    if not {PREVIOUS, PREVIOUS_TYPE} <= {*batch.schema.names}:
        return pa.Table.from_batches([], LINKS)
    kinds, people = batch.column(PREVIOUS_TYPE), batch.column(PREVIOUS)
    is_customer = values(pc.fill_null(pc.equal(kinds.cast(TEXT), CUSTOMER), True))
    keep = valid(people) & valid(kinds) & ~is_customer
    keep &= ~identity.are_no_persons(kinds, coded(people), non_persons)
    batch = batch.filter(arrow(keep))
    if not batch.num_rows:
        return pa.Table.from_batches([], LINKS)
    rows, _ = identity.pseudonymise(batch, key, non_persons, contract)
    columns = {
        "previous_key": rows.column("previous_key"), "previous_type": rows.column(PREVIOUS_TYPE),
        "identity_key": rows.column(CUSTOMER_KEY), "identity_type": rows.column("identitytype"),
        "method": constant(EVENT, rows.num_rows), "precedence": pa.nulls(rows.num_rows, pa.int32()),
        "valid_from": rows.column("time"), "valid_to": pa.nulls(rows.num_rows, TIME),
    }  # fmt: skip
    links = [columns[field.name].cast(field.type) for field in LINKS]
    return once(pa.Table.from_arrays(links, schema=LINKS))


def once(links: pa.Table) -> pa.Table:
    """Each link once, in a settled order."""
    found = links.group_by(LINKS.names, use_threads=False).aggregate([]).select(LINKS.names)
    return found.sort_by([(name, "ascending") for name in LINKS.names]).cast(LINKS)


def ended(links: pa.Table) -> pa.Table:
    """Links of tables and events; those of events end where their identity's next one begins."""
    if not links.num_rows:
        return links
    previous = values(flat(links.column("previous_key")).dictionary_encode().indices)
    begin = bound(links, "valid_from", -FAR)
    order = np.lexsort((begin, previous))
    who, at = previous[order], begin[order]
    following = np.full(len(order), FAR)
    is_next = np.append((np.diff(who) == 0) & (np.diff(at) != 0), False)
    starts = np.flatnonzero(is_next)
    following[starts] = at[starts + 1]
    is_same = np.append((np.diff(who) == 0) & (np.diff(at) == 0), False)
    last = np.flatnonzero(~is_same)  # of links that begin at once
    following = following[last][np.searchsorted(last, np.arange(len(order)))]
    until = np.empty(len(order), np.int64)
    until[order] = following
    is_told = values(pc.equal(flat(links.column("method")), EVENT))
    until = np.where(is_told, until, bound(links, "valid_to", FAR))
    place = LINKS.get_field_index("valid_to")
    return once(links.set_column(place, LINKS.field(place), arrow(until, TIME, until != FAR)))


def of_events(links: pa.Table) -> pa.Table:
    """The links that events told, without ends."""
    mine = links.filter(pc.equal(links.column("method"), EVENT))
    place = LINKS.get_field_index("valid_to")
    return mine.set_column(place, LINKS.field(place), pa.nulls(mine.num_rows, TIME))
