"""The process of the hot loop: `python -m rejse.pipelines.live.hot_process CONFIG SECONDS`.

It runs beside the loop of bounded runs and shares only files with it: its end, whatever ends it,
costs nothing but provisional rows. It ends with its standard input, which is open as long as the
process that wants it lives.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rejse.pipelines.runtime import logs, signals

MODULE = "rejse.pipelines.live.hot_process"


class HotProcess:
    """The process, for as long as the context; one that has ended is started again by `keep`."""

    def __init__(self, config: Path, pause: float) -> None:
        self._command = [sys.executable, "-m", MODULE, str(config), str(pause)]

    def __enter__(self) -> HotProcess:
        self._process = self._started()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def keep(self) -> int | None:
        """Start the process again if it has ended; return its exit code then."""
        code = self._process.poll()
        if code is not None:
            self.__exit__()
            self._process = self._started()
        return code

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def main(config: Path, pause: float) -> None:
    """Run the hot loop until standard input ends."""
    for number in signals.SIGNALS:  # to all processes of a service: they end who wants the work
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, daemon=True).start()
    logs.configure()
    from rejse.pipelines.config import settings
    from rejse.pipelines.live.hot_loop import HotLoop

    for _ in HotLoop(settings.load(config), pause).steps():
        pass


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # nothing is lost with it


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
