"""Read Parquet files of the store; errors name the damaged file.

Files of sources are read by `sources.read_parquet`: their damage is a reject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines.places import place
from rejse.pipelines.store import errors


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file. Raises StoreDamagedError, also for what is read of it."""
    with errors.reading(path), pq.ParquetFile(place.here(path)) as file:
        yield file


def rows(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all rows of a file, in all columns or some. Raises StoreDamagedError."""
    with opened(path) as file:
        return file.read(columns if columns is None else list(columns))


def groups(path: Path, chosen: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Read some row groups of a file. Raises StoreDamagedError."""
    with opened(path) as file:
        return file.read_row_groups(list(chosen), columns if columns is None else list(columns))


def metadata(path: Path) -> pq.FileMetaData:
    """Read the footer of a file. Raises StoreDamagedError."""
    with errors.reading(path):
        return pq.read_metadata(_footer(path))


def schema(path: Path) -> pa.Schema:
    """Read the columns of a file. Raises StoreDamagedError."""
    with errors.reading(path):
        return pq.read_schema(_footer(path))


def _footer(path: Path) -> Path | pa.BufferReader:
    """Return what the footer of a file is read from: of an object its last bytes do."""
    tail = place.tail(path)
    return place.here(path) if tail is None else pa.BufferReader(tail)
