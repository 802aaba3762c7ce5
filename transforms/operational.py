"""Operational data: small tables with validity, looked up as of a moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.arrays import NULL, Bools, Ints, arrow, flat, valid, values
from rejse.transforms.events import Coded
from rejse.transforms.schema import TIME

FAR = np.iinfo(np.int64).max
VALIDITY = {"valid_from": TIME, "valid_to": TIME}

TOUCHPOINTS = pa.schema(
    {"touchpoint": pa.string(), "owner": pa.string(), "team": pa.string(), "silo": pa.string(),
     "channel": pa.string(), "stage": pa.string(), "expected_wait_s": pa.float64(),
     "expected_latency_s": pa.float64(), "is_moment_of_truth": pa.bool_(),
     "journey_type": pa.string(), "system": pa.string(), **VALIDITY}
)  # fmt: skip
TOUCHPOINT_FIELDS = pa.schema(
    {"touchpoint": pa.string(), "field": pa.string(), "op": pa.string(), **VALIDITY}
)
JOURNEY_TYPES = pa.schema(
    {"journey_type": pa.string(), "owner": pa.string(), "gap": pa.string(),
     "reopen_window": pa.string(), "cap": pa.string(), "handoff_due": pa.string(),
     "start_activities": pa.string(), "end_activities": pa.string(), "end_outcomes": pa.string(),
     "is_problem": pa.bool_(), "expects_outcome": pa.bool_(), **VALIDITY}
)  # fmt: skip


def conform(table: pa.Table | None, wanted: pa.Schema) -> pa.Table:
    """The table with exactly the wanted columns; absent ones are null, others are dropped."""
    if table is None:
        return pa.Table.from_arrays([pa.nulls(0, f.type) for f in wanted], schema=wanted)
    columns = []
    for want in wanted:
        has = want.name in table.column_names
        columns.append(
            flat(table.column(want.name)).cast(want.type)
            if has
            else pa.nulls(table.num_rows, want.type)
        )
    return pa.Table.from_arrays(columns, schema=wanted)


@dataclass(frozen=True)
class Operational:
    """The O-data that the core reads today; None where the installation has no such table."""

    touchpoints: pa.Table | None = None
    touchpoint_fields: pa.Table | None = None
    journey_types: pa.Table | None = None

    @cached_property
    def places(self) -> AsOf:
        """Touchpoints by name, as of a time."""
        return AsOf.of(conform(self.touchpoints, TOUCHPOINTS), "touchpoint")

    @cached_property
    def types(self) -> AsOf:
        """Journey types by name, as of a time."""
        return AsOf.of(conform(self.journey_types, JOURNEY_TYPES), "journey_type")

    @cached_property
    def fields(self) -> pa.Table:
        """Which touchpoint asks, knows and passes which field."""
        return conform(self.touchpoint_fields, TOUCHPOINT_FIELDS)


@dataclass(frozen=True)
class AsOf:
    """A validity table sorted by (key, valid_from, canonical JSON falling)."""

    table: pa.Table
    keys: dict[str, int]
    key_codes: Ints
    valid_from: Ints
    valid_to: Ints

    @classmethod
    def of(cls, table: pa.Table, key: str) -> AsOf:
        """Index a table with `key`, `valid_from` and `valid_to` (null = always)."""
        rows = table.to_pylist()
        keys: dict[str, int] = {}
        codes = [keys.setdefault(row[key], len(keys)) for row in rows]
        starts = bound(table, "valid_from", -FAR)
        # Of several rows the latest valid_from wins, then the least canonical JSON: it sorts last.
        text = [json.dumps(row, sort_keys=True, default=str) for row in rows]
        falling = np.argsort(np.argsort(np.array(text, dtype=object)))[::1] * -1
        order = np.lexsort((falling, starts, np.asarray(codes, np.int64)))
        return cls(
            table.take(arrow(order, pa.int64())),
            keys,
            np.asarray(codes, np.int64)[order],
            starts[order],
            bound(table, "valid_to", FAR)[order],
        )

    def rows(self, texts: Coded, time: Ints) -> Ints:
        """Row valid for each text at its time, -1 where there is none."""
        code = texts.lookup([self.keys.get(n, NULL) for n in texts.names.to_pylist()], NULL)
        if not len(self.key_codes):
            return np.full(len(time), NULL, np.int64)
        first = np.searchsorted(self.key_codes, np.arange(len(self.keys)))
        at = self._latest(code, time)
        while True:
            expired = (at >= 0) & (self.valid_to[at] <= time)
            if not expired.any():
                return at
            back = at - 1
            at = np.where(expired, np.where(back >= first[code], back, NULL), at)

    def _latest(self, code: Ints, time: Ints) -> Ints:
        """Last row of the code whose valid_from is at or before the time."""
        if len(self.keys) == len(self.key_codes):  # one row a key: no search needed
            row = np.argsort(self.key_codes)[code]
            return np.where((code >= 0) & (self.valid_from[row] <= time), row, NULL)
        moments = np.unique(self.valid_from)
        width = len(moments) + 1
        mine = self.key_codes * width + np.searchsorted(moments, self.valid_from) + 1
        wanted = code * width + np.searchsorted(moments, time, side="right")
        at = np.searchsorted(mine, wanted, side="right") - 1
        same = (at >= 0) & (code >= 0) & (self.key_codes[at] == code)
        return np.where(same, at, NULL)

    def text(self, name: str, rows: Ints) -> Coded:
        """A text column at the rows found."""
        return Coded.of(self.table.column(name)).rows(rows)

    def number(self, name: str, rows: Ints) -> tuple[np.ndarray[Any, Any], Bools]:
        """A numeric or boolean column at the rows found, with the mask of its values."""
        column = flat(self.table.column(name))
        if not len(column):
            kind = bool if pa.types.is_boolean(column.type) else np.float64
            return np.zeros(len(rows), kind), np.zeros(len(rows), bool)
        return values(column)[rows], (rows >= 0) & valid(column)[rows]


def bound(table: pa.Table, name: str, null: int) -> Ints:
    """Bounds of validity in microseconds, `null` where a row has none."""
    column = flat(table.column(name))
    return np.where(valid(column), values(column), null).astype(np.int64)
