"""A catalogue is a cache: one that is broken or gone is made anew from its publication.

Whoever finds it so makes it: in a private place to go on reading, and in the store where it is the
current one's, no writer is at work and the folder may be written.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from rejse.pipelines.publication import catalogue, catalogue_build, publish
from rejse.pipelines.store import delta_log, errors, lock
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.schema.log_tables import PUBLICATIONS


def copied(root: Path, number: int, folder: Path) -> Path:
    """Copy the catalogue of a publication to a private folder, or make it anew there.

    Raises NotPublishedError where there is no such publication any more, StoreDamagedError where a
    file of the current one is gone or damaged.
    """
    kept, copy = catalogue.path(root, number), folder / catalogue.path(root, number).name
    if catalogue.copied_whole(kept, copy):
        return copy
    every = {one.number: one for one in storage.publications(root)}
    newest = max(every, default=0)
    if number not in every or (number != newest and not is_readable(root, every[number])):
        raise catalogue.gone(root, number, newest)
    if number == newest:
        _restore(root, every[number])
        if catalogue.copied_whole(kept, copy):
            return copy
    return _anew(root, every[number], folder).replace(copy)


def _restore(root: Path, base: Publication) -> None:
    """Put the current catalogue back into the store, where that can be done."""
    with contextlib.suppress(lock.AnotherWriter, OSError), lock.locked(root):
        if storage.latest(root) == base:
            catalogue.settle(root, base.number, _anew(root, base, root))


def is_readable(root: Path, publication: Publication) -> bool:
    """Whether all files of a publication are there, so that a catalogue could be made of it."""
    try:
        named = _files(root, publication)
    except errors.StoreDamagedError:  # its versions are in the logs no more
        return False
    return PUBLICATIONS.name in named and all(
        (root / file).is_file() for files in named.values() for file in files
    )


def _files(root: Path, publication: Publication) -> dict[str, list[str]]:
    """Files of a publication by table; of the table of all publications those of its own time."""
    files = publish.files_of(root, publication)
    at = delta_log.versions_of(root, PUBLICATIONS.name).get(publication.number)
    if at is None:  # its commit is in the log no more: it is the current one, or cannot be read
        return files if publication == storage.latest(root) else {}
    return files | {PUBLICATIONS.name: storage.files(root, PUBLICATIONS.name, at)}


def _anew(root: Path, publication: Publication, folder: Path) -> Path:
    return catalogue_build.draft(
        root, publication.number, _files(root, publication), publication.promise_checks, folder
    )
