"""The folder of a run for files that are not staged, and the progress reported in it."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rejse.pipelines.publication.writing import SCRATCH
from rejse.pipelines.runtime import file_modes, signals

Progress = Callable[[str], None]
#: How the files begin in which processes say how far they are.
PROGRESS = "progress-"
#: Seconds between two looks at the progress.
INTERVAL = 0.3


@contextmanager
def scratch_folder(store: Path, run_id: str) -> Iterator[Path]:
    """Make a folder for bucket files, and remove it in the end.

    The next writer removes what a crash leaves.
    """
    folder = store / f"{SCRATCH}{run_id}"
    signals.keep(folder)
    folder.mkdir(parents=True, mode=file_modes.folder(file_modes.of(store)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report(folder: Path, step: Literal["read", "scored"], rows: int) -> None:
    """Add rows to the progress of a step, from whatever process of whatever machine does it.

    Raises FileNotFoundError where the run has ended: a job of a cluster may outlive it.
    """
    path, sums = _own_progress(folder, os.getpid())
    sums[step] += rows
    path.write_text("".join(f"{name} {n}\n" for name, n in sums.items()), encoding="utf-8")


@lru_cache(maxsize=4)
def _own_progress(folder: Path, pid: int) -> tuple[Path, Counter[str]]:
    """Return the file of a process, whose lines only it writes, and what it has done so far.

    Appending to one file would mix lines where several machines share a folder.
    """
    return folder / f"{PROGRESS}{uuid.uuid4().hex}", Counter()


@contextmanager
def watched(folder: Path, progress: Progress | None, n_stored: int = 0) -> Iterator[None]:
    """Call `progress` with how many rows are read and scored while the graph runs.

    `n_stored` is how many stored events are scored anew.
    """
    if progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            progress(_so_far(folder, n_stored))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _so_far(folder: Path, n_stored: int) -> str:
    """Return the progress in words."""
    sums: Counter[str] = Counter()
    for path in folder.glob(f"{PROGRESS}*"):
        for line in path.read_text(encoding="utf-8").splitlines():
            step, _, rows = line.partition(" ")
            if rows.isdigit():  # the last line may be written just now
                sums[step] += int(rows)
    of_stored = f" of {n_stored:,} stored and new" if n_stored else ""
    return f"{sums['read']:,} rows read, {sums['scored']:,}{of_stored} events scored"
