"""Duplicates: of rows with one (source, id) the first recorded stays
(docs/reference/ingest.md#duplicates).

Of X-records recorded at one time, or at none that is known, the one that says most stays: a survey
that is exported silent and later again with its answer is answered.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.columnar.segments import Groups
from rejse.transforms.identity.resolve import original
from rejse.transforms.schema import contract

#: Further ahead than any `recordedtime` that the edge lets in [µs].
_NEVER = np.iinfo(np.int64).max // 4


#: What `standing` looks at, where there is such a column; ids are always there.
LOOKED_AT = ("id", "recordedtime", "raw_score", "has_text", "responded_time")


def standing(table: pa.Table | pa.RecordBatch) -> Ints:
    """What comes first of rows with one (source, id) stays, if no other stands as well.

    The least `recordedtime` (none sorts last); at equal ones, of X-records, that with a score, then
    that with a text or the time of an answer, then the silent one.
    """
    there = set(table.schema.names)
    events = Events.of(table.select([name for name in LOOKED_AT if name in there]))
    time, known = events.number("recordedtime")
    order: Ints = np.where(known, time, _NEVER) * 3
    if not events.has("raw_score"):
        return order
    written, said = events.number("has_text")
    is_answered = (said & written.astype(bool)) | events.number("responded_time")[1]
    return np.asarray(order + np.where(events.number("raw_score")[1], 0, 2 - is_answered))


def without_duplicates(table: pa.Table) -> tuple[pa.Table, int]:
    """Events with each (source, id) once, and how many duplicates went (`kept_rows`)."""
    keep = kept_rows(table)
    if len(keep) == table.num_rows:
        return table, 0
    return table.take(arrow(keep, pa.int64())), table.num_rows - len(keep)


def kept_rows(table: pa.Table) -> Ints:
    """The rows that stay, rising: one of each (source, id).

    The row that is first in `standing` stays; at equal ones that which bears the least key of an
    identity, which no later link changes, then that of the least customer key, then that whose
    canonical JSON is least: the order of arrival decides nothing.
    """
    ids = flat(pc.dictionary_encode(flat(table.column("id"))))
    if len(ids.dictionary) == table.num_rows:
        return np.arange(table.num_rows)
    events = Events.of(table)
    key = _keys(events, Categorical.of(ids))
    order = sorted_by(key)
    groups = Groups.of(key[order])
    keep: Ints = order[groups.starts]
    stands = standing(table)
    for group in np.flatnonzero(groups.lengths > 1):
        start = groups.starts[group]
        keep[group] = _first(events, stands, order[start : start + groups.lengths[group]])
    keep.sort()
    return keep


def _keys(events: Events, ids: Categorical) -> Ints:
    return events.coded("source").codes.astype(np.int64) * len(ids.names) + ids.codes


def _first(events: Events, stands: Ints, rows: Ints) -> int:
    first = rows[stands[rows] == stands[rows].min()]
    if len(first) == 1:
        return int(first[0])
    tied = events.table.take(arrow(first, pa.int64()))
    whose = [original(tied), Categorical.of(tied.column(contract.CUSTOMER_KEY))]
    keys = list(zip(*(one.arrow().to_pylist() for one in whose), strict=True))
    first = first[[key == min(keys) for key in keys]]
    texts = events.table.take(arrow(first, pa.int64())).to_pylist()
    canonical = [json.dumps(row, sort_keys=True, default=str) for row in texts]
    return int(first[canonical.index(min(canonical))])


def over_cap(table: pa.Table, cap: int) -> Bools:
    """Rows of customers with more than `cap` events."""
    customer = Categorical.of(table.column(contract.CUSTOMER_KEY))
    if not len(customer.codes):
        return np.zeros(0, dtype=bool)
    many = np.bincount(customer.codes) > cap
    return many[customer.codes]
