"""Verify that a store is as it was published: files, rows and catalogue of the current state.

Each file is compared with size and rows in Delta's log and with the checksum in its name; a file of
an earlier version, whose name records none, is read as a whole instead. Nothing is changed but a
note of the time, which `status` shows.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import checksums, errors
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.errors import StoreError

#: File with the time of the last verification.
NOTE = "verified.json"
#: Attempts, of which each but the last is repeated where another publication became current.
AGAIN = 3
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """A damaged file or view of the catalogue, and what is wrong with it."""

    place: str
    problem: str


@dataclass(frozen=True)
class Verified:
    """Result of a verification.

    `without_checksum` files could only be read. `verified_at` is in microseconds; `is_noted`: the
    note could be written.
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
    """Check every file and view of the current publication.

    Raises NotPublishedError where there is none, StoreDamagedError where publications were lost.
    """
    from rejse.pipelines.publication import catalogue

    for left in reversed(range(AGAIN)):
        current = _current(store)
        if current is None:
            raise catalogue.none_published(store)
        result = _inspect(store, current, now, progress or (lambda _: None))
        if not left or not result.damaged or _current(store) == current:
            break  # else files may be missing because the publication is no longer current
    return replace(result, is_noted=_note(store, result))


def _current(store: Path) -> Publication | None:
    """Return the newest publication as the table has it, whatever is noted beside the table."""
    publications = storage.publications(store)
    return publications[-1] if publications else None


def _inspect(store: Path, publication: Publication, now: int, progress: Progress) -> Verified:
    named, damaged = {}, []
    for table, version in _versions(store, publication).items():
        try:
            named[table] = storage.named(store, table, version)
        except errors.StoreDamagedError as fault:
            damaged.append(Finding(f"{table}/_delta_log", str(fault)))
    files_ = [file for files in named.values() for file in files]
    for at, file in enumerate(files_):
        progress(f"{at:,} of {len(files_):,} files, {file.path.partition('/')[0]}")
        damaged += [Finding(file.path, problem) for problem in _faults(store, file)]
    for table, files in named.items():
        rows, published = sum(file.rows for file in files), publication.rows.get(table)
        if published is not None and rows != published:
            problem = f"expected {published:,} rows, as published, came {rows:,} in its files"
            damaged.append(Finding(table, problem))
    progress("the catalogue")
    n_views, wrong = _inspect_catalogue(store, publication, named)
    unchecked = [file for file in files_ if checksums.recorded(Path(file.path).name) is None]
    return Verified(
        publication=publication.number,
        verified_at=now,
        files=len(files_),
        bytes=sum(file.bytes for file in files_),
        rows=sum(publication.rows.values()),
        without_checksum=len(unchecked),
        views=n_views,
        damaged=(*damaged, *wrong),
    )


def _versions(store: Path, publication: Publication) -> dict[str, int]:
    return {**publication.versions, storage.PUBLICATIONS: storage.head(store, storage.PUBLICATIONS)}


def _faults(store: Path, file: StagedFile) -> Iterator[str]:
    """Yield what is wrong with a file, at most one thing."""
    path, at = store / file.path, place.of(store)
    try:
        size, recorded = path.stat().st_size, checksums.recorded(path.name)
        if size != file.bytes:
            yield f"expected {file.bytes:,} bytes, came {size:,}"
        elif recorded is not None and at.checksum(path, checksums.of) != recorded:
            yield "expected the bytes that were written, came others: the checksum differs"
        elif (rows := _rows(path, is_read=recorded is None)) != file.rows:
            yield f"expected {file.rows:,} rows, came {rows:,}"
    except FileNotFoundError:
        yield "it is gone"
    except (OSError, errors.StoreDamagedError) as fault:
        yield f"it cannot be read: {fault}".partition("\n")[0]


def _rows(path: Path, *, is_read: bool) -> int:
    """Count the rows of a file; with `is_read` by decoding them all."""
    from rejse.pipelines.store import parquet_files

    if not is_read:
        return int(parquet_files.metadata(path).num_rows)
    with parquet_files.opened(path) as file:
        groups = range(file.metadata.num_row_groups)
        return sum(file.read_row_group(group).num_rows for group in groups)


