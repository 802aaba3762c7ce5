"""Runs in a loop over growing folders and topics: what arrived is published every few seconds.

Rows, deadlines, watermarks and source positions are in one publication, so that a kill at any
moment loses and doubles nothing. A file that is still being written waits until it is whole. Small
files are joined and old publications removed now and then, so that their number stays bounded.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.arriving_files import MAX_MISSES, is_whole, listed
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.jobs.scratch import Progress
from rejse.pipelines.maintenance import compact, vacuum
from rejse.pipelines.publication.audit import Audit, audit
from rejse.pipelines.sources import shards
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.pipelines.sources.listing import SourceFile
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.lock import AnotherWriter

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How often the loop does what.

    Attributes:
        interval: Microseconds between two looks at the sources.
        keep_for: Microseconds for which a publication can be read after the next one.
        care_after: Publications between two compactions, which also remove what has expired.
    """

    interval: int
    keep_for: int
    care_after: int = 20


@dataclass
class Loop:
    """Runs in a loop until `stop` is set; the run at work is finished first.

    A signal ends it at once: the run at work is left, and the next start does its work.

    Attributes:
        each_round: Called before each look at the sources.
        progress: Takes how far the run at work is.
    """

    settings: Settings
    pace: Pace
    stop: Event = field(default_factory=Event)
    beam_args: Sequence[str] = ()
    workers: int | None = None
    audit: Audit | None = audit
    each_round: Callable[[], object] = lambda: None
    progress: Progress | None = None
    _n_misses: int = 0  # runs in a row that missed a file

    def results(self) -> Iterator[RunResult]:
        """Yield each run that published, or whose audit failed: that is the last.

        Raises what `run` raises, but for AnotherWriter: it waits for the other one.
        """
        n_published = 0
        while not self.stop.is_set():
            self.each_round()
            result = self._once()
            if result is not None and result.status != "nothing_new":
                LOG.info(
                    "%s publication %s",
                    result.status,
                    result.publication,
                    extra={"publication": result.publication, "seconds": result.seconds},
                )
                yield result
                if result.status == "audit_failed":
                    return
                n_published += 1
                if n_published % self.pace.care_after == 0:
                    self._care()
            self.stop.wait(self.pace.interval / 1_000_000)

    def _once(self) -> RunResult | None:
        settings = reread_tables(self.settings)
        try:
            request = RunRequest(
                inputs=present(settings), beam_args=self.beam_args,
                workers=self.workers, audit=self.audit,
            )  # fmt: skip
            done = run(settings, request, self.progress)
        except AnotherWriter:
            return None
        except BrokerError as fault:  # it may answer again
            LOG.error("%s; trying again", fault)
            return None
        except FileNotFoundError:  # renamed after it was listed; else it would be missed again
            self._n_misses += 1
            if self._n_misses > MAX_MISSES:
                raise
            return None
        self._n_misses = 0
        return done

    def _care(self) -> None:
        store = self.settings.store
        with contextlib.suppress(AnotherWriter):  # such as a repair: the next care does it
            compact.compact(store, self.settings.retention.since(storage.now()))
            vacuum.vacuum(store, self.pace.keep_for, storage.now(), dry_run=False)


def present(settings: Settings) -> list[SourceFile | TopicShard]:
    """Return the files that are whole, and all partitions."""
    partitions = [p for source in settings.sources.values() for p in shards.partitions(source)]
    return [*listed(settings, is_whole), *partitions]


def reread_tables(settings: Settings) -> Settings:
    """Return the settings without cached contents of operational tables, which grow meanwhile."""
    fields = {name: getattr(settings, name) for name in type(settings).model_fields}
    return settings.model_construct(settings.model_fields_set, **fields)
