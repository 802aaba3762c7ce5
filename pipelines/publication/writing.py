"""Hold the store for a run, after finishing what a killed run left half done."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import index_folders, traces
from rejse.pipelines.store.delta_store import Publication, Writer

#: Folders of a run for what is not staged yet, gone with it.
SCRATCH = ".scratch-"


@contextlib.contextmanager
def writing(store: Path, *, rebuild: bool = False) -> Iterator[Writer]:
    """Hold the store for one run, after finishing what a crashed run left half done.

    `writer.previous` is the publication to build on. Raises AnotherWriter, and StoreDamagedError
    where publications were lost, unless the run is a `rebuild`.
    """
    with storage.writing(store, rebuild=rebuild) as writer:
        for path in store.glob("*.making*"):
            path.unlink(missing_ok=True)  # another machine may be at it
        for scratch in store.glob(f"{SCRATCH}*"):  # also where the next run finds nothing new
            shutil.rmtree(scratch, ignore_errors=True)
        index_folders.tidy(store)
        if writer.previous is not None and writer.lost is None:
            roll_forward(store, writer.previous)
            if (store / traces.OVERLAY).exists():
                from rejse.pipelines.publication import overlay

                overlay.tidy(store, writer.previous.number)
        yield writer


def roll_forward(store: Path, current: Publication) -> None:
    """Finish a committed publication whose pointer is missing or broken after a crash.

    A catalogue that is broken or missing is built again.
    """
    if storage.is_settled(store, current):
        return
    from rejse.pipelines.publication import catalogue, catalogue_build

    is_whole = catalogue.is_whole(catalogue.path(store, current.number))
    if not is_whole or traces.pointed(store) != current.number:
        built = catalogue_build.build(
            store, current.number, files_of(store, current), current.promise_checks
        )
        catalogue.activate(store, current.number, built.file, built.continues)


def files_of(store: Path, publication: Publication) -> dict[str, list[str]]:
    """Return the files of every table of a publication; of `publications` the newest."""
    versions = dict(publication.versions)
    versions[storage.PUBLICATIONS] = storage.head(store, storage.PUBLICATIONS)
    return {table: storage.files(store, table, at) for table, at in versions.items()}
