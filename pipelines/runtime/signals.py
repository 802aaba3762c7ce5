"""SIGINT and SIGTERM: the work ends at its next step, and the process soon after that.

The signal raises `Interrupted` in the main thread, once, and stops worker threads at their next
batch (`check`). Python hears of a signal only between two steps of its main thread, which a library
may hold for long: so another thread hears of it too, and where the work has not ended by itself
within GRACE it removes what the work would have removed and ends the process. Nothing that a reader
sees depends on where that was: a publication is one commit.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rejse.transforms.errors import RejseError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds that the work has to end by itself, and then whoever says so.
GRACE = 4.0


class Interrupted(BaseException):
    """A signal has come. No Exception: whatever handles those goes on."""


class StoppedError(RejseError):
    """Work of a thread beside the main one that is wanted no more."""


@dataclass
class _State:
    """What this process has heard; `folders` go with it."""

    signal: int | None = None
    is_raised: bool = False
    folders: set[Path] = field(default_factory=set)
    #: Held by whoever says how the process ends: the main thread, or the one that listens.
    ending: threading.Lock = field(default_factory=threading.Lock)
    #: How the end of a process of our own is said; None where it is not ours to end.
    say: Callable[[int, str], None] | None = None


_state = _State()


def received() -> int | None:
    """The signal that has come; None where none has."""
    return _state.signal


def code() -> int:
    """Exit code of a process that a signal has ended: 130 or 143."""
    return 128 + (_state.signal or 0)


def message() -> str:
    """What is said then."""
    name = signal.Signals(_state.signal or signal.SIGINT).name
    return f"rejse: interrupted ({name}); what was not published yet is done by the next run"


def check() -> None:
    """Raise StoppedError once a signal has come: between two batches of a worker."""
    if _state.signal is not None:
        raise StoppedError("a signal has ended the work")


def keep(folder: Path) -> None:
    """Have the folder removed where the process must end at once."""
    _state.folders.add(folder)


def heed(say: Callable[[int, str], None]) -> None:
    """Listen to signals from here on; to be called by a process of our own, once.

    `say` is given exit code and message where the process ends before its work does.
    """
    _state.say = say
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _raise)
    threading.Thread(target=_listen, args=(reading, say), daemon=True).start()


def is_ours() -> bool:
    """Whether this is a process of our own, no test's and no notebook's."""
    return _state.say is not None


@contextmanager
def deadline(seconds: float | None, code: int, message: str) -> Iterator[None]:
    """End the process, if it is one of our own, with this code and message where the work inside
    takes longer and a library holds its thread, so that no error can be raised in it.
    """
    if seconds is None or not (say := _state.say):
        yield
        return
    timer = threading.Timer(seconds, _expire, (say, code, message))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _expire(say: Callable[[int, str], None], code: int, message: str) -> None:
    if _state.ending.acquire(blocking=False):
        say(code, message)
        leave(code)


def end() -> bool:
    """Whether a signal has come. From here on none interrupts, and the caller says how the process
    ends; where another thread is saying it, this one waits for the end.
    """
    _state.is_raised = True
    _state.ending.acquire()
    return _state.signal is not None


def leave(code: int) -> None:
    """End the process with what threads still do, and remove what the work would have removed."""
    for folder in _state.folders:
        shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _raise(number: int, frame: FrameType | None) -> None:
    """Once: what is cleaned up after it must not be interrupted."""
    _state.signal = _state.signal or number
    logging.disable()  # libraries would tell where it came upon them
    if not _state.is_raised:
        _state.is_raised = True
        raise Interrupted(message())


def _listen(reading: int, say: Callable[[int, str], None]) -> None:
    number = 0
    while number not in SIGNALS:
        number = os.read(reading, 1)[0]
    _state.signal = _state.signal or number  # the main thread may hear of it later
    threading.Event().wait(GRACE)
    if _state.ending.acquire(blocking=False):
        say(code(), message())
    else:
        threading.Event().wait(GRACE)  # the main thread says it, and leaves, unless it hangs
    leave(code())
