"""Whether a store still is what was published: files, rows and the catalogue of the current state.

Each file is compared with what Delta's log says of its size and rows and with the checksum in its
name; one of an earlier version, whose name tells none, is read as a whole instead. Nothing is
changed but a note of when it was done, which `status` shows.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import checksums, errors, parquet_files
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.errors import StoreError
from rejse.transforms.schema.log_tables import PUBLICATIONS

#: Where it is noted when a store was verified.
NOTE = "verified.json"
#: How often it is begun again because another publication took the place of the one looked at.
AGAIN = 3
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """What is damaged: a file or a view of the catalogue, and what is wrong with it."""

    place: str
    came: str


@dataclass(frozen=True)
class Verified:
    """What was looked at; `without_checksum` files could only be read. `verified_at` in
    microseconds; `is_noted`: the store could be written.
    """

    publication: int
    verified_at: int
    files: int
    bytes: int
    rows: int
    without_checksum: int
    views: int
    damaged: tuple[Finding, ...]
    is_noted: bool = False


def verify(store: Path, now: int, progress: Progress | None = None) -> Verified:
    """Look at every file and view of the current publication.

    Raises NotPublishedError where there is none, StoreDamagedError where publications were lost.
    """
    for left in reversed(range(AGAIN)):
        base = storage.latest(store)
        if base is None:
            raise catalogue.NotPublishedError(
                f"expected a publication in {store}, found none; `rejse run` makes the first one"
            )
        found = _looked(store, base, now, progress or (lambda _: None))
        if not left or not found.damaged or storage.latest(store) == base:
            break  # else what is gone may have been removed with a publication no longer current
    return replace(found, is_noted=_note(store, found))


def _looked(store: Path, base: Publication, now: int, progress: Progress) -> Verified:
    named, damaged = {}, []
    for table, version in _versions(store, base).items():
        try:
            named[table] = storage.named(store, table, version)
        except errors.StoreDamagedError as fault:
            damaged.append(Finding(f"{table}/_delta_log", str(fault)))
    every = [file for files in named.values() for file in files]
    for at, file in enumerate(every):
        progress(f"{at:,} of {len(every):,} files, {file.path.partition('/')[0]}")
        damaged += [Finding(file.path, came) for came in _faults(store / file.path, file)]
    for table, files in named.items():
        rows, said = sum(file.rows for file in files), base.rows.get(table)
        if said is not None and rows != said:
            came = f"expected {said:,} rows, as published, came {rows:,} in its files"
            damaged.append(Finding(table, came))
    progress("the catalogue")
    n_views, wrong = _served(store, base, named)
    return Verified(
        base.number, now, len(every), sum(file.bytes for file in every),
        sum(base.rows.values()), sum(checksums.told(Path(f.path).name) is None for f in every),
        n_views, (*damaged, *wrong),
    )  # fmt: skip


def _versions(store: Path, base: Publication) -> dict[str, int]:
    return {**base.versions, PUBLICATIONS.name: storage.head(store, PUBLICATIONS.name)}


def _faults(path: Path, file: StagedFile) -> Iterator[str]:
    """What is wrong with a file, at most one thing."""
    try:
        size, told = path.stat().st_size, checksums.told(path.name)
        if size != file.bytes:
            yield f"expected {file.bytes:,} bytes, came {size:,}"
        elif told is not None and checksums.of(path) != told:
            yield "expected the bytes that were written, came others: the checksum differs"
        elif (rows := _rows(path, is_read=told is None)) != file.rows:
            yield f"expected {file.rows:,} rows, came {rows:,}"
    except FileNotFoundError:
        yield "it is gone"
    except (OSError, errors.StoreDamagedError) as fault:
        yield f"it cannot be read: {fault}".partition("\n")[0]


def _rows(path: Path, *, is_read: bool) -> int:
    """Rows of a file; where it `is_read`, of all that can be decoded."""
    if not is_read:
        return int(parquet_files.metadata(path).num_rows)
    with parquet_files.opened(path) as file:
        groups = range(file.metadata.num_row_groups)
        return sum(file.read_row_group(group).num_rows for group in groups)


def _served(
    store: Path, base: Publication, named: Mapping[str, Sequence[StagedFile]]
) -> tuple[int, list[Finding]]:
    """How many views the catalogue has, and what is wrong with it."""
    wrong, file = [], catalogue.path(store, base.number)
    if catalogue.pointed(store) != base.number:
        came = f"expected {file.name}, came another name or none; `rejse run` writes it anew"
        wrong.append(Finding(catalogue.CURRENT, came))
    if not catalogue.is_whole(file):
        came = "it was broken or gone; it is made anew from the publication"
        wrong.append(Finding(file.name, came))
    try:
        session = catalogue.connect(store, base.number)
    except (errors.StoreDamagedError, catalogue.NotPublishedError, OSError) as fault:
        return 0, [*wrong, Finding(file.name, f"it cannot be made anew: {fault}")]
    with session:
        views = dict(
            session.execute(
                "select view_name, sql from duckdb_views() where not internal"
            ).fetchall()
        )
        for name, sql in sorted(views.items()):
            wrong += [Finding(f"{file.name}: {name}", came) for came in
                      _view_faults(session, name, sql, named, base)]  # fmt: skip
    return len(views), wrong


def _view_faults(
    session: Any, name: str, sql: str, named: Mapping[str, Sequence[StagedFile]], base: Publication
) -> Iterator[str]:
    """What is wrong with a view, at most one thing: of a table its files and rows, of any that it
    cannot be asked.
    """
    import duckdb

    files = {Path(file.path).name for file in named.get(name, ())}
    if name in named and set(catalogue_build.FILE.findall(sql)) != files:
        yield "expected the files of the publication, came others"
        return
    try:
        if name in base.rows and name in named:
            ((rows,),) = session.execute(f'select count(*) from "{name}"').fetchall()
            if rows != base.rows[name]:
                yield f"expected {base.rows[name]:,} rows, as published, came {rows:,}"
        else:
            session.execute(f'select * from "{name}" limit 0').fetchall()
    except duckdb.Error as fault:
        yield f"it cannot be asked: {fault}".partition("\n")[0]


def _note(store: Path, found: Verified) -> bool:
    """Write down when it was done, where that can be."""
    draft = store / f"{NOTE}.making"
    said = {"publication": found.publication, "verified_at": found.verified_at,
            "files": found.files, "damaged": len(found.damaged)}  # fmt: skip
    with contextlib.suppress(OSError):
        mode = file_modes.file(file_modes.of(store))
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
            json.dump(said, out)
        draft.replace(store / NOTE)
        return True
    return False


def noted(store: Path) -> dict[str, int] | None:
    """Publication, time and number of damages of the last verification; None: there was none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads((store / NOTE).read_text(encoding="utf-8"))
        return {name: int(said[name]) for name in ("publication", "verified_at", "damaged")}
    return None


def missing(store: Path, base: Publication) -> list[str]:
    """Files of a publication that are gone, or of another size; what they hold is not read.

    Raises StoreDamagedError for a log that cannot be read.
    """
    return sorted(
        file.path
        for table, version in _versions(store, base).items()
        for file in storage.named(store, table, version)
        if not _has_size(store / file.path, file.bytes)
    )


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def as_dict(found: Verified) -> dict[str, Any]:
    """For machines."""
    code = StoreError.exit_code if found.damaged else 0
    status = "store_failed" if found.damaged else "verified"
    return {"status": status, "exit_code": code, **asdict(found)}
