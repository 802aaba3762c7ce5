"""Compaction: small files of a table joined, and rows past their retention left out.

The result is a new publication with the old one's sources, frontiers and configuration; whoever
reads an earlier one goes on reading its files, which `vacuum` removes when nobody may any more.
Memory follows one file's rows, not the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.config import retention
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import parquet_files, private_texts, staging
from rejse.pipelines.store.key_index import KEY
from rejse.pipelines.store.staging import StagedFile
from rejse.pipelines.store.state_reader import PublishedTables, plain
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.incremental import input_kinds, merge_customers
from rejse.transforms.scoring.output_tables import REJECTS

#: A file with fewer rows is small: two of them fit into one.
SMALL = staging.FILE // 2
#: Total order of events; other tables are ordered by customer and key.
EVENT_ORDER = ("customer_key", "time", "source", "sequence", "id")


@dataclass(frozen=True)
class Rewritten:
    """Files of a table before and after, and rows that were past their retention."""

    files_before: int
    files_after: int
    rows_dropped: int


@dataclass(frozen=True)
class Compacted:
    """What a compaction did; without tables there was nothing to do."""

    status: Literal["published", "nothing_new"]
    publication: int
    tables: Mapping[str, Rewritten] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    """A committed file: path relative to the store, rows, least customer key."""

    path: str
    rows: int
    first: str


@dataclass(frozen=True)
class _Change:
    """Files of one table after others were rewritten, and rows that were not."""

    files: tuple[StagedFile, ...]
    rows_dropped: int


def compact(store: Path, since: Mapping[str, int] | None = None) -> Compacted:
    """Join small files and leave out final rows from before `since` (table -> microseconds).

    Raises NotPublishedError where there is no publication, AnotherWriter while a run is at work.
    """
    with publish.writing(store) as writer, private_texts.accounted(store):
        base = writer.base
        if base is None:
            raise catalogue.NotPublishedError(
                f"expected a publication in {store}, found none; `rejse run` makes the first one"
            )
        named = {name: storage.named(store, name, at) for name, at in base.versions.items()}
        changes = dict(_changes(store, named, since or {}))
        if not changes:
            return Compacted("nothing_new", base.number)
        draft = replace(base, number=base.number + 1, published_at=storage.after(base))
        versions = {
            name: publish.settled(store, name, change.files, draft)
            for name, change in changes.items()
        }
        dropped = {name: base.rows.get(name, 0) - c.rows_dropped for name, c in changes.items()}
        done = replace(draft, versions={**base.versions, **versions}, rows={**base.rows, **dropped})
        told = {
            name: Rewritten(len(named[name]), len(c.files), c.rows_dropped)
            for name, c in changes.items()
        }
        after = named | {name: list(change.files) for name, change in changes.items()}
        paths = {name: [file.path for file in files] for name, files in after.items()}
        publish.announce(writer, done, paths)
        return Compacted("published", done.number, told)


def _changes(
    store: Path, named: Mapping[str, Sequence[StagedFile]], since: Mapping[str, int]
) -> Iterator[tuple[str, _Change]]:
    """What is to be rewritten, table by table; the new files are staged."""
    keeping = _Keeping(store, named, since, _ended(store, named, since))
    for name, given in named.items():
        looked = (_looked(store, file.path) for file in given)
        files = sorted(looked, key=lambda f: (f.first, f.path))
        stale = {f.path for f in files if keeping.drops(name, f)}
        groups = [g for g in _bins(files, stale) if len(g) > 1 or g[0].path in stale]
        if not groups:
            continue
        writer, added, dropped = staging.Stage(store), [], 0
        for group in groups:
            rows = joined(store, name, [file.path for file in group])
            if name in since:
                rows = rows.filter(keeping.keeps(name, rows))
            dropped += sum(file.rows for file in group) - rows.num_rows
            added += [*writer.add(name, rows), *writer.close()]
        removed = {file.path for group in groups for file in group}
        after = [*(file for file in given if file.path not in removed), *added]
        yield name, _Change(tuple(sorted(after, key=lambda f: f.path)), dropped)


def _looked(store: Path, path: str) -> _File:
    """A file with its rows and, where its statistics say it, its least customer key."""
    about = parquet_files.metadata(store / path)
    names = [about.schema.column(i).path for i in range(about.num_columns)]
    if "customer_key" not in names or not about.num_row_groups:
        return _File(path, about.num_rows, "")
    found = about.row_group(0).column(names.index("customer_key")).statistics
    first = str(found.min) if found is not None and found.has_min_max else ""
    return _File(path, about.num_rows, first)


def _bins(files: Sequence[_File], stale: set[str]) -> Iterator[list[_File]]:
    """Files that become one: neighbours that are small or lose rows, up to a full file."""
    held: list[_File] = []
    for file in files:
        if file.rows >= SMALL and file.path not in stale:
            continue
        if held and sum(one.rows for one in held) + file.rows > staging.FILE:
            yield held
            held = []
        held.append(file)
    if held:
        yield held


def _ended(
    store: Path, named: Mapping[str, Sequence[StagedFile]], since: Mapping[str, int]
) -> pa.Table:
    """Ends of the journeys before the latest time from which anything is kept with them."""
    latest = max((since[name] for name in retention.OF_JOURNEY if name in since), default=None)
    shape = pa.schema({"journey_id": pa.string(), "ended_at": pa.timestamp("us", "UTC")})
    if latest is None:
        return shape.empty_table()
    start = pa.scalar(latest, pa.int64()).cast(shape.field("ended_at").type)
    parts = [shape.empty_table()]
    for file in named.get(retention.JOURNEYS, ()):
        rows = parquet_files.rows(store / file.path, ["journey_id", "ended_at", "is_final"])
        ends = retention.ends(rows).cast(shape)
        parts.append(ends.filter(pc.less(ends.column("ended_at"), start)))
    return pa.concat_tables(parts)


@dataclass(frozen=True)
class _Keeping:
    """What is kept of the tables of a publication: files by table, times from which rows are kept,
    ends of the journeys before the latest of these.
    """

    store: Path
    named: Mapping[str, Sequence[StagedFile]]
    since: Mapping[str, int]
    ended: pa.Table

    def drops(self, name: str, file: _File) -> bool:
        """Whether a file holds a row that is past its retention."""
        if name not in self.since:
            return False
        keys = [KEY] if name == merge_customers.EVENTS else []
        rows = parquet_files.rows(self.store / file.path, [*retention.needed(name), *keys])
        return not pc.all(self.keeps(name, rows), min_count=0).as_py()

    def keeps(self, name: str, rows: pa.Table) -> pa.ChunkedArray:
        """Which rows of a table are kept; of events also those of whose customer a journey is."""
        stays = retention.keeps(name, rows, self.since, self.ended)
        if name != merge_customers.EVENTS or pc.all(stays, min_count=0).as_py():
            return stays
        who = pc.unique(rows.filter(pc.invert(stays)).column(KEY).cast(pa.string()))
        return pc.or_(stays, retention.reach(rows, self._began(who.sort())))

    def _began(self, customers: pa.Array) -> pa.Table:
        """When journeys of some customers that are kept or open, and their steps, began."""
        files = {name: [file.path for file in some] for name, some in self.named.items()}
        history = PublishedTables(self.store, files)
        shape = pa.schema({KEY: pa.string(), "started_at": pa.timestamp("us", "UTC")})
        parts = [shape.empty_table()]
        for name in (retention.JOURNEYS, "steps"):
            for table in (name, name + staging.LIVE):
                is_dated = table in self.since
                wanted = [*shape.names, *(retention.needed(table) if is_dated else ())]
                rows = history.rows(table, customers, wanted)
                if rows is None:
                    continue
                if is_dated:
                    rows = rows.filter(retention.keeps(table, rows, self.since, self.ended))
                parts.append(rows.select(shape.names).cast(shape))
        return pa.concat_tables(parts)


def joined(store: Path, name: str, paths: Sequence[str]) -> pa.Table:
    """Rows of several files of one table, ordered by customer, then by event order or key."""
    parts = [storage.read(store / path) for path in paths]
    if len({part.schema.remove_metadata() for part in parts}) > 1:
        parts = [plain(part) for part in parts]
    rows = pa.concat_tables(
        [part.replace_schema_metadata(None) for part in parts], promote_options="default"
    ).unify_dictionaries()
    by = [column for column in order(name) if column in rows.column_names]
    if not by or rows.num_rows < 2:
        return rows
    keys = plain(rows.select(by))
    return rows.take(pc.sort_indices(keys, sort_keys=[(column, "ascending") for column in by]))


def order(name: str) -> tuple[str, ...]:
    """Columns by which the rows of a table lie."""
    base = name.removesuffix(staging.LIVE)
    if base in (merge_customers.EVENTS, merge_customers.LATE, merge_customers.ANSWERS):
        return EVENT_ORDER
    declared = {**x_tables.all_tables(), **input_kinds.joined(), **staging.KEEPING}.get(base)
    key = declared.key if declared else REJECTS.key
    return tuple(dict.fromkeys(("customer_key", "journey_id", *key)))
