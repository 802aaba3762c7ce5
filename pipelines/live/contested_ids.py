"""Ids that several customers have, while rows go on arriving; `cross_customer_ids` has the rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from rejse.pipelines.store.id_index import KnownIds
from rejse.transforms.columnar.arrays import flat
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental import cross_customer_ids
from rejse.transforms.incremental.cross_customer_ids import Records
from rejse.transforms.incremental.merge_customers import LATE
from rejse.transforms.schema.contract import CUSTOMER_KEY


class ContestedIds:
    """Owners of contested ids, by kind of input, of all rows so far and of stored rows.

    Attributes:
        owners: Owner (leading key) of each contested id, by kind; of late events as `LATE`.
    """

    def __init__(self, salt: bytes, known: Mapping[str, KnownIds]) -> None:
        self._salt, self._known = salt, known
        self._records: dict[str, Records] = {}
        self._keys: dict[int, str] = {}
        self.owners: dict[str, dict[tuple[int, int], int]] = {}

    def add(self, kind: str, rows: pa.Table) -> pa.Array:
        """Note the ids of rows; return the keys of customers who own other ids than before."""
        records = cross_customer_ids.records(rows, self._salt)
        self._note_keys(rows)
        known = self._known.get("interaction" if kind == LATE else kind)
        stored = None if known is None else known.of(records)
        if stored is not None:
            self._note_keys(stored)
            records = np.concatenate([records, cross_customer_ids.records(stored, self._salt)])
        if kind in self._records:
            records = np.concatenate([self._records[kind], records])
        self._records[kind] = records
        before, now = self.owners.get(kind, {}), cross_customer_ids.id_owners(records)
        self.owners[kind] = now
        changed = [at for at in now if before.get(at) != now[at]]
        return text(sorted(self._customers_with(records, changed)))

    def _customers_with(self, records: Records, ids: list[tuple[int, int]]) -> set[str]:
        highs, wanted = np.array([high for high, _ in ids], np.uint64), set(ids)
        rows = records[np.isin(records["high"], highs)]
        return {
            self._keys[int(row["customer"])]
            for row in rows
            if (int(row["high"]), int(row["low"])) in wanted
        }

    def _note_keys(self, rows: pa.Table) -> None:
        keys = flat(rows.column(CUSTOMER_KEY)).cast(pa.string()).unique()
        leading = cross_customer_ids.leading(keys).tolist()
        self._keys.update(zip(leading, keys.to_pylist(), strict=True))
