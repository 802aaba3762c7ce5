"""Workers of this machine: copies of one object, here or in a pool of forked processes.

One process of the pool imports what workers need and receives the object; then it forks the others,
before it has threads of its own. So the imports are paid once, and no worker inherits the locks of
a thread that it does not have. All of them end when this process does, whatever ends it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Protocol

from rejse.pipelines.runtime import process_limits, signals
from rejse.transforms.errors import RejseError

PROGRAM = "rejse.pipelines.jobs.worker_process"
#: Rows for each process of a pool: with fewer its start costs more than it gains.
ROWS_PER_WORKER = 100_000


class WorkerDiedError(RejseError):
    """A process of the pool ended before its work was done."""


class Workers(Protocol):
    """Some workers, each with a copy of one object."""

    @property
    def n(self) -> int:
        """Return how many there are."""

    def map(self, method: str, tasks: Iterable[Sequence[Any]]) -> list[Any]:
        """Call a method with the arguments of each task, on whatever worker is free.

        Returns the results in the order of the tasks. Raises whatever a worker raised.
        """

    def broadcast(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method once on every worker. Raises whatever a worker raised."""


class ThisProcess:
    """One worker: this process."""

    n = 1

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def map(self, method: str, tasks: Iterable[Sequence[Any]]) -> list[Any]:
        """Call a method with the arguments of each task."""
        return [getattr(self._worker, method)(*task) for task in tasks]

    def broadcast(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method once."""
        return self.map(method, [arguments])


class Call(NamedTuple):
    """What a worker is asked to do."""

    method: str
    arguments: Sequence[Any]


class Answer(NamedTuple):
    """What a worker returned, or the exception that it raised."""

    value: Any
    fault: BaseException | None


def n_workers(rows: int, most: int | None) -> int:
    """Return how many processes read and score so many rows.

    Args:
        rows: Rows to read, about.
        most: The number that was asked for; None: a process for each core.
    """
    if not hasattr(os, "fork"):
        return 1
    return max(1, min(most or n_cores(), rows // ROWS_PER_WORKER))


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def workers(worker: Any, n: int) -> Iterator[Workers]:
    """Give `n` workers, each with its copy of an object: this process for one, else a pool."""
    if n == 1:
        yield ThisProcess(worker)
        return
    with Pool(worker, n) as pool:
        yield pool


class Pool:
    """A pool of processes. As a context: the processes end with it."""

    def __init__(self, worker: Any, n: int) -> None:
        self._worker, self.n = worker, n

    def __enter__(self) -> Pool:
        pairs = [socket.socketpair() for _ in range(self.n)]
        theirs = [other.fileno() for _, other in pairs]
        self._process = subprocess.Popen(
            [sys.executable, "-m", PROGRAM, *map(str, theirs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=theirs, process_group=0,
            env={**os.environ, **process_limits.SINGLE_THREADED},
        )  # fmt: skip
        signals.keep_stoppable(self.kill)
        self._connections = []
        for ours, other in pairs:
            other.close()
            self._connections.append(Connection(ours.detach()))
        try:
            self._send_worker()
        except BaseException as fault:
            self.__exit__(type(fault))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.kill()
        for connection in self._connections:
            connection.close()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._process.wait()
        signals.forget_stoppable(self.kill)
        self._stdout.close()

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def _stdout(self) -> Any:
        return self._process.stdout

    def _send_worker(self) -> None:
        """Send the object; the pipe stays open, and its end ends the workers."""
        with contextlib.suppress(BrokenPipeError):  # whoever asks a worker hears of its end
            pickle.dump(sys.path, self._stdin)
            pickle.dump(self._worker, self._stdin, pickle.HIGHEST_PROTOCOL)
            self._stdin.flush()

    def map(self, method: str, tasks: Iterable[Sequence[Any]]) -> list[Any]:
        """Call a method with the arguments of each task, on whatever worker is free.

        Raises:
            WorkerDiedError: a worker ended.

        Raises also whatever a worker raised.
        """
        left, results = enumerate(tasks), dict[int, Any]()
        busy: dict[Any, int] = {}

        def ask_next(connection: Connection) -> None:
            for place, task in left:
                self._ask(connection, Call(method, task))
                busy[connection] = place
                return

        for connection in self._connections:
            ask_next(connection)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                results[busy.pop(ready)] = self._answer(ready)
                ask_next(ready)
        return [results[place] for place in range(len(results))]

    def broadcast(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method once on every worker. Raises as `map` does."""
        for connection in self._connections:
            self._ask(connection, Call(method, arguments))
        return [self._answer(connection) for connection in self._connections]

    def _ask(self, connection: Connection, call: Call) -> None:
        try:
            connection.send(call)
        except OSError:
            raise self._death(connection) from None

    def _answer(self, connection: Connection) -> Any:
        try:
            value, fault = connection.recv()
        except (EOFError, OSError):
            raise self._death(connection) from None
        if fault is not None:
            raise fault
        return value

    def _death(self, connection: Connection) -> WorkerDiedError:
        """Return the error of a worker that has ended, with how it did."""
        place = self._connections.index(connection)
        for line in self._stdout:  # ends with the last process of the pool
            number, code = map(int, line.split())
            if number == place:
                return WorkerDiedError(_words(code))
        return WorkerDiedError("the processes of the pool have ended; nothing was published")

    def kill(self) -> None:
        """End all processes of the pool at once, and wait for their end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        while os.read(self._stdout.fileno(), 1 << 12):
            pass  # each of them holds the pipe


def _words(code: int) -> str:
    """Return how a worker ended, by its exit code as `os.waitstatus_to_exitcode` has it."""
    if code >= 0:
        return f"a worker ended with exit code {code}; nothing was published"
    how = f"signal {-code} ({signal.Signals(-code).name})"
    hint = "; where memory ran out, take fewer: --workers N" if -code == signal.SIGKILL else ""
    return f"a worker was ended by {how}; nothing was published{hint}"
