"""Workers of a pool that are counted, that fail, and that die; imported by the pool's processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

from rejse.pipelines.jobs.local_graph import GraphWorker
from rejse.transforms.errors import MisuseError

#: Names the process that a signal goes to, and a file that receives the id of a worker.
TARGET, NOTE, NUMBER = "REJSE_TEST_TARGET", "REJSE_TEST_NOTE", "REJSE_TEST_SIGNAL"


class TwoArgumentsError(Exception):
    """An exception that a pickle does not bring back."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class Adding:
    """Adds numbers, and can be told to fail."""

    def __init__(self, start: int) -> None:
        self.total = start

    def add(self, number: int) -> int:
        self.total += number
        return number

    def result(self) -> tuple[int, int]:
        return os.getpid(), self.total

    def threads(self) -> str:
        return os.environ["OMP_NUM_THREADS"]

    def refuse(self) -> None:
        raise MisuseError("expected a number, came a word")

    def refuse_oddly(self) -> None:
        raise TwoArgumentsError("this", "that")

    def die(self, number: int) -> None:
        os.kill(os.getpid(), number)
        threading.Event().wait()

    def leave(self, code: int) -> None:
        os._exit(code)


class Dying(GraphWorker):
    """Dies of its first group of buckets, as one that takes too much memory."""

    def score(self, *group: Any) -> None:
        super().score(*group)
        os.kill(os.getpid(), signal.SIGKILL)


class Signalling(GraphWorker):
    """Sends a signal to the run while it is at work, and stays at work."""

    def score(self, *group: Any) -> None:
        super().score(*group)
        Path(os.environ[NOTE]).write_text(str(os.getpid()))
        os.kill(int(os.environ[TARGET]), int(os.environ[NUMBER]))
        threading.Event().wait()
