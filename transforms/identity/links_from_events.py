"""Derive identity links from rows.

An event with a `previousidentity` links it to its `identity`, until the next link of that previous
identity. A row of the cases links the case to its customer while it holds, for events whose
identity is the case (docs/reference/identity.md#links).
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
    """Add PREVIOUS and its type to rows of the cases: the case; return other rows unchanged."""
    if kind != CASES:
        return batch
    batch = batch.append_column(PREVIOUS, batch.column("case_id"))
    return batch.append_column(PREVIOUS_TYPE, constant(CASE, batch.num_rows))


def links_from_rows(
    batch: pa.RecordBatch,
    key: bytes,
    non_persons: tuple[str, ...],
    method: str = EVENT,
    erased: Erased = NOTHING_ERASED,
) -> pa.Table:
    """Return the links of accepted rows (`with_previous_identity`), each once (columns LINKS).

    Links of events have no end, those of cases end at `valid_to`. Links between two customers are
    merges, which only the table of links can state; they are left out, as are links of
    `non_persons`. Links of `erased` identities are `blocked_by_erasure`.
    """
    if not {PREVIOUS, PREVIOUS_TYPE} <= {*batch.schema.names}:
        return pa.Table.from_batches([], LINKS)
    kinds, people = batch.column(PREVIOUS_TYPE), batch.column(PREVIOUS)
    is_customer = values(pc.fill_null(pc.equal(kinds.cast(TEXT), CUSTOMER), True))
    keep = valid(people) & valid(kinds) & ~is_customer
    for kind, identity in (
        (kinds, people),
        (batch.column("identitytype"), batch.column("identity")),
    ):
        keep &= ~pseudonyms.is_non_person(kind, coded(identity), non_persons)
    batch = batch.filter(arrow(keep))
    rows, sign, has_end = batch.num_rows, pseudonyms.signer(key), "valid_to" in batch.schema.names
    keys, _ = pseudonyms.customer_keys(batch.column("identitytype"), batch.column("identity"), sign)
    columns = {
        "previous_key": pseudonyms.previous_keys(batch, sign),
        "previous_type": batch.column(PREVIOUS_TYPE),
        "identity_key": keys,
        "identity_type": batch.column("identitytype"),
        "method": constant(method, rows),
        "precedence": pa.nulls(rows, pa.int32()),
        "valid_from": batch.column("time"),
        "valid_to": batch.column("valid_to") if has_end else pa.nulls(rows, TIME),
    }
    links = [columns[field.name].cast(field.type) for field in LINKS]
    table = pa.Table.from_arrays(links, schema=LINKS)
    return distinct_links(
        blocked_by_erasure(table, erased.rows(batch, sign, "previous"), erased.rows(batch, sign))
    )


def distinct_links(links: pa.Table) -> pa.Table:
    """Return each link once, sorted."""
    distinct = links.group_by(LINKS.names, use_threads=False).aggregate([]).select(LINKS.names)
    return distinct.sort_by([(name, "ascending") for name in LINKS.names]).cast(LINKS)


def with_ends(links: pa.Table) -> pa.Table:
    """End links of events where the next link of their identity begins."""
    if not links.num_rows:
        return links
    previous = values(flat(links.column("previous_key")).dictionary_encode().indices)
    begin = bound(links, "valid_from", -FAR)
    order = np.lexsort((begin, previous))
    identity, at = previous[order], begin[order]
    next_begin = np.full(len(order), FAR)
    is_next = np.append((np.diff(identity) == 0) & (np.diff(at) != 0), False)
    starts = np.flatnonzero(is_next)
    next_begin[starts] = at[starts + 1]
    is_same = np.append((np.diff(identity) == 0) & (np.diff(at) == 0), False)
    last = np.flatnonzero(~is_same)  # of links that begin at once
    next_begin = next_begin[last][np.searchsorted(last, np.arange(len(order)))]
    until = np.empty(len(order), np.int64)
    until[order] = next_begin
    is_event = values(pc.equal(flat(links.column("method")), EVENT))
    until = np.where(is_event, until, bound(links, "valid_to", FAR))
    column = LINKS.get_field_index("valid_to")
    return distinct_links(
        links.set_column(column, LINKS.field(column), arrow(until, TIME, until != FAR))
    )


def stated_links(links: pa.Table) -> pa.Table:
    """Return the links that came from rows; those of events without ends."""
    from_rows = links.filter(pc.not_equal(links.column("method"), TABLE))
    is_event = pc.equal(from_rows.column("method"), EVENT)
    until = pc.if_else(is_event, pa.scalar(None, TIME), from_rows.column("valid_to"))
    column = LINKS.get_field_index("valid_to")
    return from_rows.set_column(column, LINKS.field(column), until)
