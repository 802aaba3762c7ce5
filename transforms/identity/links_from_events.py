"""Identity links that rows tell.

An event says that its `previousidentity` is its `identity`, until that one's next link; a row of
the cases says, as long as it holds, that the case is its customer, where events bear the case as
their identity (docs/reference/identity.md#links).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import arrow, flat, valid, values
from rejse.transforms.columnar.string_arrays import coded, constant
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.identity import pseudonyms
from rejse.transforms.identity.erasure import NOTHING_ERASED, Erased
from rejse.transforms.identity.link_table import LINKS, blocked_by_erasure
from rejse.transforms.identity.resolve import CASE, CUSTOMER, EVENT, TABLE
from rejse.transforms.schema.contract import TEXT, TIME

PREVIOUS, PREVIOUS_TYPE = "previousidentity", "previousidentitytype"


def with_previous_identity(batch: pa.RecordBatch, kind: str) -> pa.RecordBatch:
    """Accepted rows of a kind of input with what they link, if anything, in PREVIOUS and its type:
    a row of the cases links the case.
    """
    if kind != CASES:
        return batch
    batch = batch.append_column(PREVIOUS, batch.column("case_id"))
    return batch.append_column(PREVIOUS_TYPE, constant(CASE, batch.num_rows))


def links_from_rows(
    batch: pa.RecordBatch, key: bytes, non_persons: tuple[str, ...], method: str = EVENT,
    erased: Erased = NOTHING_ERASED,
) -> pa.Table:  # fmt: skip
    """Links that accepted rows (`telling`) tell, each once (columns LINKS): those of events
    without ends, those of cases until `valid_to`.

    Between two customers a link is a merge, which only the table of links can say; what is no
    person (`non_persons`) is linked with nobody. Links of `erased` identities are `walled`.
    """
    if not {PREVIOUS, PREVIOUS_TYPE} <= {*batch.schema.names}:
        return pa.Table.from_batches([], LINKS)
    kinds, people = batch.column(PREVIOUS_TYPE), batch.column(PREVIOUS)
    is_customer = values(pc.fill_null(pc.equal(kinds.cast(TEXT), CUSTOMER), True))
    keep = valid(people) & valid(kinds) & ~is_customer
    for kind, who in ((kinds, people), (batch.column("identitytype"), batch.column("identity"))):
        keep &= ~pseudonyms.is_non_person(kind, coded(who), non_persons)
    batch = batch.filter(arrow(keep))
    rows, sign, has_end = batch.num_rows, pseudonyms.signer(key), "valid_to" in batch.schema.names
    mine, _ = pseudonyms.customer_keys(batch.column("identitytype"), batch.column("identity"), sign)
    columns = {
        "previous_key": pseudonyms.previous_keys(batch, sign),
        "previous_type": batch.column(PREVIOUS_TYPE),
        "identity_key": mine, "identity_type": batch.column("identitytype"),
        "method": constant(method, rows), "precedence": pa.nulls(rows, pa.int32()),
        "valid_from": batch.column("time"),
        "valid_to": batch.column("valid_to") if has_end else pa.nulls(rows, TIME),
    }  # fmt: skip
    links = [columns[field.name].cast(field.type) for field in LINKS]
    found = pa.Table.from_arrays(links, schema=LINKS)
    return distinct_links(
        blocked_by_erasure(found, erased.rows(batch, sign, "previous"), erased.rows(batch, sign))
    )


def distinct_links(links: pa.Table) -> pa.Table:
    """Each link once, in a settled order."""
    found = links.group_by(LINKS.names, use_threads=False).aggregate([]).select(LINKS.names)
    return found.sort_by([(name, "ascending") for name in LINKS.names]).cast(LINKS)


def with_ends(links: pa.Table) -> pa.Table:
    """Links of tables and rows; those of events end where their identity's next one begins."""
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
    return distinct_links(
        links.set_column(place, LINKS.field(place), arrow(until, TIME, until != FAR))
    )


def stated_links(links: pa.Table) -> pa.Table:
    """The links that rows told; those of events without ends."""
    mine = links.filter(pc.not_equal(links.column("method"), TABLE))
    is_event = pc.equal(mine.column("method"), EVENT)
    until = pc.if_else(is_event, pa.scalar(None, TIME), mine.column("valid_to"))
    place = LINKS.get_field_index("valid_to")
    return mine.set_column(place, LINKS.field(place), until)
