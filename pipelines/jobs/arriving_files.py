"""Files that are ready to be read, in folders that grow."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.sources import decompress, listing
from rejse.pipelines.sources.listing import SourceFile
from rejse.transforms.schema.parameters import MINUTE

#: How many runs in a row may miss a file that they have just listed.
MAX_MISSES = 3
#: A file that looks unfinished and has not changed for so long (microseconds) is read as it is.
ABANDONED_AFTER = 1 * MINUTE


def listed(settings: Settings, ready: Callable[[Path], bool]) -> list[SourceFile]:
    """Return the files that are ready; a source without files yet, or of a topic, has none."""
    return [
        file
        for source in settings.sources.values()
        for file in listing.files(source)
        if ready(file.path)
    ]


def is_whole(path: Path) -> bool:
    """Return whether a file seems to be written: its last line or its footer is there.

    A compressed file does not show that unless it is read: it, and a file that stays unfinished,
    counts as whole once it has not changed for `ABANDONED_AFTER`.
    """
    try:
        stat = path.stat()
        if time.time_ns() // 1000 - stat.st_mtime_ns // 1000 > ABANDONED_AFTER or not stat.st_size:
            return stat.st_size > 0
        if decompress.compression(path):
            return False
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(max(0, stat.st_size - 4))
            tail = file.read()
    except FileNotFoundError:  # renamed or removed since it was listed
        return False
    return tail == b"PAR1" if head == b"PAR1" else tail.endswith(b"\n")