def _inspect_catalogue(
    store: Path, publication: Publication, named: Mapping[str, Sequence[StagedFile]]
) -> tuple[int, list[Finding]]:
    """Return the number of views in the catalogue, and what is wrong with it."""
    from rejse.pipelines.publication import catalogue, catalogue_build

    findings, file = [], catalogue.path(store, publication.number)
    if catalogue.pointed(store) != publication.number:
        problem = f"expected {file.name}, came another name or none; `rejse run` writes it anew"
        findings.append(Finding(catalogue.CURRENT, problem))
    if not catalogue.is_whole(file):
        problem = "it was broken or gone; it is made anew from the publication"
        findings.append(Finding(file.name, problem))
    try:
        session = catalogue.connect(store, publication.number)
    except (errors.StoreDamagedError, catalogue.NotPublishedError, OSError) as fault:
        return 0, [*findings, Finding(file.name, f"it cannot be made anew: {fault}")]
    with session:
        views = dict(
            session.execute(
                "select view_name, sql from duckdb_views() where not internal"
            ).fetchall()
        )
        bound = catalogue_build.bound_views(session)
        listings = dict(
            session.execute(
                "select function_name, macro_definition from duckdb_functions() where not internal"
            ).fetchall()
        )
        for name, sql in sorted(views.items()):
            listing = listings.get(f"{catalogue.FILES_OF}{name}") or sql  # of an earlier version
            findings += [
                Finding(f"{file.name}: {name}", problem)
                for problem in _view_faults(session, name, listing, named, publication, bound)
            ]
    return len(views), findings


def _view_faults(
    session: Any,
    name: str,
    listing: str,
    named: Mapping[str, Sequence[StagedFile]],
    publication: Publication,
    bound: Set[str],
) -> Iterator[str]:
    """Yield what is wrong with a view, at most one thing.

    Of a table's view the files that it lists and its rows are compared; any other is only bound,
    where it is not known to be (`bound`).
    """
    import duckdb

    files = {Path(file.path).name for file in named.get(name, ())}
    if name in named and set(checksums.FILE.findall(listing)) != files:
        yield "expected the files of the publication, came others"
        return
    try:
        if name in publication.rows and name in named:
            ((rows,),) = session.execute(f'select count(*) from "{name}"').fetchall()
            if rows != publication.rows[name]:
                yield f"expected {publication.rows[name]:,} rows, as published, came {rows:,}"
        elif name not in bound:
            session.execute(f'describe "{name}"').fetchall()
    except duckdb.Error as fault:
        yield f"it cannot be asked: {fault}".partition("\n")[0]


def _note(store: Path, result: Verified) -> bool:
    """Write the time of the verification down, where possible; return whether it was."""
    draft = store / f"{NOTE}.making"
    note = {"publication": result.publication, "verified_at": result.verified_at,
            "files": result.files, "damaged": len(result.damaged)}  # fmt: skip
    with contextlib.suppress(OSError):
        mode = file_modes.file(file_modes.of(store))
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
            json.dump(note, out)
        draft.replace(store / NOTE)
        place.of(store).share(NOTE)
        return True
    return False


def noted(store: Path) -> dict[str, int] | None:
    """Return publication, time and damages of the last verification; None without one."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        note = json.loads((store / NOTE).read_text(encoding="utf-8"))
        return {name: int(note[name]) for name in ("publication", "verified_at", "damaged")}
    return None


def missing(store: Path, publication: Publication) -> list[str]:
    """List files of a publication that are missing or have another size; none is read.

    Raises StoreDamagedError for an unreadable log.
    """
    return sorted(
        file.path
        for table, version in _versions(store, publication).items()
        for file in storage.named(store, table, version)
        if not _has_size(store / file.path, file.bytes)
    )


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def as_dict(result: Verified) -> dict[str, Any]:
    """Return the result for JSON."""
    code = StoreError.exit_code if result.damaged else 0
    status = "store_failed" if result.damaged else "verified"
    damaged = [{"place": finding.place, "came": finding.problem} for finding in result.damaged]
    return {"status": status, "exit_code": code, **asdict(result), "damaged": damaged}
