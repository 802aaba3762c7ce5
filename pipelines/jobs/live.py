"""The same run in a loop over growing folders: what arrived is published every few seconds.

Rows, what is pending, frontiers and source positions lie in one publication, so that a kill at
any moment loses and doubles nothing. A file that somebody is still writing waits until it is
whole; small files are joined and old publications removed now and then, so that their number
stays bounded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.maintenance import compact, vacuum
from rejse.pipelines.publication import audit_client as auditing
from rejse.pipelines.sources import decompress, files
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.lock import AnotherWriter
from rejse.transforms.schema.parameters import MINUTE

#: Publications after which small files are joined and what has expired is removed.
CARE = 20
#: How many runs in a row may miss a file that they have just listed.
MISSED = 3
#: A file that looks unfinished and has not changed for so long is taken as it is.
ABANDONED = 1 * MINUTE


@dataclass(frozen=True)
class Pace:
    """How often the loop looks, and how long publications can be read; both in microseconds."""

    every: int
    keep_for: int


@dataclass
class Loop:
    """A loop of runs until `stop` is set; the run at work is finished first.

    A signal ends it at once: the run at work is left, and the next start does its work.
    """

    settings: Settings
    pace: Pace
    stop: Event = field(default_factory=Event)
    beam_args: Sequence[str] = ()
    audit: auditing.Audit | None = auditing.audit
    care_after: int = CARE  # publications from one care to the next
    _n_gone: int = 0  # runs one after the other that missed a file

    def results(self) -> Iterator[RunResult]:
        """Each run that published, or whose audit failed: that one is the last.

        Raises what `run` raises, but for another writer, for whom it waits.
        """
        n_published = 0
        while not self.stop.is_set():
            result = self._once()
            if result is not None and result.status != "nothing_new":
                yield result
                if result.status == "audit_failed":
                    return
                n_published += 1
                if n_published % self.care_after == 0:
                    self._care()
            self.stop.wait(self.pace.every / 1_000_000)

    def _once(self) -> RunResult | None:
        found = as_now(self.settings)
        try:
            done = run(
                found, beam_args=list(self.beam_args), audit=self.audit,
                shards=shards(found, is_whole),
            )  # fmt: skip
        except AnotherWriter:
            return None
        except FileNotFoundError:  # renamed after it was listed; else it would be missed again
            self._n_gone += 1
            if self._n_gone > MISSED:
                raise
            return None
        self._n_gone = 0
        return done

    def _care(self) -> None:
        store = self.settings.store
        with contextlib.suppress(AnotherWriter):  # such as a repair: the next care does it
            compact.compact(store, self.settings.retention.since(storage.now()))
            vacuum.vacuum(store, self.pace.keep_for, storage.now(), dry_run=False)


def as_now(settings: Settings) -> Settings:
    """The settings without what they remember of operational tables, which grow meanwhile."""
    said = {name: getattr(settings, name) for name in type(settings).model_fields}
    return settings.model_construct(settings.model_fields_set, **said)


def shards(settings: Settings, ready: Callable[[Path], bool]) -> list[files.Shard]:
    """Pieces of the files that are ready; a source whose files are yet to come has none."""
    return [
        piece
        for source in settings.sources.values()
        for path, file in files.files(source).items()
        if ready(path)
        for piece in files.pieces(source.name, path, file)
    ]


def is_whole(path: Path) -> bool:
    """Whether nobody seems to be writing the file: its last line or its footer is there.

    Of compressed ones that cannot be told without reading them: they, and files that stay
    unfinished, are taken once they have not changed for `ABANDONED`.
    """
    try:
        stat = path.stat()
        if time.time_ns() // 1000 - stat.st_mtime_ns // 1000 > ABANDONED or not stat.st_size:
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
