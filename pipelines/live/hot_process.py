"""The process of the hot loop: `python -m rejse.pipelines.live.hot_process CONFIG SECONDS`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.live.side_process import SideProcess, end_with_parent

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings
    from rejse.pipelines.live.hot_loop import Listener

MODULE = "rejse.pipelines.live.hot_process"


def beside(config: Path, pause: float) -> SideProcess:
    """Return the process of a configuration; it looks at the sources every `pause` seconds."""
    return SideProcess(MODULE, str(config), str(pause))


def main(config: Path, pause: float) -> None:
    """Run the hot loop until standard input ends."""
    end_with_parent()
    from rejse.pipelines.config import settings
    from rejse.pipelines.live.hot_loop import HotLoop

    loaded = settings.load(config)
    for _ in HotLoop(loaded, pause, listeners(loaded)).steps():
        pass


def listeners(settings: Settings) -> list[Listener]:
    """Return what acts on provisional rows, by the configuration. Raises SettingsError."""
    out: list[Listener] = []
    if settings.alerts is not None:
        from rejse.pipelines.alerts import alerting

        threads = alerting.started(settings.store, settings.alerts)
        out.append(
            lambda base, touched, watermarks: threads.take(
                alerting.step_of(base, touched.customers, touched.tables, watermarks)
            )
        )
    return out


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
