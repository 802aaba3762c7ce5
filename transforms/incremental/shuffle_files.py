"""Bucket files: how events cross the shuffle, as Arrow streams on some medium.

A file holds the events of one group of buckets. Dictionaries dominate the cost of a small piece.
So every coded column keeps one vocabulary over all batches (written once a file), and batches are
gathered before they are split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Ints, arrow, flat, valid, values
from rejse.transforms.columnar.customer_buckets import BUCKETS
from rejse.transforms.columnar.encoded_tables import concat, encode
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.shuffle_media import Draft, Medium, Piece, is_full, opened
from rejse.transforms.schema import contract as schema
from rejse.transforms.schema.contract import INTERACTIONS, Contract

#: Rows gathered before they are split into groups: memory against the number of pieces.
GATHERED = 131_072
#: A column with more distinct texts is written as plain text: pieces must not carry them all.
WIDE = 4_096
#: Type of written codes: half the width that the core reads, a third less to write. A vocabulary
#: stops growing long before it is full.
CODE = pa.int16()
#: Pieces are small: handing their columns to threads costs more than unpacking them.
WRITE = pa.ipc.IpcWriteOptions(compression="lz4", emit_dictionary_deltas=True, use_threads=False)
READ = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass
class _Vocabulary:
    """Texts of one coded column in the order of arrival; a text keeps its code."""

    wide: int
    codes_by_text: dict[str, int] = field(default_factory=dict)
    is_wide: bool = False
    _texts: pa.Array = field(default_factory=lambda: text([]))
    _seen: pa.Array = field(default_factory=lambda: text([]))
    _codes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def encode(self, column: pa.DictionaryArray) -> pa.Array:
        """Return the rows as codes of this vocabulary, or as plain text once it is too wide."""
        if self.is_wide or len(column.dictionary) > self.wide:
            self.is_wide = True
            return column.cast(pa.string())
        if not column.dictionary.equals(self._seen):
            names = column.dictionary.to_pylist()
            codes = [self.codes_by_text.setdefault(name, len(self.codes_by_text)) for name in names]
            self._seen, self._codes = column.dictionary, np.array(codes, np.int64)
            self.is_wide = len(self.codes_by_text) > self.wide
        if np.array_equal(self._codes, np.arange(len(self._codes))):
            return column.indices.cast(CODE)
        known = valid(column)
        rows = self._codes[np.where(known, values(column.indices), 0)]
        return arrow(rows, CODE, known)

    def decode(self, codes: pa.Array) -> pa.DictionaryArray:
        """Return codes as a dictionary array.

        The dictionary is one object until a new text arrives.
        """
        if len(self._texts) != len(self.codes_by_text):
            self._texts = text(list(self.codes_by_text))
        return pa.DictionaryArray.from_arrays(codes, self._texts)


class BucketFiles:
    """Writer of the bucket files of one bundle: `add` batches and take what is `full`, `close`."""

    def __init__(
        self, medium: Medium, groups: int, gathered: int = GATHERED, wide: int = WIDE
    ) -> None:
        self._medium, self._groups = medium, groups
        self._limit, self._wide = gathered, wide
        self._files: dict[tuple[int, str], tuple[Draft, Any]] = {}
        self._vocabularies: dict[str, _Vocabulary] = {}
        self._gathered: dict[str, list[pa.RecordBatch]] = {}
        self._rows = 0

    def add(self, events: pa.RecordBatch) -> None:
        """Gather the events of a batch (columns of `event_schema`)."""
        batch = self._encoded(events)
        self._gathered.setdefault(str(batch.schema), []).append(batch)
        self._rows += events.num_rows
        if self._rows >= self._limit:
            self._flush()

    def full(self) -> Iterator[tuple[int, Piece]]:
        """Finish all files where the medium wants to hold no more; yield (group, piece) of each."""
        if is_full(self._medium, (draft for draft, _ in self._files.values())):
            yield from self._finished()

    def close(self) -> Iterator[tuple[int, Piece]]:
        """Finish all files; yield (group, piece) of each."""
        self._flush()
        yield from self._finished()

    def _finished(self) -> Iterator[tuple[int, Piece]]:
        for (group, _), (draft, writer) in self._files.items():
            writer.close()
            yield group, draft.finish()
        self._files.clear()

    def _encoded(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Encode the coded columns of a batch, except the customer's, by their vocabularies."""
        arrays = []
        for name, column in zip(events.schema.names, events.columns, strict=True):
            if name != schema.CUSTOMER_KEY and pa.types.is_dictionary(column.type):
                column = self._vocabularies.setdefault(name, _Vocabulary(self._wide)).encode(column)
            arrays.append(column)
        return pa.RecordBatch.from_arrays(arrays, names=events.schema.names)

    def _flush(self) -> None:
        for shape, batches in self._gathered.items():
            table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
            for group, part in split_buckets(self._decoded(table), self._groups):
                self._write((group, shape), part)
        self._gathered.clear()
        self._rows = 0

    def _decoded(self, table: pa.Table) -> pa.RecordBatch:
        arrays = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            is_codes = name in self._vocabularies and pa.types.is_integer(column.type)
            arrays.append(
                self._vocabularies[name].decode(flat(column)) if is_codes else flat(column)
            )
        return pa.RecordBatch.from_arrays(arrays, names=table.column_names)

    def _write(self, key: tuple[int, str], part: pa.RecordBatch) -> None:
        if key not in self._files:
            draft = self._medium.begin(str(key[0]))
            self._files[key] = (draft, pa.ipc.new_stream(draft.out, part.schema, options=WRITE))
        self._files[key][1].write_batch(part)


