"""Handle SIGINT and SIGTERM: stop the work at its next step, then end the process.

The signal raises `Interrupted` in the main thread, once, and stops worker threads at their next
batch (`check`). Python handles a signal only between two steps of its main thread, which a library
may block. A second thread therefore listens too: where the work has not ended within GRACE, it
removes the work's folders and ends the process. Readers see no difference: a publication is one
commit.
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
#: Seconds that the work has to end by itself; then the same for reporting the end.
GRACE = 4.0


class Interrupted(BaseException):
    """A signal was received. It is no Exception, so that handlers of those do not catch it."""


class StoppedError(RejseError):
    """A signal stopped the work of a worker thread."""


@dataclass
class _State:
    """Signals received by this process; `folders` are removed when it ends.

    `stoppable` ends processes that would still write into them.
    """

    signal: int | None = None
    is_raised: bool = False
    folders: set[Path] = field(default_factory=set)
    stoppable: list[Callable[[], None]] = field(default_factory=list)
    #: Held by the thread that reports the end: the main thread, or the listening one.
    ending: threading.Lock = field(default_factory=threading.Lock)
    #: Reports the end of a process of our own; None in other processes.
    say: Callable[[int, str], None] | None = None


_state = _State()


def received() -> int | None:
    """Return the signal that was received; None where there was none."""
    return _state.signal


def code() -> int:
    """Return the exit code of a process that a signal ended: 130 or 143."""
    return 128 + (_state.signal or 0)


def message() -> str:
    """Return the message of a process that a signal ended."""
    name = signal.Signals(_state.signal or signal.SIGINT).name
    return f"rejse: interrupted ({name}); what was not published yet is done by the next run"


def check() -> None:
    """Raise StoppedError once a signal was received; workers call it between batches."""
    if _state.signal is not None:
        raise StoppedError("a signal has ended the work")


def keep(folder: Path) -> None:
    """Register a folder to remove where the process must end at once."""
    _state.folders.add(folder)


def keep_stoppable(stop: Callable[[], None]) -> None:
    """Register what ends processes of the work where this one must end at once."""
    _state.stoppable.append(stop)


def forget_stoppable(stop: Callable[[], None]) -> None:
    """Take back what `keep_stoppable` registered: its processes have ended."""
    _state.stoppable.remove(stop)


def heed(say: Callable[[int, str], None], grace: float = GRACE) -> None:
    """Listen to signals from here on; a process of our own calls it once.

    `say` receives exit code and message where the process ends before its work does. `grace` is in
    seconds.
    """
    _state.say = say
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _raise)
    threading.Thread(target=_listen, args=(reading, say, grace), daemon=True).start()


def is_ours() -> bool:
    """Return whether this is a process of our own, not a test's or a notebook's."""
    return _state.say is not None


@contextmanager
def deadline(seconds: float | None, code: int, message: str) -> Iterator[None]:
    """End the process, if it is one of our own, where the work inside takes longer.

    It ends with `code` and `message` even where a library blocks the thread, so that no exception
    can be raised in it.
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
    """Return whether a signal was received, and stop interrupting from here on.

    The caller reports how the process ends. Where another thread reports it already, wait for the
    end.
    """
    _state.is_raised = True
    _state.ending.acquire()
    return _state.signal is not None


def leave(code: int) -> None:
    """End the process with its threads, after ending the work and removing its folders."""
    for stop in _state.stoppable:
        stop()
    for folder in _state.folders:
        shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise `Interrupted` once: the clean-up after it must not be interrupted."""
    _state.signal = _state.signal or number
    logging.disable()  # libraries would log where it interrupted them
    if not _state.is_raised:
        _state.is_raised = True
        raise Interrupted(message())


def _listen(reading: int, say: Callable[[int, str], None], grace: float) -> None:
    number = 0
    while number not in SIGNALS:
        number = os.read(reading, 1)[0]
    _state.signal = _state.signal or number  # the main thread may handle it later
    threading.Event().wait(grace)
    if _state.ending.acquire(blocking=False):
        say(code(), message())
    else:
        threading.Event().wait(grace)  # the main thread reports and leaves, unless it hangs
    leave(code())
