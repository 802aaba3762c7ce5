"""Remove duplicates: of rows with one (source, id) the first recorded is kept
(docs/reference/ingest.md#duplicates).

Of answers recorded at one time, or at no known time, the most complete is kept: a survey exported
without an answer and later with it counts as answered.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.identity.resolve import original_identity
from rejse.transforms.schema import contract

#: Later than any accepted `recordedtime` [µs].
_NEVER = np.iinfo(np.int64).max // 4


#: Columns that `dedup_sort_key` reads where a table has them; `id` is always there.
SORT_KEY_COLUMNS = ("id", "recordedtime", "raw_score", "has_text", "responded_time")


def dedup_sort_key(table: pa.Table | pa.RecordBatch) -> Ints:
    """Return a sort key that picks the duplicate to keep for each (source, id): the lowest wins.

    The earliest `recordedtime` (null sorts last). Ties of answers: one with a score, then one with
    a text or the time of an answer, then one without.
    """
    present = set(table.schema.names)
    events = Events.of(table.select([name for name in SORT_KEY_COLUMNS if name in present]))
    time, known = events.number("recordedtime")
    order: Ints = np.where(known, time, _NEVER) * 3
    if not events.has("raw_score"):
        return order
    has_text, is_text_known = events.number("has_text")
    is_answered = (is_text_known & has_text.astype(bool)) | events.number("responded_time")[1]
    return np.asarray(order + np.where(events.number("raw_score")[1], 0, 2 - is_answered))


def without_duplicates(table: pa.Table) -> tuple[pa.Table, int]:
    """Return the events with each (source, id) once, and the number of duplicates dropped."""
    keep = kept_rows(table)
    if len(keep) == table.num_rows:
        return table, 0
    return table.take(arrow(keep, pa.int64())), table.num_rows - len(keep)


def kept_rows(table: pa.Table) -> Ints:
    """Return the row numbers to keep, ascending: one of each (source, id).

    The lowest `dedup_sort_key` wins. Ties: the lowest key of the original identity, which no later
    link changes, then the lowest customer key, then the lowest canonical JSON. The order of arrival
    decides nothing.
    """
    ids = flat(pc.dictionary_encode(flat(table.column("id"))))
    if len(ids.dictionary) == table.num_rows:
        return np.arange(table.num_rows)
    events = Events.of(table)
    key = _keys(events, Categorical.of(ids))
    order = sorted_by(key)
    groups = Groups.of(key[order])
    keep: Ints = order[groups.starts]
    sort_key = dedup_sort_key(table)
    for group in np.flatnonzero(groups.lengths > 1):
        start = groups.starts[group]
        keep[group] = _first(events, sort_key, order[start : start + groups.lengths[group]])
    keep.sort()
    return keep


def _keys(events: Events, ids: Categorical) -> Ints:
    return events.coded("source").codes.astype(np.int64) * len(ids.names) + ids.codes


def _first(events: Events, sort_key: Ints, rows: Ints) -> int:
    first = rows[sort_key[rows] == sort_key[rows].min()]
    if len(first) == 1:
        return int(first[0])
    tied = events.table.take(arrow(first, pa.int64()))
    identities = [original_identity(tied), Categorical.of(tied.column(contract.CUSTOMER_KEY))]
    keys = list(zip(*(column.arrow().to_pylist() for column in identities), strict=True))
    first = first[[key == min(keys) for key in keys]]
    texts = events.table.take(arrow(first, pa.int64())).to_pylist()
    canonical = [json.dumps(row, sort_keys=True, default=str) for row in texts]
    return int(first[canonical.index(min(canonical))])


def over_event_cap(table: pa.Table, cap: int) -> Bools:
    """Return the mask of rows of customers with more than `cap` events."""
    customer = Categorical.of(table.column(contract.CUSTOMER_KEY))
    if not len(customer.codes):
        return np.zeros(0, dtype=bool)
    many = np.bincount(customer.codes) > cap
    return many[customer.codes]
