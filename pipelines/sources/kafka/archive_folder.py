"""The folder of the archive: drafts of runs, files that publications name, and how long both stay.

Files lie in `archive/` of the store and have its mode (0600). A file is a draft until its run has
published, so that the archive has no offset that no publication names. A killed run leaves drafts
only, which the next one removes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rejse.pipelines.runtime import file_modes

FOLDER = "archive"
#: Ends of names: of a run that has not published yet; of a file that is still written.
DRAFT, UNFINISHED = ".draft", ".making"
#: Id of the run with its time, and what makes the name of a file its own.
_NAME = re.compile(r"((\d{8}T\d{6})-[0-9a-f]{8})-[0-9a-f]{16}\.parquet")
#: Returns the ids of the runs that have published.
Published = Callable[[], Collection[str]]


def files(store: Path) -> list[Path]:
    """Return the files that publications name."""
    return [p for p in sorted((store / FOLDER).glob("*.parquet")) if _NAME.fullmatch(p.name)]


def draft(store: Path, run_id: str) -> Path:
    """Return the place of a new draft of a run, in a folder that is there."""
    folder = store / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=file_modes.folder(file_modes.of(store)))
    return folder / f"{run_id}-{os.urandom(8).hex()}.parquet{DRAFT}"


@contextmanager
def accounted(store: Path, keep_for: int, now: int, published: Published) -> Iterator[None]:
    """Settle the archive before and after a run, however it ends, and remove what has expired.

    Times are microseconds. Call it only while holding the store's lock.
    """
    settle(store, published)
    expire(store, keep_for, now)
    try:
        yield
    finally:
        settle(store, published)


def settle(store: Path, published: Published) -> None:
    """Let drafts of runs that have published be files of the archive, and remove all others.

    Call it only while holding the store's lock.
    """
    folder = store / FOLDER
    for path in folder.glob(f"*{UNFINISHED}"):
        path.unlink(missing_ok=True)
    drafts = sorted(folder.glob(f"*{DRAFT}"))
    run_ids = published() if drafts else ()
    for path in drafts:
        named = _NAME.fullmatch(path.name.removesuffix(DRAFT))
        if named is not None and named[1] in run_ids:
            path.rename(path.with_name(named[0]))
        else:
            path.unlink(missing_ok=True)


def expire(store: Path, keep_for: int, now: int) -> list[str]:
    """Remove files of runs that began more than `keep_for` before `now`; return their names.

    Times are microseconds. Call it only while holding the store's lock.
    """
    removed = []
    for path in files(store):
        named = _NAME.fullmatch(path.name)
        assert named is not None
        began = datetime.strptime(named[2], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        if now - began.timestamp() * 1_000_000 > keep_for:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed
