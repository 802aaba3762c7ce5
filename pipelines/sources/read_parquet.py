"""Read Parquet files as Arrow batches under the frozen raw schema.

Files that pyarrow refuses are refused, even where other readers return some rows. Texts that the
writer stored as a dictionary stay dictionaries: that is 2.5 times as fast to decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.sources.decompress import FREE, RATIO, RECORD
from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.ingest import rejects as refusals

ROWS = 131_072
#: Rows a shard has at least, where the file has them: few, so that one file feeds many workers.
SHARD = 2 * ROWS
#: A text column of fewer bytes a value was stored as codes of a dictionary.
CODE = 3.0
FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError)


class Part(NamedTuple):
    """Rows of a file: the batch, its row numbers (int64, from 1), and rejects."""

    batch: pa.RecordBatch
    rows: np.ndarray[Any, np.dtype[np.int64]] | None
    rejects: pa.Table
    first: int = 1


def groups(path: Path, least_rows: int = SHARD) -> list[tuple[tuple[int, ...], int]]:
    """Return row groups to read together, each with the number of its first row (from 1).

    Where the footer cannot be read, return one empty group; reading it refuses the whole file.
    """
    try:
        with pq.ParquetFile(path) as file:
            sizes = [
                file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)
            ]
    except FAULTS:
        return [((), 1)]
    shards: list[tuple[tuple[int, ...], int]] = []
    chosen: list[int] = []
    first = row = 1
    for place, size in enumerate(sizes):
        chosen.append(place)
        row += size
        if row - first >= least_rows or place == len(sizes) - 1:
            shards.append((tuple(chosen), first))
            chosen, first = [], row
    return shards or [((), 1)]


class Parquet:
    """Reader of one file."""

    def __init__(self, schema: pa.Schema, source: str, file: str) -> None:
        self.schema, self.source, self.file = schema, source, file

    def parts(self, path: Path, chosen: tuple[int, ...], first: int) -> Iterator[Part]:
        """Read the `chosen` row groups (all, where empty); `first` is their first row's number."""
        row = first
        try:
            metadata = pq.read_metadata(path)
            bomb = _bomb(metadata, path.stat().st_size)
            if bomb:
                yield self._whole("compression_bomb", bomb, row)
                return
            with pq.ParquetFile(
                path, read_dictionary=_coded(path, metadata), page_checksum_verification=True
            ) as file:
                names = [name for name in self.schema.names if name in file.schema_arrow.names]
                wanted = chosen or tuple(range(metadata.num_row_groups))
                for batch in file.iter_batches(ROWS, wanted, names, use_threads=False):
                    yield self.part(batch, row)
                    row += batch.num_rows
        except FAULTS as fault:
            rest = "" if row == first else f"; rows from {row} on are lost"
            yield self._whole("unreadable_parquet", f"{fault}{rest}", row)

    def _whole(self, reason: str, detail: str, row: int) -> Part:
        """Make one reject for all rows that cannot be read."""
        refused = refusals.refuse(self.source, [f"{self.file}:{row}"], reason, detail, [None])
        empty = [pa.nulls(0, f.type) for f in self.schema]
        return Part(pa.RecordBatch.from_arrays(empty, schema=self.schema), None, refused, row)

    def part(self, batch: pa.RecordBatch, row: int) -> Part:
        """Cast a batch to the schema; rows that cannot be read unchanged are rejects."""
        bad: list[tuple[Bools, str, str]] = []
        batch, unread = _readable(batch)
        if unread.any():
            bad.append((unread, "invalid_utf8", "a text is no UTF-8"))
        large = _large(batch)
        if large.any():
            bad.append((large, "record_too_large", f"expected at most {RECORD} bytes a text"))
        arrays = []
        for field in self.schema:
            column, misfits = _fitted(batch, field)
            arrays.append(column)
            if misfits.any():
                bad.append((misfits, "type_mismatch", f"{field.name}: expected {field.type}"))
        schema = pa.schema([(f.name, a.type) for f, a in zip(self.schema, arrays, strict=True)])
        fitted = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if not bad:
            return Part(fitted, None, refusals.empty(), row)
        rows = np.arange(row, row + batch.num_rows)
        kept = np.ones(batch.num_rows, dtype=bool)
        refused = []
        for mask, reason, detail in bad:
            places = rows[mask & kept]
            kept &= ~mask
            names = [f"{self.file}:{place}" for place in places.tolist()]
            refused.append(refusals.refuse(self.source, names, reason, detail, [None] * len(names)))
        return Part(fitted.filter(arrow(kept)), rows[kept], refusals.join(refused), row)


