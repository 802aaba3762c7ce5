"""Leave rows where they are that a run has made again as they were published.

A customer who is scored again has live rows in eleven tables, and a new event changes those of a
few. What is the same stays in its file: the run writes no part of that table anew for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from rejse.pipelines.store import staging
from rejse.pipelines.store.join_files import in_order, merged_rows
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms.columnar.arrays import Ints, arrow, flat, index_in
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.revisions import contents
from rejse.transforms.schema.contract import CUSTOMER_KEY

#: Columns in which rows differ that two runs have made alike.
OWN = ("known_at", "run_id")
#: Of more new rows some are in nearly every part of a table, so that it is written anew anyway.
MOST = staging.ROW_GROUP


def unchanged(
    store: Path, named: Sequence[StagedFile], staged: Sequence[StagedFile], customers: pa.Array
) -> pa.Array:
    """Return those of some customers (sorted keys) whose rows are in staged files as in others.

    Args:
        store: folder of the store.
        named: published files of a table.
        staged: files of the table that the run has made.
        customers: customers whose rows the staged ones are to replace.
    """
    if not staged or sum(file.rows for file in staged) > MOST:
        return text([])
    table = staged[0].table
    before = PublishedTables(store, {table: named}).rows(table, customers)
    if before is None:
        return text([])
    now = merged_rows(store, table, [file.path for file in staged])
    names = [name for name in now.column_names if name not in OWN]
    if set(names) != {*before.column_names} - {*OWN}:
        return text([])
    rows = [in_order(table, part.select(names)) for part in (before, now)]
    whose = [_whose(part, customers) for part in rows]
    n_before, n_now = (np.bincount(at, minlength=len(customers)) for at in whose)
    is_same = n_before == n_now
    rows = [part.filter(arrow(is_same[at])) for part, at in zip(rows, whose, strict=True)]
    at = whose[0][is_same[whose[0]]]
    old, new = (contents(part, names) for part in rows)
    is_same[at[~old.equals_at(new, np.arange(len(at)))]] = False
    return customers.filter(arrow(is_same))


def _whose(rows: pa.Table, customers: pa.Array) -> Ints:
    """Return the place of each row's customer among some customers, which have them all."""
    return index_in(flat(rows.column(CUSTOMER_KEY)).cast(pa.string()), customers)
