"""Rows that leave the scoring of customers, by table, and whose published rows they replace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from rejse.transforms.columnar.string_arrays import text

#: Name of the table of (table, customer_key) whose published rows are replaced.
REPLACED = "gone"
#: Stands in it for all tables of rows that are not final: each run writes those again.
LIVE_TABLES = "*"


@dataclass(frozen=True)
class TableRows:
    """Rows of one table of some customers: inputs to store, or what the core made of them."""

    table: str
    rows: pa.Table

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return int(self.rows.nbytes)


def replaced_customers(replaced: Mapping[str, frozenset[str]]) -> pa.Table:
    """Return the table `REPLACED` of customer keys by table name, sorted."""
    pairs = [(table, key) for table, keys in sorted(replaced.items()) for key in sorted(keys)]
    columns = {"table": [table for table, _ in pairs], "customer_key": [key for _, key in pairs]}
    return pa.table({name: text(column) for name, column in columns.items()})
