"""The processes of a pool: `python -m rejse.pipelines.jobs.worker_process DESCRIPTOR...`.

The first one receives a pickled object on its standard input and forks a worker for each descriptor
of a socket. It writes a line (number of the worker, exit code) for each that ends. The end of the
standard input, which stays open as long as the process that wants the work lives, ends all.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from rejse.pipelines.jobs.worker_pool import Answer, WorkerDiedError
from rejse.pipelines.runtime import process_limits, signals

STDIN, STDOUT = 0, 1


def main(descriptors: Sequence[int]) -> None:
    """Fork a worker for each descriptor and wait for their ends."""
    for number in signals.SIGNALS:  # to all processes of a service: they end who wants the work
        signal.signal(number, signal.SIG_IGN)
    process_limits.tune_allocator()
    process_limits.raise_open_files()
    reports = os.dup(STDOUT)
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what libraries print
    worker = _received()
    forked = {}
    for place, descriptor in enumerate(descriptors):
        pid = os.fork()
        if pid == 0:
            for other in descriptors:
                if other != descriptor:
                    os.close(other)
            _serve(Connection(descriptor), worker)
        forked[pid] = place
    for descriptor in descriptors:
        os.close(descriptor)
    while forked:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(BrokenPipeError):  # nobody is there to read it
            os.write(reports, f"{forked.pop(pid)} {code}\n".encode())


def _received() -> Any:
    """Return the object, imported from where the sender imports."""
    with os.fdopen(os.dup(STDIN), "rb") as pipe:
        sys.path[:] = pickle.load(pipe)
        return pickle.load(pipe)


def _serve(connection: Connection, worker: Any) -> None:
    """Answer calls until nobody asks any more; never return."""
    threading.Thread(target=_end_with_sender, daemon=True).start()
    _single_threaded()
    code = 1
    try:
        while True:
            method, arguments = connection.recv()
            connection.send_bytes(_answer(worker, method, arguments))
    except (EOFError, OSError):
        code = 0  # nobody is there to answer
    finally:
        os._exit(code)


def _end_with_sender() -> None:
    while os.read(STDIN, 1):
        pass
    os._exit(1)


def _single_threaded() -> None:
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _answer(worker: Any, method: str, arguments: Sequence[Any]) -> bytes:
    """Return the pickled answer to a call; an exception that is none comes in words."""
    try:
        return pickle.dumps(Answer(getattr(worker, method)(*arguments), None))
    except BaseException as fault:
        where = traceback.format_exc()
        fault.add_note(f"in a worker:\n{where}")
        try:
            answer = pickle.dumps(Answer(None, fault))
            pickle.loads(answer)
        except Exception:  # such as one whose constructor takes other arguments
            words = f"{type(fault).__name__} in a worker: {fault}"
            answer = pickle.dumps(Answer(None, WorkerDiedError(words)))
        return answer


if __name__ == "__main__":
    main([int(descriptor) for descriptor in sys.argv[1:]])