def split_buckets(batch: pa.RecordBatch, groups: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Split a batch by group of buckets, sorted by customer; yield (group, rows).

    The bucket is a prefix of the customer key: in the order of keys each group is one slice, with a
    slice of the dictionary of customers.
    """
    customer = Categorical.of(batch.column(schema.CUSTOMER_KEY))
    by_key = values(pc.sort_indices(customer.names)).astype(np.int64)
    rank = np.empty(len(by_key), np.int64)
    rank[by_key] = np.arange(len(by_key))
    names = customer.names.take(arrow(by_key))
    codes = rank[customer.codes]
    order = sorted_by(codes)
    rows = arrow(order)
    columns = [pc.take(column, rows, boundscheck=False) for column in batch.columns]
    batch, codes = pa.RecordBatch.from_arrays(columns, schema=batch.schema), codes[order]
    group = values(batch.column(schema.BUCKET)).astype(np.int64) * groups // BUCKETS
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    at = batch.schema.get_field_index(schema.CUSTOMER_KEY)
    for start, stop in zip(starts, np.append(starts[1:], len(group)), strict=True):
        low, high = int(codes[start]), int(codes[stop - 1]) + 1
        part_keys = Categorical(
            (codes[start:stop] - low).astype(np.int32), names.slice(low, high - low)
        )
        part = batch.slice(start, stop - start)
        yield int(group[start]), part.set_column(at, batch.schema.field(at), part_keys.arrow())


def read(pieces: Iterable[Piece], contract: Contract = INTERACTIONS) -> pa.Table:
    """Read the rows of several bucket files; columns that a file lacks are null in its rows."""
    tables = []
    for piece in pieces:
        with opened(piece) as source:
            table = concat([pa.ipc.open_stream(source, options=READ).read_all()])
        tables.append(encode(_widened(table), contract))
    return tables[0] if len(tables) == 1 else concat(tables)


def _widened(table: pa.Table) -> pa.Table:
    """Widen codes to int32, which the core reads; every column is one chunk."""
    arrays = []
    for column in map(flat, table.columns):
        if pa.types.is_dictionary(column.type) and column.type.index_type == CODE:
            codes = column.indices.cast(pa.int32())
            column = pa.DictionaryArray.from_arrays(codes, column.dictionary)
        arrays.append(column)
    return pa.Table.from_arrays(arrays, table.column_names)
