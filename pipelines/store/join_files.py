"""Join the small files of a table: each run adds some, and each costs whoever opens the table.

A file is joined with all smaller ones when these together have as many rows, or when the run itself
has written it. So a published row is written anew only into a file twice as large, and a table has
at most a small file for each power of two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import staging
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.pipelines.store.state_reader import plain
from rejse.transforms import published_tables

#: A file with more rows is joined only where a table has `MANY` of less than half a full one:
#: until then it costs less to open them.
LARGE, MANY = staging.ROW_GROUP, 16


def join_small(
    store: Path, previous: Publication | None, files: Mapping[str, Sequence[StagedFile]]
) -> dict[str, list[StagedFile]]:
    """Return the files of each table, small ones joined.

    Those that are joined and that `previous` does not name are removed.
    """
    return {table: _joined(store, previous, table, of) for table, of in files.items()}


def _joined(
    store: Path, previous: Publication | None, table: str, files: Sequence[StagedFile]
) -> list[StagedFile]:
    after = list(files)
    if published_tables.is_written_whole(table):
        return after
    version = -1 if previous is None else previous.versions.get(table, -1)
    published = storage.files(store, table, version)
    new = {file.path for file in files}.difference(published)
    for group in groups(files, new, staging.full(table)):
        stage = staging.Stage(store)
        rows = merged_rows(store, table, [file.path for file in group])
        after += [*stage.add(table, rows), *stage.close()]
        for file in group:
            after.remove(file)
            if file.path in new:
                (store / file.path).unlink()
    return sorted(after, key=lambda file: file.path)


def groups(
    files: Sequence[StagedFile], new: Collection[str], full: int
) -> Iterator[list[StagedFile]]:
    """Yield groups of files to join.

    Args:
        files: all files of a table.
        new: paths of those that the run has written.
        full: rows of a full file.
    """
    small = sorted((f for f in files if f.rows < full // 2), key=lambda f: (f.rows, f.path))
    n_joined = total = 0
    for n, file in enumerate(small):
        if file.rows >= LARGE or total + file.rows > full:
            break
        if n and (file.rows <= total or file.path in new):
            n_joined = n + 1
        total += file.rows
    if n_joined:
        yield small[:n_joined]
    if len(rest := small[n_joined:]) >= MANY:
        total = 0
        yield [file for file in rest if (total := total + file.rows) <= full]


def merged_rows(store: Path, name: str, paths: Sequence[str]) -> pa.Table:
    """Read the rows of several files of one table, sorted by `sort_columns`."""
    parts = [storage.read(store / path) for path in paths]
    if len({part.schema.remove_metadata() for part in parts}) > 1:
        parts = [plain(part) for part in parts]
    rows = pa.concat_tables(
        [part.replace_schema_metadata(None) for part in parts], promote_options="default"
    ).unify_dictionaries()
    return in_order(name, rows)


def in_order(name: str, rows: pa.Table) -> pa.Table:
    """Return rows of a stored table sorted by `sort_columns`."""
    by = [c for c in published_tables.sort_columns(name) if c in rows.column_names]
    if not by or rows.num_rows < 2:
        return rows
    keys = plain(rows.select(by))
    return rows.take(pc.sort_indices(keys, sort_keys=[(column, "ascending") for column in by]))
