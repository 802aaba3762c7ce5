"""Staging: the Parquet files that workers write before anything is committed.

Every file has a name of its own, so that a repeated or killed worker can neither replace nor
double what another wrote: only the commit (`store`) decides which files count. Small parts are
gathered into row groups, row groups into few large files: both cost by their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import checksums
from rejse.transforms.columnar import string_arrays
from rejse.transforms.columnar.arrays import Bools, arrow, valid, values
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.errors import RejseError
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.incremental import input_kinds, merge_customers, merge_rows
from rejse.transforms.incremental.merge_customers import EXCLUDED
from rejse.transforms.incremental.revisions import SUPERSEDED
from rejse.transforms.schema import contract
from rejse.transforms.schema.registry import Table
from rejse.transforms.scoring.output_tables import REJECTS, STAMP
from rejse.transforms.scoring.pending import PENDING

LIVE = "_live"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Rows gathered into a row group at least, where a worker has them; about as many it has at most.
GATHERED, ROW_GROUP = 16_384, 32_768
#: Bytes gathered into a row group at most: a worker has some thirty unfinished files.
HELD = 3 << 19
#: Rows after which a file is finished and the next one begun: an open one holds all its metadata.
FILE = 262_144
ZSTD_LEVEL = 1
#: Of an int32, by which a row tells its value in a dictionary.
CODE_BYTES = 4
#: Rows of a column that are looked at before it is asked whether all values were seen.
LOOK = 4_096
#: Names of the columns of a stamp.
STAMPED = frozenset(column.name for column in STAMP)
#: Columns by which readers skip row groups; statistics of the others cost time for nothing.
PRUNING = ("customer_key", "journey_id", "time", "started_at", "occurred_at")
EVENT_GRAIN = "accepted interaction, canonical and pseudonymous"
ANSWER_GRAIN = "accepted X-record, canonical and pseudonymous, without its text"
#: Tables that increments are built on.
KEEPING = {table.name: table for table in (PENDING, SUPERSEDED, EXCLUDED)}


class StageError(RejseError):
    """A table does not have the columns that its declaration promises."""


@dataclass(frozen=True)
class StagedFile:
    """A written, not yet committed file; `path` is relative to the store, with `/`."""

    table: str
    path: str
    rows: int
    bytes: int


def write(store: Path, name: str, table: pa.Table) -> StagedFile | None:
    """Write `table` as a new file of the store's table `name`; None where it has no rows.

    Columns keep their order; declared ones get description and unit in the Parquet metadata.
    Raises StageError where a declared column came with another type.
    """
    stage = Stage(store)
    files = [*stage.add(name, table), *stage.close()]
    return files[0] if files else None


class Stage:
    """What one worker stages: `add` tables as they come, then `close`; both give finished files."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._files: dict[str, list[_File]] = {}

    def add(self, name: str, table: pa.Table) -> Iterator[StagedFile]:
        """Take rows of the store's table `name`. Raises StageError as `write` does."""
        if table.num_rows == 0:
            return
        files = self._files.setdefault(name, [])
        file = next((one for one in files if one.takes(table)), None)
        if file is None:
            file = _File(self._store, name, table.schema)
            files.append(file)
        file.add(table)
        if file.rows >= FILE:
            files.remove(file)
            yield file.close()

    def close(self) -> Iterator[StagedFile]:
        """Finish every file."""
        for files in self._files.values():
            while files:
                yield files.pop().close()


