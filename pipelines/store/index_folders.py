"""The folders of the indexes of data files (`file_index`)."""

from __future__ import annotations

import shutil
from pathlib import Path

#: Folder of the indexes of ids.
IDS = ".ids"
#: Indexes of an earlier version; they hold the beginnings of customer keys.
OBSOLETE = ".keys"
#: Ends the name of an index.
MADE = ".words"


def tidy(store: Path) -> None:
    """Remove indexes whose files no longer exist. Call it only while holding the store's lock."""
    shutil.rmtree(store / OBSOLETE, ignore_errors=True)
    for folder in (store / IDS).glob("*"):
        stems = {path.stem for path in (store / folder.name).glob("*.parquet")}
        for path in folder.iterdir():
            if path.suffix != MADE or path.name.partition(".")[0] not in stems:
                path.unlink(missing_ok=True)
