"""The hot loop: what arrives between two publications is scored, and laid over the last one."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import arriving_files
from rejse.pipelines.live import hot_core
from rejse.pipelines.live.arrivals import Arrivals
from rejse.pipelines.live.hot_core import HotCore, Touched
from rejse.pipelines.live.publishing_loop import reread_tables
from rejse.pipelines.live.vitals import Pulse
from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.overlay import Overlay, OverlayError
from rejse.pipelines.runtime import logs, signals
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.shards import Shard
from rejse.pipelines.store import delta_store, lock
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.errors import StoreDamagedError
from rejse.pipelines.store.warm_tables import RowGroups, WarmTables
from rejse.transforms.columnar.string_arrays import text

NOTHING = Touched(text([]), {})
LOG = logging.getLogger(__name__)
#: Seconds between two looks into connections to topics while nothing comes, at most.
TOPIC_PAUSE = 0.1
#: Watermarks of sources of interactions, and of sources of answers.
Watermarks = tuple[dict[str, int], dict[str, int]]
#: Takes what a step made on a publication, and up to when its sources were complete.
Listener = Callable[[Publication, Touched, Watermarks], None]


@dataclass
class HotLoop:
    """Looks at the sources again and again until `stop` is set.

    A file that was read before and has changed waits for the next publication.

    Attributes:
        settings: The configuration.
        pause: Seconds between two looks into folders.
        listeners: Called after the first look on a publication and after each step, once its rows
            can be read.
    """

    settings: Settings
    pause: float
    listeners: Sequence[Listener] = ()
    stop: Event = field(default_factory=Event)
    _n_misses: int = 0
    _groups: RowGroups = field(default_factory=lambda: RowGroups(hot_core.HISTORY_BYTES))

    def __post_init__(self) -> None:
        self._pulse = Pulse(self.settings.store)

    def steps(self) -> Iterator[int]:
        """Yield after each look how many customers it touched.

        At a new publication all begins anew, with what it has not read. Raises what reading the
        sources and the store raises.
        """
        while not self.stop.is_set():
            try:
                with (
                    lock.hot(self.settings.store),
                    tempfile.TemporaryDirectory(prefix="rejse-hot-") as scratch,
                ):
                    signals.keep(Path(scratch))
                    yield from self._on_publication(Path(scratch))
            except hot_core.NoBaseError:  # the bounded run is about to publish one
                yield 0
            except lock.AnotherHotCore as fault:
                self._pulse.last_error = str(fault)
                yield 0
            self.stop.wait(self.pause)

    def _on_publication(self, scratch: Path) -> Iterator[int]:
        settings = reread_tables(self.settings)
        base, core = hot_core.warm(settings, scratch, delta_store.now(), self._groups)
        try:
            laid = Overlay(settings.store, base.number)
            with (
                Arrivals(settings, base, self.pause) as arrivals,
                ReadAhead(core.history) as ahead,
            ):
                began = time.monotonic()
                arrived, is_first = arrivals.first(), True
                while not self.stop.is_set():
                    touched = self._take(arrived, core, laid)
                    seconds, n_customers = time.monotonic() - began, len(touched.customers)
                    self._pulse.beat(base.number, seconds, n_customers)
                    if n_customers:
                        ahead.begin()
                    if arrived or is_first:
                        self._notify(base, touched, core.watermarks)
                    is_first = False
                    yield n_customers
                    self.stop.wait(0 if arrived else min(self.pause, TOPIC_PAUSE))
                    if catalogue.pointed(settings.store) != base.number:
                        return
                    began = time.monotonic()
                    arrived = arrivals.look()
        except (FileNotFoundError, StoreDamagedError):
            # A file was renamed after it was listed; or the store no longer has this publication.
            self._n_misses += 1
            is_current = catalogue.pointed(settings.store) == base.number
            if is_current and self._n_misses > arriving_files.MAX_MISSES:
                raise
        except (BrokerError, OverlayError) as fault:  # there may be an answer, or room, again
            self._pulse.last_error = str(fault)
            LOG.error("%s; trying again", fault)
            yield 0

    def _take(self, arrived: Sequence[Shard], core: HotCore, laid: Overlay) -> Touched:
        """Lay what has arrived over the publication; return what it touched."""
        touched = core.step(arrived) if arrived else NOTHING
        if len(touched.customers):
            laid.add(touched.customers, touched.tables, core.watermarks[0])
            self._n_misses = 0
        else:
            laid.keep()
        return touched

    def _notify(self, base: Publication, touched: Touched, watermarks: Watermarks) -> None:
        """Call all listeners; one that fails has missed this step, and only it."""
        for listener in self.listeners:
            try:
                listener(base, touched, watermarks)
            except Exception as fault:
                LOG.error("a listener of the hot loop failed: %s", logs.described(fault))


class ReadAhead:
    """A thread that reads what customers to come will need, as long as the context."""

    def __init__(self, history: WarmTables) -> None:
        self._history, self._stop = history, Event()
        self._thread = Thread(target=self._read)

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def begin(self) -> None:
        """Begin, if it has not: the first step has asked for rows of all tables that steps need."""
        if self._thread.ident is None:
            self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError, StoreDamagedError):  # a step will say so
            self._history.read_ahead(self._stop)
