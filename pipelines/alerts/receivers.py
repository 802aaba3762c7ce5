"""Receivers of messages, and how one fails."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol

from rejse.pipelines.alerts.messages import Message
from rejse.transforms.errors import RejseError


class UnreachableError(RejseError):
    """The receiver cannot take a message now; another try may succeed.

    Attributes:
        after: Seconds that it asks to wait.
    """

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.after = after


class RefusedError(RejseError):
    """The receiver will never take this message."""


class Receiver(Protocol):
    """Takes messages; returns when one is taken for good.

    Raises UnreachableError, RefusedError.
    """

    def send(self, message: Message) -> None:
        """Deliver a message."""


class FileReceiver:
    """A file of JSON lines, private to its owner."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, message: Message) -> None:
        """Append a message and sync it to disk; a line that a kill left unfinished is ended."""
        line = json.dumps(message, ensure_ascii=False) + "\n"
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as out:
                size = out.seek(0, os.SEEK_END)
                is_torn = size > 0 and os.pread(out.fileno(), 1, size - 1) != b"\n"
                out.write((b"\n" if is_torn else b"") + line.encode())
                out.flush()
                os.fsync(out.fileno())
        except OSError as fault:
            raise UnreachableError(f"{self._path.name}: {fault.strerror}") from None