def _bomb(metadata: pq.FileMetaData, packed: int) -> str:
    """Return why a file of `packed` bytes is a compression bomb; empty where it is none."""
    groups = range(metadata.num_row_groups)
    plain = sum(metadata.row_group(group).total_byte_size for group in groups)
    if plain > FREE and plain > RATIO * packed:
        return f"{packed} bytes would become {plain}; write the file without compression"
    return ""


def _coded(path: Path, metadata: pq.FileMetaData) -> list[str]:
    """Return the text columns that the writer stored as a dictionary with few values."""
    if not _has_columns(path, metadata):
        return []
    named = set(metadata.schema.names)  # which a damaged row group may not agree with
    group, coded = metadata.row_group(0), []
    for place in range(metadata.num_columns):
        column = group.column(place)
        is_text = column.physical_type == "BYTE_ARRAY" and "." not in column.path_in_schema
        few = column.total_uncompressed_size < CODE * column.num_values
        if is_text and column.has_dictionary_page and few and column.path_in_schema in named:
            coded.append(column.path_in_schema)
    return coded


def _has_columns(path: Path, metadata: pq.FileMetaData) -> bool:
    """Return whether the metadata of the first row group is safe to read.

    On a damaged footer pyarrow ends the process; reading one row first detects that.
    """
    if not metadata.num_row_groups or metadata.row_group(0).num_columns != metadata.num_columns:
        return False
    try:
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            return any(part.num_rows for part in file.iter_batches(1, [0], use_threads=False))
    except FAULTS:
        return False  # read as it is, up to where it fails


def _readable(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
    """Return the batch and a mask of rows with invalid UTF-8, which Parquet does not check.

    Where there is such a row, dictionaries are decoded: they would keep the text of removed rows.
    """
    mask = np.zeros(batch.num_rows, dtype=bool)
    try:
        batch.validate(full=True)
        return batch, mask
    except pa.ArrowInvalid:
        pass
    coded = (pa.types.is_dictionary(column.type) for column in batch.columns)
    columns = [
        column.dictionary_decode() if is_coded else column
        for column, is_coded in zip(batch.columns, coded, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    steps = [(0, batch.num_rows)]
    while steps:
        start, end = steps.pop()
        try:
            pa.concat_batches([batch.slice(start, end - start)]).validate(full=True)
        except pa.ArrowInvalid:
            if end - start == 1:
                mask[start] = True
            else:
                middle = (start + end) // 2
                steps += [(start, middle), (middle, end)]
    return batch, mask


def _large(batch: pa.RecordBatch) -> Bools:
    """Return a mask of rows with a text longer than a record may be."""
    mask = np.zeros(batch.num_rows, dtype=bool)
    for column in batch.columns:
        texts = column.dictionary if pa.types.is_dictionary(column.type) else column
        if not (pa.types.is_string(texts.type) and len(texts)):
            continue
        if texts.get_total_buffer_size() <= RECORD:
            continue
        long = (values(pc.binary_length(texts)) > RECORD) & valid(texts)
        if not long.any():
            continue
        if texts is not column:
            long = long[np.where(valid(column), values(column.indices), 0)] & valid(column)
        mask |= long
    return mask


def _fitted(batch: pa.RecordBatch, field: pa.Field) -> tuple[pa.Array, Bools]:
    """Cast a column to the frozen type (dictionaries stay); also return a mask of misfits."""
    none = np.zeros(batch.num_rows, dtype=bool)
    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type), none
    column = batch.column(field.name)
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if plain == field.type:
        return column, none
    try:
        return column.cast(field.type), none
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    parts = []
    for row in range(len(column)):
        try:
            parts.append(column.slice(row, 1).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            parts.append(pa.nulls(1, field.type))
            none[row] = True
    return pa.concat_arrays(parts), none
