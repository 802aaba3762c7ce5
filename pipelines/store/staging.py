"""Staging: the Parquet files that workers write before a commit.

Every file has a unique name, so that a repeated or killed worker neither replaces nor duplicates
what another wrote: only the commit (`delta_store`) decides which files count. Small parts are
gathered into row groups, row groups into few large files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import checksums
from rejse.pipelines.store.staged_file import LAST_KEY, StagedFile
from rejse.transforms import published_tables
from rejse.transforms.columnar import string_arrays
from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.errors import RejseError
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.moments import micros
from rejse.transforms.scoring.output_tables import STAMP

#: Least rows of a row group, where a worker has them, and about the most.
GATHERED, ROW_GROUP = 8_192, 16_384
#: Most bytes of a row group: a worker has some thirty unfinished files.
HELD = 3 << 19
#: Rows after which a file is finished: an open file holds all its metadata in memory. One of live
#: rows is a part of its table that is written anew whenever a customer in it is scored.
FILE, LIVE_FILE = 262_144, 3_072
ZSTD_LEVEL = 1
#: Bytes of an int32, the index of a value in a dictionary.
CODE_BYTES = 4
#: Digits of the keys that a table's log has of the first and the last customer of a file: a log
#: outlives rows, so it must not name a customer.
KEY_DIGITS = 3
#: Rows of a column between two checks whether all values were seen.
LOOK = 4_096
#: Names of the columns `STAMP`.
STAMPED = frozenset(column.name for column in STAMP)
#: Columns with statistics, by which readers skip row groups; those of others only cost time.
PRUNING = (CUSTOMER_KEY, "journey_id", "time", "started_at", "occurred_at")


class StageError(RejseError):
    """A table lacks the columns or types of its declaration."""


def full(name: str) -> int:
    """Return after how many rows a file of the store's table `name` is finished."""
    is_live = published_tables.find(name) is not None and published_tables.is_live(name)
    return LIVE_FILE if is_live else FILE


def write(store: Path, name: str, table: pa.Table) -> StagedFile | None:
    """Write `table` as a new file of the store's table `name`; None where it has no rows.

    Columns keep their order; declared ones get description and unit in the Parquet metadata. Raises
    StageError where a declared column has another type.
    """
    if table.num_rows == 0:
        return None
    file = _File(store, name, table.schema)
    file.add(table)
    return file.close()


