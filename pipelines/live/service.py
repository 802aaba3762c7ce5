"""The service of `rejse live`: the loop of runs, and what stands beside it as long as it runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.run import RunResult
from rejse.pipelines.live import open_telemetry, status
from rejse.pipelines.live.hot_process import HotProcess
from rejse.pipelines.live.publishing_loop import Loop, Pace
from rejse.pipelines.runtime import service_manager
from rejse.pipelines.store import delta_store

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What `rejse live` runs.

    Attributes:
        config: Its configuration file, which processes beside the loop read themselves.
        settings: What it holds.
        pace: How often the loop does what.
        look_every: Seconds between two looks of the hot core; 0: there is none.
    """

    config: Path
    settings: Settings
    pace: Pace
    look_every: float
    beam_args: Sequence[str] = ()
    workers: int | None = None

    def results(self) -> Iterator[RunResult]:
        """Yield each run that published, until it is stopped or an audit fails.

        Raises what `Loop.results` raises.
        """
        watchdog = service_manager.Watchdog()
        with ExitStack() as beside:
            hot = None
            if self.look_every:
                hot = beside.enter_context(HotProcess(self.config, self.look_every))
            beside.enter_context(watchdog.at_work())
            beside.enter_context(open_telemetry.pushed(self._status))

            def each_round() -> None:
                watchdog.round()
                if hot is not None and (code := hot.keep()) is not None:
                    LOG.error("the hot core ended with code %s; it begins again", code)

            loop = Loop(
                self.settings, self.pace, beam_args=self.beam_args, workers=self.workers,
                each_round=each_round,
                progress=watchdog.progress if service_manager.SOCKET in os.environ else None,
            )  # fmt: skip
            service_manager.notify("READY=1")
            yield from loop.results()

    def _status(self) -> status.Status:
        return status.status(self.settings, delta_store.now())
