"""Compaction: join small files of a table and drop rows past their retention.

The result is a new publication with sources, watermarks and configuration of the previous one.
Readers of an earlier publication keep its files until `vacuum` removes them. Memory follows the
rows of one file, not of the table.
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
from rejse.pipelines.store.join_files import merged_rows
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import PublishedTables
from rejse.transforms import published_tables
from rejse.transforms.incremental.merge_customers import EVENTS
from rejse.transforms.schema.contract import CUSTOMER_KEY


@dataclass(frozen=True)
class Rewritten:
    """Files of a table before and after, and rows dropped by retention."""

    files_before: int
    files_after: int
    rows_dropped: int


@dataclass(frozen=True)
class Compacted:
    """Result of a compaction; without tables there was nothing to do."""

    status: Literal["published", "nothing_new"]
    publication: int
    tables: Mapping[str, Rewritten] = field(default_factory=dict)


@dataclass(frozen=True)
class _Change:
    """Files of one table after the compaction, and the number of dropped rows."""

    files: tuple[StagedFile, ...]
    rows_dropped: int


def compact(store: Path, since: Mapping[str, int] | None = None) -> Compacted:
    """Join small files and drop final rows from before `since` (table -> microseconds).

    Raises NotPublishedError where there is no publication, AnotherWriter while a run holds the
    store.
    """
    with publish.writing(store) as writer, private_texts.accounted(store):
        previous = writer.previous
        if previous is None:
            raise catalogue.none_published(store)
        files = {name: storage.named(store, name, at) for name, at in previous.versions.items()}
        changes = dict(_changes(store, files, since or {}))
        if not changes:
            return Compacted("nothing_new", previous.number)
        publication = replace(
            previous, number=previous.number + 1, published_at=storage.after(previous)
        )
        versions = {
            name: publish.commit_table(store, name, change.files, publication)
            for name, change in changes.items()
        }
        rows = {name: previous.rows.get(name, 0) - c.rows_dropped for name, c in changes.items()}
        done = replace(
            publication, versions={**previous.versions, **versions}, rows={**previous.rows, **rows}
        )
        rewritten = {
            name: Rewritten(len(files[name]), len(c.files), c.rows_dropped)
            for name, c in changes.items()
        }
        after = files | {name: list(change.files) for name, change in changes.items()}
        paths = {name: [file.path for file in files] for name, files in after.items()}
        publish.announce(writer, done, paths)
        return Compacted("published", done.number, rewritten)


def _changes(
    store: Path, files: Mapping[str, Sequence[StagedFile]], since: Mapping[str, int]
) -> Iterator[tuple[str, _Change]]:
    """Yield each table to rewrite with its files; new files are staged."""
    retained = _Retention(store, files, since, _journey_ends(store, files, since))
    for name, table_files in files.items():
        for file in table_files:
            parquet_files.metadata(store / file.path)  # a damaged one is named, joined or not
        ordered = sorted(table_files, key=lambda f: (f.first, f.path))
        stale = {f.path for f in ordered if retained.drops(name, f)}
        bins = _bins(ordered, stale, staging.full(name))
        groups = [g for g in bins if len(g) > 1 or g[0].path in stale]
        if not groups:
            continue
        writer, added, dropped = staging.Stage(store), [], 0
        for group in groups:
            rows = merged_rows(store, name, [file.path for file in group])
            if name in since:
                rows = rows.filter(retained.keeps(name, rows))
            dropped += sum(file.rows for file in group) - rows.num_rows
            added += [*writer.add(name, rows), *writer.close()]
        removed = {file.path for group in groups for file in group}
        after = [*(file for file in table_files if file.path not in removed), *added]
        yield name, _Change(tuple(sorted(after, key=lambda f: f.path)), dropped)


def _bins(files: Sequence[StagedFile], stale: set[str], full: int) -> Iterator[list[StagedFile]]:
    """Yield groups of neighbouring files that are small or lose rows, up to a full file."""
    gathered: list[StagedFile] = []
    for file in files:
        if file.rows >= full // 2 and file.path not in stale:  # two smaller ones fit into one
            continue
        if gathered and sum(file_.rows for file_ in gathered) + file.rows > full:
            yield gathered
            gathered = []
        gathered.append(file)
    if gathered:
        yield gathered


def _journey_ends(
    store: Path, files: Mapping[str, Sequence[StagedFile]], since: Mapping[str, int]
) -> pa.Table:
    """Return ends of final journeys before the latest `since` of tables that follow them."""
    latest = max((since[name] for name in since if retention.is_of_journey(name)), default=None)
    shape = pa.schema({"journey_id": pa.string(), "ended_at": pa.timestamp("us", "UTC")})
    if latest is None:
        return shape.empty_table()
    start = pa.scalar(latest, pa.int64()).cast(shape.field("ended_at").type)
    parts = [shape.empty_table()]
    for file in files.get(retention.JOURNEYS, ()):
        rows = parquet_files.rows(store / file.path, ["journey_id", "ended_at", "is_final"])
        ends = retention.ends(rows).cast(shape)
        parts.append(ends.filter(pc.less(ends.column("ended_at"), start)))
    return pa.concat_tables(parts)


@dataclass(frozen=True)
class _Retention:
    """Retention of a publication's tables.

    Attributes:
        named: files by table.
        since: time in microseconds from which rows are kept, by table.
        ended: ends of the journeys before the latest of these times.
    """

    store: Path
    named: Mapping[str, Sequence[StagedFile]]
    since: Mapping[str, int]
    ended: pa.Table

    def drops(self, name: str, file: StagedFile) -> bool:
        """Return whether a file holds a row past its retention."""
        if name not in self.since:
            return False
        keys = [CUSTOMER_KEY] if name == EVENTS else []
        rows = parquet_files.rows(self.store / file.path, [retention.needed(name), *keys])
        return not pc.all(self.keeps(name, rows), min_count=0).as_py()

    def keeps(self, name: str, rows: pa.Table) -> pa.ChunkedArray:
        """Return which rows of a table are kept (bool a row).

        Events are kept, too, from the start of the first kept or open journey of their customer.
        """
        is_kept = retention.keeps(name, rows, self.since, self.ended)
        if name != EVENTS or pc.all(is_kept, min_count=0).as_py():
            return is_kept
        customers = pc.unique(
            rows.filter(pc.invert(is_kept)).column(CUSTOMER_KEY).cast(pa.string())
        )
        return pc.or_(is_kept, retention.reach(rows, self._began(customers.sort())))

    def _began(self, customers: pa.Array) -> pa.Table:
        """Return starts of kept or open journeys, and of their steps, of some customers."""
        published = PublishedTables(self.store, self.named)
        shape = pa.schema({CUSTOMER_KEY: pa.string(), "started_at": pa.timestamp("us", "UTC")})
        parts = [shape.empty_table()]
        for name in (retention.JOURNEYS, "steps"):
            for table in published_tables.TABLES[name].stored:
                is_dated = table in self.since
                wanted = [*shape.names, *([retention.needed(table)] if is_dated else ())]
                rows = published.rows(table, customers, wanted)
                if rows is None:
                    continue
                if is_dated:
                    rows = rows.filter(retention.keeps(table, rows, self.since, self.ended))
                parts.append(rows.select(shape.names).cast(shape))
        return pa.concat_tables(parts)
