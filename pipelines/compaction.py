"""Compaction: small files of a table joined, and rows past their retention left out.

The result is a new publication with the old one's sources, frontiers and configuration; whoever
reads an earlier one goes on reading its files, which `vacuum` removes when nobody may any more.
Memory follows one file's rows, not the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines import catalogue, publish, retention, stage, texts
from rejse.pipelines import store as storage
from rejse.pipelines.stage import StagedFile
from rejse.pipelines.store import APP, Publication
from rejse.transforms import inputs
from rejse.transforms.experience import tables as x_tables

#: A file with fewer rows is small: two of them fit into one.
SMALL = stage.FILE // 2
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
    """Files of one table that give way to others."""

    removed: tuple[str, ...]
    added: tuple[StagedFile, ...]
    files: tuple[str, ...]
    rows_dropped: int


def compact(store: Path, since: Mapping[str, int] | None = None) -> Compacted:
    """Join small files and leave out final rows from before `since` (table -> microseconds).

    Raises NotPublishedError where there is no publication, AnotherWriter while a run is at work.
    """
    with publish.writing(store) as writer, texts.accounted(store):
        base = writer.base
        if base is None:
            raise catalogue.NotPublishedError(
                f"expected a publication in {store}, found none; `rejse run` makes the first one"
            )
        named = {name: storage.files(store, name, at) for name, at in base.versions.items()}
        changes = dict(_changes(store, named, since or {}))
        if not changes:
            return Compacted("nothing_new", base.number)
        draft = replace(base, number=base.number + 1, published_at=storage.now())
        versions = {name: _commit(store, name, base, changes[name], draft) for name in changes}
        dropped = {name: base.rows.get(name, 0) - c.rows_dropped for name, c in changes.items()}
        done = replace(draft, versions={**base.versions, **versions}, rows={**base.rows, **dropped})
        told = {
            name: Rewritten(len(named[name]), len(c.files), c.rows_dropped)
            for name, c in changes.items()
        }
        named |= {name: list(change.files) for name, change in changes.items()}
        publish.announce(writer, done, named)
        return Compacted("published", done.number, told)


def _changes(
    store: Path, named: Mapping[str, Sequence[str]], since: Mapping[str, int]
) -> Iterator[tuple[str, _Change]]:
    """What is to be rewritten, table by table; the new files are staged."""
    ended = _ended(store, named, since)
    for name, paths in named.items():
        files = sorted((_looked(store, path) for path in paths), key=lambda f: (f.first, f.path))
        stale = {f.path for f in files if _drops(store, name, f, since, ended)}
        groups = [g for g in _bins(files, stale) if len(g) > 1 or g[0].path in stale]
        if not groups:
            continue
        writer, added, dropped = stage.Stage(store), [], 0
        for group in groups:
            rows = joined(store, name, [file.path for file in group])
            if name in since:
                rows = rows.filter(retention.keeps(name, rows, since, ended))
            dropped += sum(file.rows for file in group) - rows.num_rows
            added += [*writer.add(name, rows), *writer.close()]
        removed = [file.path for group in groups for file in group]
        stay = [file.path for file in files if file.path not in set(removed)]
        after = sorted([*stay, *(file.path for file in added)])
        yield name, _Change(tuple(removed), tuple(added), tuple(after), dropped)


def _looked(store: Path, path: str) -> _File:
    """A file with its rows and, where its statistics say it, its least customer key."""
    about = pq.read_metadata(store / path)
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
        if held and sum(one.rows for one in held) + file.rows > stage.FILE:
            yield held
            held = []
        held.append(file)
    if held:
        yield held


def _ended(store: Path, named: Mapping[str, Sequence[str]], since: Mapping[str, int]) -> pa.Table:
    """Ends of the journeys before the latest time from which anything is kept with them."""
    latest = max((since[name] for name in retention.OF_JOURNEY if name in since), default=None)
    shape = pa.schema({"journey_id": pa.string(), "ended_at": pa.timestamp("us", "UTC")})
    if latest is None:
        return shape.empty_table()
    start = pa.scalar(latest, pa.int64()).cast(shape.field("ended_at").type)
    parts = [shape.empty_table()]
    for path in named.get(retention.JOURNEYS, ()):
        rows = pq.ParquetFile(store / path).read(["journey_id", "ended_at", "is_final"])
        ends = retention.ends(rows).cast(shape)
        parts.append(ends.filter(pc.less(ends.column("ended_at"), start)))
    return pa.concat_tables(parts)


def _drops(store: Path, name: str, file: _File, since: Mapping[str, int], ended: pa.Table) -> bool:
    """Whether a file holds a row that is past its retention."""
    if name not in since:
        return False
    rows = pq.ParquetFile(store / file.path).read(list(retention.needed(name)))
    return not pc.all(retention.keeps(name, rows, since, ended), min_count=0).as_py()


def joined(store: Path, name: str, paths: Sequence[str]) -> pa.Table:
    """Rows of several files of one table, ordered by customer, then by event order or key."""
    parts = [storage.read(store / path) for path in paths]
    if len({part.schema.remove_metadata() for part in parts}) > 1:
        parts = [_plain(part) for part in parts]
    rows = pa.concat_tables(
        [part.replace_schema_metadata(None) for part in parts], promote_options="default"
    ).unify_dictionaries()
    by = [column for column in order(name) if column in rows.column_names]
    if not by or rows.num_rows < 2:
        return rows
    keys = _plain(rows.select(by))
    return rows.take(pc.sort_indices(keys, sort_keys=[(column, "ascending") for column in by]))


def order(name: str) -> tuple[str, ...]:
    """Columns by which the rows of a table lie."""
    plain = name.removesuffix(stage.LIVE)
    if plain in ("events", "late", "open_events"):
        return EVENT_ORDER
    declared = {**x_tables.every(), **inputs.joined()}.get(plain)
    key = declared.key if declared else ("source", "position")
    return tuple(dict.fromkeys(("customer_key", "journey_id", *key)))


def _plain(rows: pa.Table) -> pa.Table:
    """Dictionary columns as their values: files of one table may code different columns."""
    shape = [
        f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in rows.schema
    ]
    return rows.cast(pa.schema(shape))


def _commit(store: Path, name: str, base: Publication, change: _Change, draft: Publication) -> int:
    """Commit the change on the published version; returns the new one."""
    from deltalake import CommitProperties, DeltaTable, Schema, Transaction
    from deltalake.transaction import RemoveAction

    at = DeltaTable(str(store / name))
    if at.version() != base.versions[name]:  # what a crashed run left: no reader sees it
        at.restore(base.versions[name])
        at = DeltaTable(str(store / name))
    now = storage.now() // 1000
    actions: list[Any] = [
        RemoveAction(path.partition("/")[2], False, now) for path in change.removed
    ]
    actions += [storage.action(store, file) for file in change.added]
    shapes = [pq.read_schema(store / file.path).remove_metadata() for file in change.added]
    bare = [pa.schema([storage.bare(c) for c in s]) for s in (*shapes, catalogue.columns(name))]
    properties = CommitProperties(
        custom_metadata={"run_id": draft.run_id, "publication": str(draft.number)},
        max_commit_retries=0,
        app_transactions=[Transaction(APP, draft.number)],
    )
    at.create_write_transaction(
        actions, "append", Schema.from_arrow(pa.unify_schemas(bare)), commit_properties=properties
    )
    return int(DeltaTable(str(store / name)).version())
