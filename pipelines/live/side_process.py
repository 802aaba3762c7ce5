"""A process beside the publishing loop: `python -m MODULE ARGUMENTS`.

It shares only files with the loop, so that its end, whatever ends it, costs nothing that is
published. It ends with its standard input, which is open as long as the process that wants it
lives.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from rejse.pipelines.runtime import logs, signals


class SideProcess:
    """The process, for as long as the context; one that has ended is started again by `keep`."""

    def __init__(self, module: str, *arguments: str, descriptors: Sequence[int] = ()) -> None:
        """Take its module, its arguments, and the open files that it inherits."""
        self._command = [sys.executable, "-m", module, *arguments]
        self._descriptors = descriptors

    def __enter__(self) -> SideProcess:
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
        return subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            pass_fds=self._descriptors,
        )  # fmt: skip


def end_with_parent() -> None:
    """Let this process end when its standard input does, not by a signal; log as its parent."""
    for number in signals.SIGNALS:  # to all processes of a service: they end who wants the work
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, daemon=True).start()
    logs.configure()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    signals.leave(0)  # nothing is lost with it
