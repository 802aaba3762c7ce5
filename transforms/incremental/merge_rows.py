"""Rows that arrive, beside those that are stored: which stay, which come too late.

An event is late where it is older than what its source said was complete (less the allowed
lateness): final rows rest on its absence, so that it waits in `late` for a repair.
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
    """Rows of whole customers, each once: `rows`; which of them are new; who lost a stored one."""

    rows: pa.Table
    is_new: Bools
    replaced: frozenset[str]
    n_duplicate: int
    n_lost: int  # stored rows that gave way to new ones

    def without(self, gone: Bools) -> UpsertResult:
        """The same without some rows."""
        if not gone.any():
            return self
        kept = self.rows.filter(arrow(~gone))
        return replace(self, rows=kept, is_new=self.is_new[~gone])


def arrive(stored: pa.Table | None, new: pa.Table, elsewhere: Bools | None = None) -> UpsertResult:
    """Stored and new rows of one kind with each (source, id) once, by the rule of duplicates:
    the same row stays in whatever order they came. Stored ones whose id stays `elsewhere`, with
    another customer, give way.
    """
    if stored is not None and elsewhere is not None and elsewhere.any():
        found, n = arrive(stored.filter(arrow(~elsewhere)), new), int(elsewhere.sum())
        return replace(
            found, replaced=found.replaced | names(stored, np.flatnonzero(elsewhere)),
            n_duplicate=found.n_duplicate + n, n_lost=found.n_lost + n,
        )  # fmt: skip
    if stored is None or not stored.num_rows:
        whole, gone = without_duplicates(new)
        return UpsertResult(whole, np.ones(whole.num_rows, bool), frozenset(), gone, 0)
    both, n = concat([stored, new]), stored.num_rows
    keep = kept_rows(both)
    lost = np.setdiff1d(np.arange(n), keep, assume_unique=True)
    return UpsertResult(
        both.take(arrow(keep, pa.int64())), keep >= n, names(stored, lost),
        both.num_rows - len(keep), len(lost),
    )  # fmt: skip


def contest(
    late: pa.Table, stored: pa.Table | None, held: pa.Table | None
) -> tuple[Bools, pa.Table | None]:
    """Which late rows stand first of all rows with their (source, id), those `stored` and those
    `held` back included; and the held ones that they beat.
    """
    rest = [] if held is None else [held.drop_columns([LATENESS.name])]
    known = [one for one in (stored, *rest) if one is not None and one.num_rows]
    n = sum(one.num_rows for one in known)
    both = concat([*known, late]) if known else late
    keep = kept_rows(both)
    wins = np.zeros(late.num_rows, bool)
    wins[keep[keep >= n] - n] = True
    if held is None or not held.num_rows:
        return wins, None
    first = n - held.num_rows
    lost = np.setdiff1d(np.arange(first, n), keep) - first
    winners = late.filter(arrow(wins))
    is_beaten = _refs(held.take(arrow(lost, pa.int64())))
    beaten = pc.is_in(is_beaten, value_set=_refs(winners))
    return wins, held.take(arrow(lost, pa.int64())).filter(beaten)


def _refs(rows: pa.Table) -> pa.Array:
    columns = [flat(rows.column(name)).cast(pa.string()) for name in ("source", "id")]
    return pc.binary_join_element_wise(*columns, "\x1f")


def names(rows: pa.Table, which: Ints | None = None) -> frozenset[str]:
    """Customer keys of (some of) the rows."""
    column = flat(rows.column(contract.CUSTOMER_KEY))
    if which is not None:
        column = column.take(arrow(which, pa.int64()))
    return frozenset(pc.unique(column).cast(pa.string()).to_pylist())


def too_late(events: pa.Table, until: Callable[[str], int]) -> Bools:
    """Events before the time until which their source was complete."""
    return values(events.column("time")) < _limits(events, until)


def with_lateness(events: pa.Table, until: Callable[[str], int]) -> pa.Table:
    """Late events with `lateness_s`: by how much, seconds, rounded up."""
    over = _limits(events, until) - values(events.column("time"))
    return events.append_column(LATENESS, arrow(-(-over // SECOND), pa.int64()))


def _limits(events: pa.Table, until: Callable[[str], int]) -> Ints:
    source = Categorical.of(events.column("source"))
    limits = np.array([until(name) for name in source.names.to_pylist()], np.int64)
    return limits[source.codes]


def capped(events: pa.Table, cap: int) -> pa.Table:
    """Rejects of customers above the event cap, source by source, positioned by id."""
    sources = flat(events.column("source")).cast(pa.string()).to_pylist()
    ids = flat(events.column("id")).to_pylist()
    says = f"expected at most {cap:,} events of one customer, came more; is this a person?"
    by_source: dict[str, list[str]] = {}
    for source, ident in zip(sources, ids, strict=True):
        by_source.setdefault(source, []).append(ident)
    parts = [
        rejects.refuse(source, [rejects.BY_ID + one for one in mine], rejects.CAPPED, says,
                       [None] * len(mine), mine)
        for source, mine in by_source.items()
    ]  # fmt: skip
    return rejects.join(parts)
