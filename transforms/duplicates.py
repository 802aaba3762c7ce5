"""Duplicates: of rows with one (source, id) the first recorded stays (9-rules, Keys)."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms import schema
from rejse.transforms.arrays import Bools, Ints, arrow, flat
from rejse.transforms.as_of import FAR
from rejse.transforms.events import Coded, Events
from rejse.transforms.segments import Segments


def without_duplicates(table: pa.Table) -> tuple[pa.Table, int]:
    """Events with each (source, id) once, and how many duplicates went (`kept_rows`)."""
    keep = kept_rows(table)
    if len(keep) == table.num_rows:
        return table, 0
    return table.take(arrow(keep, pa.int64())), table.num_rows - len(keep)


def kept_rows(table: pa.Table) -> Ints:
    """The rows that stay, rising: one of each (source, id).

    The row with the least `recordedtime` stays (none sorts last); at equal ones that of the least
    customer key, then that whose canonical JSON is least: the order of arrival decides nothing.
    """
    ids = flat(pc.dictionary_encode(flat(table.column("id"))))
    if len(ids.dictionary) == table.num_rows:
        return np.arange(table.num_rows)
    events = Events.of(table)
    key = _keys(events, Coded.of(ids))
    order = np.argsort(key, kind="stable")
    groups = Segments.of(key[order])
    keep: Ints = order[groups.starts]
    for group in np.flatnonzero(groups.lengths > 1):
        start = groups.starts[group]
        keep[group] = _first_recorded(events, order[start : start + groups.lengths[group]])
    keep.sort()
    return keep


def _keys(events: Events, ids: Coded) -> Ints:
    return events.coded("source").codes.astype(np.int64) * len(ids.names) + ids.codes


def _first_recorded(events: Events, rows: Ints) -> int:
    time, known = events.number("recordedtime")
    recorded = np.where(known[rows], time[rows], FAR)
    first = rows[recorded == recorded.min()]
    if len(first) == 1:
        return int(first[0])
    customers = events.coded(schema.CUSTOMER_KEY).rows(first).arrow().to_pylist()
    first = first[[one == min(customers) for one in customers]]
    texts = events.table.take(arrow(first, pa.int64())).to_pylist()
    canonical = [json.dumps(row, sort_keys=True, default=str) for row in texts]
    return int(first[canonical.index(min(canonical))])


def over_cap(table: pa.Table, cap: int) -> Bools:
    """Rows of customers with more than `cap` events."""
    customer = Coded.of(table.column(schema.CUSTOMER_KEY))
    if not len(customer.codes):
        return np.zeros(0, dtype=bool)
    many = np.bincount(customer.codes) > cap
    return many[customer.codes]
