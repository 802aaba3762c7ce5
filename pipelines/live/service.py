"""The service of `rejse live`: the loop of runs, and what stands beside it as long as it runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rejse.pipelines.config import http_token
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.run import RunResult
from rejse.pipelines.live import hot_process, http_process, http_server, open_telemetry, status
from rejse.pipelines.live.publishing_loop import Loop, Pace
from rejse.pipelines.live.side_process import SideProcess
from rejse.pipelines.runtime import service_manager
from rejse.pipelines.store import delta_store, lock

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What `rejse live` runs.

    Attributes:
        config: Its configuration file, which processes beside the loop read themselves.
        settings: What it holds.
        pace: How often the loop does what.
        look_every: Seconds between two looks of the hot core; 0: there is none.
        http: Address of the server; None: there is none.
    """

    config: Path
    settings: Settings
    pace: Pace
    look_every: float
    http: str | None = None
    beam_args: Sequence[str] = ()
    workers: int | None = None

    def results(self) -> Iterator[RunResult]:
        """Yield each run that published, until it is stopped or an audit fails.

        Raises MisuseError where the address is not free, and what `Loop.results` raises.
        """
        watchdog = service_manager.Watchdog()
        with ExitStack() as stack:
            beside = {name: stack.enter_context(p) for name, p in self._beside(stack).items()}
            stack.enter_context(watchdog.at_work())
            stack.enter_context(open_telemetry.pushed(self._status))

            def each_round() -> None:
                watchdog.round()
                for name, process in beside.items():
                    if (code := process.keep()) is not None:
                        LOG.error("%s ended with code %s; it begins again", name, code)

            loop = Loop(
                self.settings, self.pace, beam_args=self.beam_args, workers=self.workers,
                each_round=each_round,
                progress=watchdog.progress if service_manager.SOCKET in os.environ else None,
            )  # fmt: skip
            service_manager.notify("READY=1")
            yield from loop.results()

    def _beside(self, stack: ExitStack) -> dict[str, SideProcess]:
        """Return the processes beside the loop, by name."""
        beside = {}
        if self.look_every:
            lock.refuse_hot(self.settings.store)  # before the work
            beside["the hot core"] = hot_process.beside(self.config, self.look_every)
        if self.http is not None:
            token_file = self.settings.token_file
            http_token.token(token_file, self.settings.store_mode)  # refuse it before the work
            listener = stack.enter_context(http_server.listening(self.http))
            host, port = listener.getsockname()[:2]
            LOG.warning(
                "answers on %s port %s; token: %s", host, port, http_token.place(token_file)
            )
            beside["the server"] = http_process.beside(self.config, listener)
        return beside

    def _status(self) -> status.Status:
        return status.status(self.settings, delta_store.now())
