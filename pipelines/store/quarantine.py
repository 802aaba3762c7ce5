"""Quarantine: raw payloads of rejects, readable by the store's owner only, for a limited time.

`rejects` holds keyed hashes; the payloads are in `quarantine/` of the store, in files of the
store's mode (0600) whose names start with the id of their run. A file is kept while a publication
names its run and is younger than the setting `keep_quarantine` (14 days;
docs/reference/ingest.md#rejected-rows). A run removes all others: when it starts, also if it finds
nothing new, and its own when it ends without a publication. Rows of a failed run are not lost: the
next run reads them from their source.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store.delta_store import Publication, listed

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "quarantine"
_OURS = re.compile(r"(\d{8}T\d{6}-[0-9a-f]{8})-[0-9a-f]{16}\.jsonl")


def write(store: Path, run_id: str, refused: pa.Table) -> None:
    """Write the raw payloads of rejects to a file that only its owner may read."""
    from rejse.transforms.columnar.arrays import arrow, valid

    kept = refused.filter(arrow(valid(refused.column("payload"))))
    if not kept.num_rows:
        return
    if not place.of(store).keeps_private:
        return
    folder = store / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=file_modes.folder(file_modes.of(store)))
    name = f"{run_id}-{os.urandom(8).hex()}.jsonl"
    _written(store, folder / name, [json.dumps(row) for row in kept.to_pylist()])


def _written(store: Path, path: Path, rows: Iterable[str]) -> None:
    mode = file_modes.file(file_modes.of(store))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
        out.writelines(f"{row}\n" for row in rows)


def payloads(store: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Return the distinct payloads of rows in quarantine of which any part is `wanted`."""
    distinct: dict[str, None] = {}
    for path in _files(store):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if any(wanted(text) for text in row.values() if text is not None):
                distinct[row["payload"]] = None
    return list(distinct)


def remove(store: Path, is_gone: Callable[[str], bool]) -> int:
    """Rewrite files without the rows whose payload `is_gone`; return the number of these rows.

    A kill leaves each file as it was or as it should be. Call it only while holding the store's
    lock.
    """
    n_gone = 0
    for path in _files(store):
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not is_gone(json.loads(line)["payload"])]
        if len(kept) == len(lines):
            continue
        n_gone += len(lines) - len(kept)
        if kept:
            draft = store / f"{path.name}.making"  # the next writer removes what a kill leaves
            draft.unlink(missing_ok=True)
            _written(store, draft, kept)
            draft.replace(path)
        else:
            path.unlink()
    return n_gone


def _files(store: Path) -> list[Path]:
    return [p for p in sorted((store / FOLDER).glob("*.jsonl")) if _OURS.fullmatch(p.name)]


@contextmanager
def accounted(store: Path, keep: int, now: int) -> Iterator[None]:
    """Remove outdated files of quarantine before and after a run, however it ends.

    `keep` and `now` are in microseconds. Call it only while holding the store's lock.
    """
    _sweep(store, keep, now)
    try:
        yield
    finally:
        _sweep(store, keep, now)


def _sweep(store: Path, keep: int, now: int) -> None:
    if _files(store):
        sweep(store, listed(store), keep, now)


def sweep(store: Path, published: Sequence[Publication], keep: int, now: int) -> list[str]:
    """Remove files whose run published nothing, or longer ago than `keep`; return their names.

    Files with other names are left alone.
    """
    first: dict[str, int] = {}  # a compaction publishes a run's rows anew
    for publication in published:
        first.setdefault(publication.run_id, publication.published_at)
    fresh = {run_id for run_id, at in first.items() if now - at <= keep}
    removed = []
    for path in _files(store):
        if path.name.rpartition("-")[0] not in fresh:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed
