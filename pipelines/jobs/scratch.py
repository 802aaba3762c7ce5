"""The folder of a run for what is not staged yet, and what is told of the work in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rejse.pipelines.publication.publish import SCRATCH
from rejse.pipelines.runtime import file_modes, signals

Progress = Callable[[str], None]


@contextmanager
def made(store: Path, run_id: str) -> Iterator[Path]:
    """A folder for bucket files, gone when the run is; those of crashed runs went before."""
    folder = store / f"{SCRATCH}{run_id}"
    signals.keep(folder)
    folder.mkdir(parents=True, mode=file_modes.folder(file_modes.of(store)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def watched(scratch: Path, progress: Progress | None) -> Iterator[None]:
    """Tell how many events are read and scored while the graph runs."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.3):
            progress(_so_far(scratch))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _so_far(scratch: Path) -> str:
    sums = {"read": 0, "scored": 0}
    path = scratch / "progress"
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            what, _, rows = line.partition(" ")
            if rows.isdigit():
                sums[what] += int(rows)
    return f"{sums['read']:,} rows read, {sums['scored']:,} events scored"
