"""Rows whose time is in the future: they are refused for now, and move no watermark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.ingest import rejects as refusals

REASON = "time_in_future"
DETAIL = (
    "time is later than the clock of the run and future of [windows]; check its year and zone;"
    " the row is taken when that time has come"
)


def split_future_rows(
    batch: pa.RecordBatch, limit: int
) -> tuple[pa.RecordBatch, pa.Table, int | None]:
    """Split off accepted rows later than `limit` (microseconds, inclusive).

    Returns the rows up to it, rejects of the later ones, and the least time of these (None if
    none).
    """
    time = values(batch.column("time"))
    ahead = time > limit
    if not ahead.any():
        return batch, refusals.empty(), None
    refused = refusals.of_rows(batch.filter(arrow(ahead)), REASON, DETAIL)
    return batch.filter(arrow(~ahead)), refused, int(np.min(time[ahead]))
