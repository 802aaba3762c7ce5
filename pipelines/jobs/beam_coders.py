"""Beam coders of Arrow elements: Arrow IPC where elements leave a stage.

Beam samples the size of elements by encoding them, which would copy whole batches: these coders
ask the elements instead.
"""

from __future__ import annotations

import pickle
from typing import Any

import apache_beam as beam
import pyarrow as pa

from rejse.pipelines.sources.files import RawBatch
from rejse.transforms.incremental.table_rows import TableRows


class _Weighed(beam.coders.Coder):  # type: ignore[misc]
    """Coder of elements that know their size."""

    def estimate_size(self, value: Any) -> int:
        """Return the bytes in memory."""
        return int(value.nbytes)

    def is_deterministic(self) -> bool:
        """Return False: equal rows may differ in their chunks, so they are no keys."""
        return False


class ArrowCoder(_Weighed):
    """Encode record batches and tables as one Arrow IPC stream each."""

    def encode(self, value: pa.RecordBatch | pa.Table) -> bytes:
        """Return the stream; a table of no batches is one too."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as out:
            out.write(value)
        return bytes(sink.getvalue())

    def decode(self, encoded: bytes) -> Any:
        """Return the table, or the record batch that was encoded."""
        return pa.ipc.open_stream(encoded).read_all()


class BatchCoder(ArrowCoder):
    """Decode record batches."""

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Return the record batch."""
        return pa.ipc.open_stream(encoded).read_next_batch()


class PartsCoder(_Weighed):
    """Pickle raw batches and scored tables, which hold Arrow data."""

    def encode(self, value: RawBatch | TableRows) -> bytes:
        """Return the pickle."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Any:
        """Return the value."""
        return pickle.loads(encoded)


def register() -> None:
    """Register the coders of the elements of the pipelines."""
    beam.coders.registry.register_coder(pa.RecordBatch, BatchCoder)
    beam.coders.registry.register_coder(pa.Table, ArrowCoder)
    beam.coders.registry.register_coder(RawBatch, PartsCoder)
    beam.coders.registry.register_coder(TableRows, PartsCoder)
