"""Tell systemd that a service is ready, and that it still works (`sd_notify(3)`).

A watchdog that any living process satisfies would miss one that hangs. Here the process says that
it works as long as its main loop comes round, its work gets on, or it uses the processor: a run
over years of logs takes hours, and a hung one does none of these.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

SOCKET = "NOTIFY_SOCKET"
#: Microseconds after which systemd kills a service that says nothing.
WATCHDOG = "WATCHDOG_USEC"
#: CPU seconds in an interval of the watchdog that are work, not waking up to see whether to go on.
WORK = 0.05


def notify(state: str) -> None:
    """Send a state such as `READY=1`; do nothing where no service manager listens."""
    address = os.environ.get(SOCKET)
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


@dataclass
class Watchdog:
    """Says that the process works, as long as it does."""

    _is_round: threading.Event = field(default_factory=threading.Event)
    _cpu: float = field(default_factory=time.process_time)
    _progress: str = ""

    def round(self) -> None:
        """Note that the main loop came round."""
        self._is_round.set()

    def progress(self, text: str) -> None:
        """Note how far the work is; that it gets on is another text than before."""
        if text != self._progress:
            self._progress = text
            self._is_round.set()
            notify(f"STATUS={text}")

    def look(self) -> None:
        """Tell the service manager if there was work since the last look."""
        used = time.process_time()
        if self._is_round.is_set() or used - self._cpu >= WORK:
            notify("WATCHDOG=1")
        self._is_round.clear()
        self._cpu = used

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Watchdog]:
        """Look as often as the service manager wants, in a thread; not at all where it does not."""
        interval = int(os.environ.get(WATCHDOG, 0)) / 3e6
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(interval):
                self.look()

        if interval:
            threading.Thread(target=watch, daemon=True).start()
        try:
            yield self
        finally:
            ended.set()
