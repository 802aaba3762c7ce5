"""Heartbeats: rows by which a source says up to when it is complete, and nothing else."""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.schema.contract import HEARTBEAT


def heartbeats(batch: pa.RecordBatch) -> Bools | None:
    """Return the mask of heartbeats; None where the mapping of the rows gives none."""
    if HEARTBEAT.name not in batch.schema.names:
        return None
    column = batch.column(HEARTBEAT.name)
    return values(column) & valid(column)


def split_heartbeats(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    """Split accepted rows into events, without the mark, and heartbeats."""
    is_heartbeat = heartbeats(batch)
    if is_heartbeat is None:
        return batch, None
    events = batch.drop_columns([HEARTBEAT.name])
    if not is_heartbeat.any():
        return events, None
    return events.filter(arrow(~is_heartbeat)), events.filter(arrow(is_heartbeat))