class _File:
    """An unfinished file: its writer, and rows that do not fill a row group yet."""

    def __init__(self, store: Path, table: str, came: pa.Schema) -> None:
        self.table, self.rows = table, 0
        self._came, self._schema = came, _promised(table, came)
        self._held: list[pa.Table] = []
        self._bytes = 0
        self._target = store / table / checksums.unfinished()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if table.removesuffix(LIVE) in x_tables.PRIVATE:
            mode = file_modes.file(file_modes.of(store))
            self._target.touch(mode)  # the writer opens what is there and leaves its mode
        self._writer = pq.ParquetWriter(
            self._target,
            self._schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=_repeating(self._schema),
            write_batch_size=ROW_GROUP,  # by the thousand, as is usual, costs a twentieth more
            write_statistics=[c for c in PRUNING if c in self._schema.names],
        )

    def takes(self, rows: pa.Table) -> bool:
        """Whether the rows have this file's columns; those that came first are soon known."""
        if self._came.equals(rows.schema, check_metadata=True):
            return True
        return bool(_promised(self.table, rows.schema).equals(self._schema, check_metadata=True))

    def add(self, rows: pa.Table) -> None:
        """Take such rows; declared columns get their descriptions, no value is touched."""
        self._held.append(pa.Table.from_arrays(rows.columns, schema=self._schema))
        self.rows += rows.num_rows
        self._bytes += _own_bytes(rows)
        if self._bytes >= HELD or sum(held.num_rows for held in self._held) >= GATHERED:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            whole = without_spares(pa.concat_tables(self._held).unify_dictionaries())
            parts = max(1, round(whole.num_rows / ROW_GROUP))  # of one size: small ones cost
            self._writer.write_table(whole, row_group_size=-(-whole.num_rows // parts))
            self._held.clear()
            self._bytes = 0

    def close(self) -> StagedFile:
        """Finish the file, and give it the name that tells its checksum."""
        self._flush()
        self._writer.close()
        read_only(self._target)
        done = self._target.rename(self._target.with_name(checksums.name(self._target)))
        return StagedFile(self.table, f"{self.table}/{done.name}", self.rows, done.stat().st_size)


def read_only(file: Path) -> None:
    """Take the right to write a finished file of the store away, from its owner too: it is never
    written again, only removed.
    """
    file.chmod(file.stat().st_mode & ~0o222)


def _own_bytes(rows: pa.Table) -> int:
    """Bytes of the rows but for their dictionaries, which other columns and tables share."""
    coded = [pa.types.is_dictionary(kind) for kind in rows.schema.types]
    plain = sum(c.nbytes for c, is_so in zip(rows.columns, coded, strict=True) if not is_so)
    return int(plain + CODE_BYTES * sum(coded) * rows.num_rows)


def without_spares(rows: pa.Table) -> pa.Table:
    """The rows, whose dictionaries are unified, with those values in them that the rows have.

    Parquet stores a dictionary as it is: values of rows that were filtered out (another customer's
    key, a text past its time) would stay in the file.
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
    """Which of the `n` values of their dictionary the rows have; of few values soon all."""
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
    """Add the columns that every published row carries, constant over a run (all `first`); those
    that rows bring along (of an earlier run, or of a revision) stay.
    """
    moment = (known_at - EPOCH) // timedelta(microseconds=1)
    values: tuple[int | str, ...] = (moment, 1, "first", config_version, run_id)
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
    """One value repeated: some of the rows that were made of it once."""
    return _repeated(value, kind, 1 << (rows - 1).bit_length()).slice(0, rows)


@lru_cache(maxsize=64)
def _repeated(value: int | str, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(value, str):
        return string_arrays.constant(value, rows)
    return pa.repeat(pa.scalar(value, kind), rows)


@cache
def declared(name: str) -> pa.Schema | None:
    """Schema that table `name` (or the table whose `_live` twin it is) declares; None: free.

    Derived rows carry their stamp; events, records, operational tables and rejects carry none.
    """
    plain = name.removesuffix(LIVE)
    if plain in (merge_customers.EVENTS, merge_customers.LATE):
        more = [merge_rows.LATENESS] if plain == merge_customers.LATE else []
        return pa.schema([*contract.event_schema(), *more], {"grain": EVENT_GRAIN})
    if plain == merge_customers.ANSWERS:
        fields = [f for f in EXPERIENCE.pseudonymous() if f.name != merge_customers.TEXT_COLUMN]
        return pa.schema(fields, {"grain": ANSWER_GRAIN})
    if plain in KEEPING:
        return KEEPING[plain].schema
    if plain == REJECTS.name:
        return REJECTS.schema
    given = input_kinds.joined().get(plain)
    if given is not None:
        return given.schema
    found: Table | None = x_tables.all_tables().get(plain)
    if found is None:
        return None
    fields = [*found.schema, *(column.arrow for column in STAMP)]
    return pa.schema(fields, metadata=found.schema.metadata)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text, plain or dictionary-encoded."""
    return bool(pa.types.is_string(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _promised(name: str, came: pa.Schema) -> pa.Schema:
    """The schema that came, with the declared descriptions."""
    promise = declared(name)
    if promise is None:
        return came
    fields = []
    for field in came:
        if field.name in promise.names:
            wanted = promise.field(field.name)
            same = field.type == wanted.type or (is_text(field.type) and is_text(wanted.type))
            if not same:
                raise StageError(
                    f"table {name}, column {field.name}: expected {wanted.type}, got "
                    f"{field.type}; cast it where it is made"
                )
            field = field.with_metadata(wanted.metadata)
        # Nulls are the audit's matter: a required Parquet column with a null is a broken file.
        fields.append(field.with_nullable(True))
    return pa.schema(fields, promise.metadata)


def _repeating(columns: pa.Schema) -> list[str]:
    """Columns worth a dictionary: texts whose values repeat, not ids, amounts or times."""
    return [
        field.name
        for field in columns
        if pa.types.is_dictionary(field.type)
        or (pa.types.is_string(field.type) and not _is_id(field.name))
    ]


def _is_id(column: str) -> bool:
    """Whether nearly every row has a value of its own (a dictionary would only cost time)."""
    named = ("id", "position", "detail", "correlationid", "causationid")
    return column in named or column.endswith(("_id", "_hmac", "_step"))


def stage_dimensions(store: Path, data: Operational) -> list[StagedFile]:
    """Stage the operational tables that the installation has, as they were joined."""
    from rejse.transforms.dimensions.published import tables

    files = [write(store, name, data.table(name)) for name in tables() if data.has(name)]
    return [file for file in files if file is not None]