class Stage:
    """Files that one worker stages: `add` tables, then `close`; both yield finished files."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._files: dict[str, list[_File]] = {}

    def add(self, name: str, table: pa.Table) -> Iterator[StagedFile]:
        """Take rows of the store's table `name`. Raises StageError as `write` does."""
        n_files = max(1, round(table.num_rows / full(name)))
        size = max(1, -(-table.num_rows // n_files))
        for start in range(0, table.num_rows, size):
            part = table.slice(start, size)
            files = self._files.setdefault(name, [])
            file = next((open_file for open_file in files if open_file.takes(part)), None)
            if file is None:
                file = _File(self._store, name, part.schema)
                files.append(file)
            file.add(part)
            if file.rows >= full(name):
                files.remove(file)
                yield file.close()

    def close(self) -> Iterator[StagedFile]:
        """Finish every file."""
        for files in self._files.values():
            while files:
                yield files.pop().close()


class _File:
    """An unfinished file: its writer, and rows that do not fill a row group yet."""

    def __init__(self, store: Path, table: str, received: pa.Schema) -> None:
        self.table, self.rows = table, 0
        self._received, self._schema = received, _declared(table, received)
        self._held: list[pa.Table] = []
        self._bytes = 0
        self._keys: list[str] = []
        self._target = store / table / checksums.unfinished()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if table in published_tables.private():
            mode = file_modes.file(file_modes.of(store))
            self._target.touch(mode)  # the writer opens what is there and leaves its mode
        self._writer = pq.ParquetWriter(
            self._target,
            self._schema,
            **_encodings(self._schema),
            write_batch_size=ROW_GROUP,  # by the thousand, as is usual, costs a twentieth more
            write_statistics=[c for c in PRUNING if c in self._schema.names],
        )

    def takes(self, rows: pa.Table) -> bool:
        """Return whether the rows have this file's columns."""
        if self._received.equals(rows.schema, check_metadata=True):
            return True
        return bool(_declared(self.table, rows.schema).equals(self._schema, check_metadata=True))

    def add(self, rows: pa.Table) -> None:
        """Take such rows; declared columns get their descriptions."""
        self._held.append(pa.Table.from_arrays(rows.columns, schema=self._schema))
        self.rows += rows.num_rows
        self._bytes += _own_bytes(rows)
        if self._bytes >= HELD or sum(held.num_rows for held in self._held) >= GATHERED:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            whole = self._by_customer(pa.concat_tables(self._held).unify_dictionaries())
            whole = without_spares(whole)
            parts = max(1, round(whole.num_rows / ROW_GROUP))  # of one size: small ones cost
            self._writer.write_table(whole, row_group_size=-(-whole.num_rows // parts))
            self._held.clear()
            self._bytes = 0

    def _by_customer(self, rows: pa.Table) -> pa.Table:
        """Return the rows by customer, whose own rows stay in their order; note the keys."""
        if CUSTOMER_KEY not in rows.column_names:
            return rows
        key = Categorical.of(rows.column(CUSTOMER_KEY))
        order = values(pc.sort_indices(key.names)).astype(np.int64)
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        place = place[key.codes]
        ends = (key.names[order[at]].as_py() for at in (place.min(), place.max()))
        self._keys += (end[:KEY_DIGITS] for end in ends)
        if (place[1:] >= place[:-1]).all():
            return rows
        return rows.take(arrow(np.argsort(place, kind="stable"), pa.int64()))

    def close(self) -> StagedFile:
        """Finish the file and give it a name that records its checksum."""
        self._flush()
        self._writer.close()
        file_modes.read_only(self._target)
        done = self._target.rename(self._target.with_name(checksums.name(self._target)))
        keys = (min(self._keys), max(self._keys) + LAST_KEY) if self._keys else ()
        return StagedFile(
            self.table, f"{self.table}/{done.name}", self.rows, done.stat().st_size, *keys
        )


def _own_bytes(rows: pa.Table) -> int:
    """Return bytes of the rows without their dictionaries, which other columns share."""
    coded = [pa.types.is_dictionary(kind) for kind in rows.schema.types]
    plain = sum(c.nbytes for c, is_so in zip(rows.columns, coded, strict=True) if not is_so)
    return int(plain + CODE_BYTES * sum(coded) * rows.num_rows)


def without_spares(rows: pa.Table) -> pa.Table:
    """Return the rows with only those dictionary values that they use.

    Dictionaries must be unified. Parquet stores a dictionary as it is: values of rows that were
    filtered out (another customer's key, an expired text) would stay in the file.
    """
    columns = [
        _spared(column) if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _spared(column: pa.ChunkedArray) -> pa.ChunkedArray:
    dictionary = column.chunk(0).dictionary
    used = _used(column.chunks, len(dictionary))
    if used.all():
        return column
    places = np.append(np.cumsum(used) - 1, 0).astype(np.int32)  # null rows hold anything
    kept, parts = dictionary.filter(arrow(used)), []
    for part in column.chunks:
        ok = valid(part.indices) if part.null_count else None
        codes = values(part.indices) if ok is None else np.where(ok, values(part.indices), -1)
        indices = arrow(np.take(places, codes), pa.int32(), ok)
        parts.append(pa.DictionaryArray.from_arrays(indices, kept))
    return pa.chunked_array(parts, column.type)


def _used(parts: Sequence[pa.DictionaryArray], n: int) -> Bools:
    """Return which of the `n` values of their dictionary the rows use (bool a value)."""
    used = np.zeros(n, bool)
    for part in parts:
        codes, known = values(part.indices), valid(part.indices) if part.null_count else None
        for at in range(0, len(codes), LOOK):
            some = codes[at : at + LOOK]
            used[some if known is None else some[known[at : at + LOOK]]] = True
            if used.all():
                return used
    return used


def stamped(table: pa.Table, run_id: str, config_version: str, known_at: datetime) -> pa.Table:
    """Add the columns `STAMP`, constant over a run and revision `first`.

    Values that the rows already have (of an earlier run, or of a revision) stay.
    """
    values: tuple[int | str, ...] = (micros(known_at), 1, "first", config_version, run_id)
    columns = dict(zip(table.schema, table.columns, strict=True))
    brought = {field.name: columns.pop(field) for field in table.schema if field.name in STAMPED}
    for column, value in zip(STAMP, values, strict=True):
        made, given = _constant(value, column.type, table.num_rows), brought.get(column.name)
        if given is not None:
            made = pc.coalesce(given, made.cast(given.type))
        columns[pa.field(column.name, made.type)] = made
    shape = pa.schema(list(columns), table.schema.metadata)
    return pa.Table.from_arrays(list(columns.values()), schema=shape)


def _constant(value: int | str, kind: pa.DataType, rows: int) -> pa.Array:
    """Return one value repeated, as a slice of a cached array."""
    return _repeated(value, kind, 1 << (rows - 1).bit_length()).slice(0, rows)


@lru_cache(maxsize=64)
def _repeated(value: int | str, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(value, str):
        return string_arrays.constant(value, rows)
    return pa.repeat(pa.scalar(value, kind), rows)


def is_text(kind: pa.DataType) -> bool:
    """Return whether values are text, plain or dictionary-encoded."""
    return bool(pa.types.is_string(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _declared(name: str, received: pa.Schema) -> pa.Schema:
    """Return the received schema with the declared descriptions. Raises StageError."""
    if published_tables.find(name) is None:  # a file of the run's own, in its scratch folder
        return received
    declared, fields = published_tables.schema(name), []
    for field in received:
        if field.name in declared.names:
            wanted = declared.field(field.name)
            same = field.type == wanted.type or (is_text(field.type) and is_text(wanted.type))
            if not same:
                raise StageError(
                    f"table {name}, column {field.name}: expected {wanted.type}, got "
                    f"{field.type}; cast it where it is made"
                )
            field = field.with_metadata(wanted.metadata)
        # Nulls are the audit's matter: a required Parquet column with a null is a broken file.
        fields.append(field.with_nullable(True))
    return pa.schema(fields, declared.metadata)


def _encodings(columns: pa.Schema) -> dict[str, Any]:
    """Return how the writer encodes and compresses each column.

    Whole numbers and times are the differences of neighbours: smaller than zstd makes the plain
    values, at half its cost. What is packed into bits, as they are and codes, zstd makes little
    smaller. It is worth its cost for texts, real numbers and dictionaries of keys.
    """
    leaves = dict(leaf for field in columns for leaf in _leaves(field.name, field.type))
    whole = [path for path, kind in leaves.items() if _is_whole(kind)]
    coded = _repeating(columns)
    packed = {*whole, *(path for path, kind in leaves.items() if pa.types.is_boolean(kind))}
    packed |= {name for name in coded if name != CUSTOMER_KEY and not _is_id(name)}
    return {
        "use_dictionary": coded,
        "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        "compression": {path: "none" if path in packed else "zstd" for path in leaves},
        "compression_level": dict.fromkeys(leaves.keys() - packed, ZSTD_LEVEL),
    }


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the Parquet columns of an Arrow column, with their types."""
    if pa.types.is_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_struct(kind):
        for part in kind:
            yield from _leaves(f"{path}.{part.name}", part.type)
    else:
        yield path, kind


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_temporal(kind))


def _repeating(columns: pa.Schema) -> list[str]:
    """List the columns worth a dictionary: texts with repeating values, not ids or times."""
    return [
        field.name
        for field in columns
        if pa.types.is_dictionary(field.type)
        or (pa.types.is_string(field.type) and not _is_id(field.name))
    ]


def _is_id(column: str) -> bool:
    """Return whether nearly every row has its own value (a dictionary only costs time)."""
    named = ("id", "position", "detail", "correlationid", "causationid")
    return column in named or column.endswith(("_id", "_hmac", "_step"))


def stage_dimensions(store: Path, data: Operational) -> list[StagedFile]:
    """Stage the operational tables that the installation has, as they were joined."""
    tables = published_tables.TABLES.values()
    names = [table.name for table in tables if table.lifecycle == "snapshot"]
    files = [write(store, name, data.table(name)) for name in names if data.has(name)]
    return [file for file in files if file is not None]
