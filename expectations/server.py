"""Serve audits, `python -m rejse.expectations.server`: one request a line until EOF.

A request is an object: the store, its files and rows by table. The answer, one line, is the report
and the memory it took. An error ends the process, with a message on its standard error. It writes
no file of its own, so a killed run leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

#: Bytes in a unit of `ru_maxrss`.
UNIT = 1 if sys.platform == "darwin" else 1024
#: Audits a request and returns the report.
Audited = Callable[[Mapping[str, Any]], dict[str, Any]]


def serve(requests: Iterable[bytes], answers: TextIO, audited: Audited) -> None:
    """Answer each request with `{"report": …, "peak": bytes held at most so far}`."""
    for line in requests:
        report = audited(json.loads(line))
        answer = json.dumps({"report": report, "peak": peak()}, default=str)
        print(answer, file=answers, flush=True)


def _receive(requests: int, lines: queue.SimpleQueue[bytes]) -> None:
    """Put each whole line of a descriptor into a queue; end the process at its end."""
    held = b""
    while block := os.read(requests, 1 << 16):
        *whole, held = (held + block).split(b"\n")
        for line in whole:
            lines.put(line)
    os._exit(0)


def peak() -> int:
    """Return the peak memory of this process in bytes; `ru_maxrss` includes its parent's."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main(imported: Callable[[], Audited]) -> None:
    """Serve the standard input; drop what libraries print to the standard output.

    Signals to all processes of a service or terminal are ignored: they end the requesting process.
    The end of the input ends this one, even during an audit.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.fileno(), lines), daemon=True).start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        serve(iter(lines.get, None), answers, imported())


def great_expectations() -> Audited:
    """Import and return the audit; that takes seconds."""
    from rejse.expectations import audit

    return audit.audited


if __name__ == "__main__":
    main(great_expectations)
