"""Merge new rows of one kind with stored ones, and split off the events that are late.

An event is late where its time is before the published watermark of its source less the allowed
lateness. Final rows rest on its absence, so that it waits in `late` for a repair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, values
from rejse.transforms.columnar.encoded_tables import concat
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.incremental.deduplicate import kept_rows, without_duplicates
from rejse.transforms.ingest import rejects
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import SECOND

#: Note of events that an earlier run kept, of customers who crossed the event cap since.
EXCLUDED_LATER = "excluded_later"
LATENESS = pa.field(
    "lateness_s", pa.int64(), metadata={"description": "How much too late it came.", "unit": "s"}
)


@dataclass(frozen=True)
class UpsertResult:
    """Rows of whole customers, each once; `is_new` marks the new ones.

    `replaced` are the customers who lost a stored row.
    """

    rows: pa.Table
    is_new: Bools
    replaced: frozenset[str]
    n_duplicate: int
    n_superseded: int  # stored rows that new ones replaced

    def without(self, dropped: Bools) -> UpsertResult:
        """Return the result without the rows of a mask."""
        if not dropped.any():
            return self
        kept = self.rows.filter(arrow(~dropped))
        return replace(self, rows=kept, is_new=self.is_new[~dropped])


def upsert(
    stored: pa.Table | None, new: pa.Table, owned_by_other: Bools | None = None
) -> UpsertResult:
    """Merge stored and new rows of one kind: each (source, id) once, by the rule of duplicates.

    The result does not depend on the order of arrival. Stored rows whose id another customer owns
    (mask `owned_by_other`) are left out.
    """
    if stored is not None and owned_by_other is not None and owned_by_other.any():
        result, n = upsert(stored.filter(arrow(~owned_by_other)), new), int(owned_by_other.sum())
        return replace(
            result,
            replaced=result.replaced | customers_of(stored, np.flatnonzero(owned_by_other)),
            n_duplicate=result.n_duplicate + n,
            n_superseded=result.n_superseded + n,
        )
    if stored is None or not stored.num_rows:
        whole, n_duplicate = without_duplicates(new)
        return UpsertResult(whole, np.ones(whole.num_rows, bool), frozenset(), n_duplicate, 0)
    both, n = concat([stored, new]), stored.num_rows
    keep = kept_rows(both)
    lost = np.setdiff1d(np.arange(n), keep, assume_unique=True)
    return UpsertResult(
        both.take(arrow(keep, pa.int64())),
        keep >= n,
        customers_of(stored, lost),
        both.num_rows - len(keep),
        len(lost),
    )


def first_late_copies(
    late: pa.Table, stored: pa.Table | None, waiting: pa.Table | None
) -> tuple[Bools, pa.Table | None]:
    """Compare late rows with the `stored` rows and the `waiting` late ones of their ids.

    Returns the mask of the late rows that win, and the waiting rows that they beat.
    """
    waiting_rows = [] if waiting is None else [waiting.drop_columns([LATENESS.name])]
    others = [rows for rows in (stored, *waiting_rows) if rows is not None and rows.num_rows]
    n = sum(rows.num_rows for rows in others)
    both = concat([*others, late]) if others else late
    keep = kept_rows(both)
    is_first = np.zeros(late.num_rows, bool)
    is_first[keep[keep >= n] - n] = True
    if waiting is None or not waiting.num_rows:
        return is_first, None
    first = n - waiting.num_rows
    lost = np.setdiff1d(np.arange(first, n), keep) - first
    beaten = waiting.take(arrow(lost, pa.int64()))
    is_by_late = pc.is_in(_ids(beaten), value_set=_ids(late.filter(arrow(is_first))))
    return is_first, beaten.filter(is_by_late)


def _ids(rows: pa.Table) -> pa.Array:
    columns = [flat(rows.column(name)).cast(pa.string()) for name in ("source", "id")]
    return pc.binary_join_element_wise(*columns, "\x1f")


def customers_of(rows: pa.Table, which: Ints | None = None) -> frozenset[str]:
    """Return the customer keys of the rows, or of `which` of them."""
    column = flat(rows.column(contract.CUSTOMER_KEY))
    if which is not None:
        column = column.take(arrow(which, pa.int64()))
    return frozenset(pc.unique(column).cast(pa.string()).to_pylist())


def is_too_late(events: pa.Table, until: Callable[[str], int]) -> Bools:
    """Return the mask of events before `until` of their source (microseconds)."""
    return values(events.column("time")) < _limits(events, until)


def with_lateness(events: pa.Table, until: Callable[[str], int]) -> pa.Table:
    """Add `lateness_s` to late events: by how much they are late, seconds, rounded up."""
    over = _limits(events, until) - values(events.column("time"))
    return events.append_column(LATENESS, arrow(-(-over // SECOND), pa.int64()))


def _limits(events: pa.Table, until: Callable[[str], int]) -> Ints:
    source = Categorical.of(events.column("source"))
    limits = np.array([until(name) for name in source.names.to_pylist()], np.int64)
    return limits[source.codes]


def event_cap_rejects(events: pa.Table, cap: int) -> pa.Table:
    """Return rejects for events of customers above the event cap, positioned by id."""
    sources = flat(events.column("source")).cast(pa.string()).to_pylist()
    ids = flat(events.column("id")).to_pylist()
    detail = f"expected at most {cap:,} events of one customer, came more; is this a person?"
    by_source: dict[str, list[str]] = {}
    for source, ident in zip(sources, ids, strict=True):
        by_source.setdefault(source, []).append(ident)
    parts = [
        rejects.refuse(
            source,
            [rejects.BY_ID + ident for ident in rows],
            rejects.CAPPED,
            detail,
            [None] * len(rows),
            rows,
        )
        for source, rows in by_source.items()
    ]
    return rejects.join(parts)
