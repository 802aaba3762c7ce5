"""Rows that lie in the future: they wait, and move no clock."""

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
    """Accepted rows up to `limit` (microseconds, inclusive), rejects of the later ones and the
    least time of these; None where there are none.
    """
    time = values(batch.column("time"))
    ahead = time > limit
    if not ahead.any():
        return batch, refusals.empty(), None
    refused = refusals.of_rows(batch.filter(arrow(ahead)), REASON, DETAIL)
    return batch.filter(arrow(~ahead)), refused, int(np.min(time[ahead]))
