"""Service levels and rates of costs: what holds when.

Times are cut wherever a row begins or ends. In each piece one row of a key holds: of several valid
ones that which began last.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from tests.bench.polars.codes import DAY, KIND, NAME, SECOND, TYPE, Dtype

LEAST, MOST = -(1 << 62), 1 << 62
SPANS = {"min": 60 * SECOND, "h": 3_600 * SECOND, "d": DAY}
DEFAULT = "default"
AMOUNTS = ("minutes_customer", "minutes_company", "rate_customer", "rate_company")
LEVELS: Mapping[str, Dtype] = {
    "kind": TYPE, "piece": pl.Int64, "sla": pl.String, "level": pl.String, "to_owner": NAME,
    "span": pl.Int64,
}  # fmt: skip
RATES: Mapping[str, Dtype] = {**dict.fromkeys(AMOUNTS, pl.Float64), "currency": pl.String}


@dataclass(frozen=True)
class Agreed:
    """Rows that hold in each piece of time, and where the pieces begin."""

    rows: pl.DataFrame
    begins: pl.Series

    def piece(self, us: pl.Series) -> pl.Series:
        """Number of the piece in which each time lies."""
        return self.begins.search_sorted(us, side="right").cast(pl.Int64) - 1


def levels(file: Path) -> Agreed:
    """Service levels by journey type and piece; none where there is no file."""
    rows = _rows(file)
    begins, held = _cut(rows, ("sla", "journey_type", "kind", "to_owner"))
    records = [
        {
            "kind": row["journey_type"], "piece": piece, "sla": row["sla"], "level": row["kind"],
            "to_owner": row["to_owner"], "span": _span(row["due"]),
        }
        for piece, some in enumerate(held)
        for row in some.values()
    ]  # fmt: skip
    return Agreed(pl.DataFrame(records, schema=LEVELS), begins)


def rates(file: Path) -> Agreed:
    """A row for each kind of friction and piece, in their order: its own rate, else the default."""
    begins, held = _cut(_rows(file), ("kind",))
    rows = [
        _rate(some.get((kind,)) or some.get((DEFAULT,)) or {})
        for kind in KIND.categories
        for some in held
    ]
    return Agreed(pl.DataFrame(rows, schema=RATES), begins)


def _rate(row: dict[str, Any]) -> dict[str, Any]:
    amounts = {name: float(row[name]) if row.get(name) else None for name in AMOUNTS}
    return {**amounts, "currency": row.get("currency")}


def _span(text: str) -> int:
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * SPANS[unit]


def _rows(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    rows = pl.read_csv(file, infer_schema=False).to_dicts()
    return [
        {
            **row,
            "since": _instant(row["valid_from"], LEAST),
            "until": _instant(row["valid_to"], MOST),
        }
        for row in rows
    ]


def _instant(text: str | None, otherwise: int) -> int:
    if not text:
        return otherwise
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def _cut(
    rows: Sequence[dict[str, Any]], names: tuple[str, ...]
) -> tuple[pl.Series, list[dict[tuple[Hashable, ...], dict[str, Any]]]]:
    moments = sorted({LEAST, MOST} | {row[side] for row in rows for side in ("since", "until")})
    held = []
    for since, _ in pairwise(moments):
        valid = (row for row in rows if row["since"] <= since < row["until"])
        held.append(
            {tuple(row[n] for n in names): row for row in sorted(valid, key=lambda r: r["since"])}
        )
    return pl.Series(moments[:-1], dtype=pl.Int64), held
