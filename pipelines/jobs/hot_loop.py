"""The hot loop: what arrives between two publications is scored, and laid over the last one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import arriving_files, hot_core
from rejse.pipelines.jobs.live import reread_tables
from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.overlay import Overlay
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.files import Shard
from rejse.pipelines.sources.positions import Place
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.errors import StoreDamagedError


@dataclass
class HotLoop:
    """Looks at the sources again and again until `stop` is set.

    A file that was read before and has changed waits for the next publication.

    Attributes:
        settings: The configuration.
        pause: Seconds between two looks.
    """

    settings: Settings
    pause: float
    stop: Event = field(default_factory=Event)
    _n_misses: int = 0

    def steps(self) -> Iterator[int]:
        """Yield after each look how many customers it touched.

        At a new publication all begins anew, with what it has not read. Raises what reading the
        sources and the store raises.
        """
        while not self.stop.is_set():
            try:
                with tempfile.TemporaryDirectory(prefix="rejse-hot-") as scratch:
                    yield from self._on_publication(Path(scratch))
            except hot_core.NoBaseError:  # the bounded run is about to publish one
                yield 0
            self.stop.wait(self.pause)

    def _on_publication(self, scratch: Path) -> Iterator[int]:
        settings = reread_tables(self.settings)
        base, core = hot_core.warm(settings, scratch, delta_store.now())
        laid = Overlay(settings.store, base.number)
        read = set(positions.of(settings, base.positions))
        try:
            while not self.stop.is_set() and catalogue.pointed(settings.store) == base.number:
                if arrived := _arrived(settings, read):
                    touched = core.step(arrived)
                    read.update(map(_place, arrived))
                    laid.add(touched.customers, touched.tables)
                    self._n_misses = 0
                    yield len(touched.customers)
                else:
                    laid.keep()
                    yield 0
                self.stop.wait(self.pause)
        except (FileNotFoundError, StoreDamagedError):
            # A file was renamed after it was listed; or the store no longer has this publication.
            if catalogue.pointed(settings.store) == base.number and self._is_missing_again():
                raise

    def _is_missing_again(self) -> bool:
        self._n_misses += 1
        return self._n_misses > arriving_files.MAX_MISSES


def _arrived(settings: Settings, read: set[Place]) -> list[Shard]:
    shards = arriving_files.shards(settings, arriving_files.is_whole)
    return [shard for shard in shards if _place(shard) not in read]


def _place(shard: Shard) -> Place:
    return Place(shard.source, str(shard.path))
