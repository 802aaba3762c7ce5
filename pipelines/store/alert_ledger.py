"""The ledger of alerts: JSON lines in the hidden folder `.alerts` of the store.

Entries are appended and synced to disk before anything acts on them. Several processes append
(the hot process, an import), so each does it under a lock. A line that a kill left unfinished is
cut off by the next append and read by nobody. Only an erasure or a compaction writes the file anew,
under the same lock.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import staging
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.alerts.alert_table import ALERTS, rows
from rejse.transforms.alerts.ledger import Alert, Entry, fold, state_of

FOLDER = file_modes.ALERTS
NAME, LOCK = "ledger.jsonl", "lock"
#: Messages that were given up.
UNDELIVERED = "undelivered.jsonl"


class Ledger:
    """The alerts of a store, as the file says now; other processes may write it too."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._alerts: dict[str, Alert] = {}
        self._read, self._inode = 0, -1

    def alerts(self) -> dict[str, Alert]:
        """Return all alerts by key, with what others wrote meanwhile."""
        try:
            with (self._store / FOLDER / NAME).open("rb") as file:
                self._refresh(file)
        except FileNotFoundError:
            self._alerts, self._read, self._inode = {}, 0, -1
        return self._alerts

    def append(self, make: Callable[[dict[str, Alert]], Iterable[Entry]]) -> list[Entry]:
        """Append entries, and return them once they are on disk.

        Args:
            make: Returns the entries, given the alerts as they are; no other process writes
                meanwhile.
        """
        with _locked(self._store), _opened(self._store) as file:
            self._refresh(file)
            entries = list(make(self._alerts))
            if entries:
                file.seek(self._read)
                file.truncate()
                written = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
                file.write(written)
                file.flush()
                os.fsync(file.fileno())
                self._alerts = fold(entries, self._alerts)
                self._read += len(written)
        return entries

    def _refresh(self, file: IO[bytes]) -> None:
        """Take what the file has beyond what was read, or all of another file."""
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._read:
            self._alerts, self._read, self._inode = {}, 0, status.st_ino
        file.seek(self._read)
        entries, n_bytes = _whole(file.read())
        self._alerts = fold(entries, self._alerts)
        self._read += n_bytes


def _whole(content: bytes) -> tuple[Iterator[Entry], int]:
    """Return the entries of whole lines, and how many bytes these have."""
    n_bytes = content.rfind(b"\n") + 1
    return map(json.loads, content[:n_bytes].splitlines()), n_bytes


def rewrite(store: Path, is_kept: Callable[[Alert], bool]) -> int:
    """Write the ledger anew: one line for each alert that is kept; return how many are left out.

    A store without a ledger stays without.
    """
    if not (store / FOLDER / NAME).exists():
        return 0
    with _locked(store):
        alerts = Ledger(store).alerts().values()
        kept = [alert for alert in alerts if is_kept(alert)]
        lines = (json.dumps(state_of(alert)) + "\n" for alert in kept)
        _write_whole(store / FOLDER / NAME, store, "".join(lines))
    return len(alerts) - len(kept)


def staged(store: Path, since: int | None) -> list[StagedFile]:
    """Stage the rows of the published table of alerts; what fired before `since` is left out."""
    if not (store / FOLDER / NAME).exists():
        return []
    file = staging.write(store, ALERTS.name, rows(Ledger(store).alerts().values(), since))
    return [file] if file is not None else []


def forget(store: Path, customer_keys: Collection[str]) -> None:
    """Remove the alerts of a person, and messages on them that could not be delivered."""
    rewrite(store, lambda alert: alert.customer_key not in customer_keys)
    dead = store / FOLDER / UNDELIVERED
    if dead.exists():
        with _locked(store):
            lines = dead.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if not any(key in line for key in customer_keys)]
            _write_whole(dead, store, "".join(kept))


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    mode = file_modes.of(store)
    (store / FOLDER).mkdir(mode=file_modes.folder(mode), exist_ok=True)
    descriptor = os.open(store / FOLDER / LOCK, os.O_RDWR | os.O_CREAT, file_modes.file(mode))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_whole(path: Path, store: Path, content: str) -> None:
    draft = path.with_name(f"{path.name}.making")
    draft.unlink(missing_ok=True)
    with _created(draft, store) as out:
        out.write(content.encode())
        out.flush()
        os.fsync(out.fileno())
    draft.rename(path)


def _opened(store: Path) -> IO[bytes]:
    return _created(store / FOLDER / NAME, store)


def _created(path: Path, store: Path) -> IO[bytes]:
    mode = file_modes.file(file_modes.of(store))
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, mode), "r+b")
