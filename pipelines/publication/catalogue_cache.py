"""Restore catalogues: a broken or missing one is built again from its publication.

A reader builds it in a private folder; that of the current publication also in the store, if no
writer holds the lock and the folder is writable.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb

from rejse.pipelines.publication import catalogue, catalogue_build, publish
from rejse.pipelines.publication.catalogue_build import Built
from rejse.pipelines.store import delta_log, errors, lock, traces
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.schema.log_tables import PUBLICATIONS


def restored(root: Path, number: int, copy: Path) -> duckdb.DuckDBPyConnection:
    """Build the catalogue of a publication as `copy`, in a private folder, and open it.

    Raises NotPublishedError where there is no such publication any more, StoreDamagedError where a
    file of the current one is missing or damaged.
    """
    publications = {publication.number: publication for publication in storage.publications(root)}
    newest = max(publications, default=0)
    if number not in publications or (
        number != newest and not is_readable(root, publications[number])
    ):
        raise catalogue.not_published(root, number, newest)
    if number == newest:
        _restore(root, publications[number])
        con = catalogue.open_whole(catalogue.path(root, number), copy)
        if con is not None:
            return con
    _build(root, publications[number], copy.parent).file.replace(copy)
    return catalogue.open_unlocked(copy)


def _restore(root: Path, current: Publication) -> None:
    """Put the current catalogue back into the store, where possible."""
    with contextlib.suppress(lock.AnotherWriter, OSError), lock.locked(root):
        if storage.latest(root) == current:
            built = _build(root, current, root)
            catalogue.activate(root, current.number, built.file, built.continues)


def is_readable(root: Path, publication: Publication) -> bool:
    """Return whether all files of a publication exist, so that a catalogue can be built."""
    try:
        named = _files(root, publication)
    except errors.StoreDamagedError:  # its versions are no longer in the logs
        return False
    return PUBLICATIONS.name in named and all(
        (root / file).is_file() for files in named.values() for file in files
    )


def _files(root: Path, publication: Publication) -> dict[str, list[str]]:
    """Return files of a publication by table; of `publications` those of its own time.

    Empty where they can no longer be known.
    """
    files = publish.files_of(root, publication)
    at = delta_log.versions_of(root, PUBLICATIONS.name).get(publication.number)
    if at is None:  # no longer in the log: the current one, or unreadable
        return files if publication == storage.latest(root) else {}
    return files | {PUBLICATIONS.name: storage.files(root, PUBLICATIONS.name, at)}


def _build(root: Path, publication: Publication, folder: Path) -> Built:
    """Build a catalogue with the views of the next one that there is: it had those."""
    number = publication.number
    like = min((n for n in traces.numbers(root) if n > number), default=None)
    files = _files(root, publication)
    return catalogue_build.build(root, number, files, publication.promise_checks, folder, like)
