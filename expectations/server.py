"""The audit's process, `python -m rejse.expectations.server`: one request a line until EOF.

A request is an object: the store, its files and rows by table. The answer, one line, is the report
and what it took. What cannot be audited ends the process, which says why on its standard error. It
writes no file of its own: nothing of a run that was killed comes after it.
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
#: Audits what a request names; the report.
Audited = Callable[[Mapping[str, Any]], dict[str, Any]]


def serve(requests: Iterable[bytes], answers: TextIO, audited: Audited) -> None:
    """Answer each request with `{"report": …, "peak": bytes held at most so far}`."""
    for line in requests:
        report = audited(json.loads(line))
        answer = json.dumps({"report": report, "peak": peak()}, default=str)
        print(answer, file=answers, flush=True)


def _receive(requests: int, lines: queue.SimpleQueue[bytes]) -> None:
    """Put each whole line of a descriptor into a queue; its end is that of the process."""
    held = b""
    while block := os.read(requests, 1 << 16):
        *whole, held = (held + block).split(b"\n")
        for line in whole:
            lines.put(line)
    os._exit(0)


def peak() -> int:
    """Bytes that this process held at most; `ru_maxrss` begins with what its parent held."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main(imported: Callable[[], Audited]) -> None:
    """Serve the standard input; what libraries print is not an answer and goes nowhere.

    Signals that go to all processes of a service or of a terminal end the one that asks, not this
    one. The input's end does, whatever is being audited: whoever asked has ended, or was killed.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.fileno(), lines), daemon=True).start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        serve(iter(lines.get, None), answers, imported())


def great_expectations() -> Audited:
    """The audit; its imports take seconds."""
    from rejse.expectations import audit

    return audit.audited


if __name__ == "__main__":
    main(great_expectations)
