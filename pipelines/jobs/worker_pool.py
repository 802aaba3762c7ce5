"""Workers of this machine: the methods of one object, called in this process or in a pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Workers(Protocol):
    """Some workers, each with a copy of one object."""

    def map(self, method: str, tasks: Iterable[Sequence[Any]]) -> list[Any]:
        """Call a method with the arguments of each task, on whatever worker is free."""

    def broadcast(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method once on every worker."""


class ThisProcess:
    """One worker: this process."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def map(self, method: str, tasks: Iterable[Sequence[Any]]) -> list[Any]:
        """Call a method with the arguments of each task."""
        return [getattr(self._worker, method)(*task) for task in tasks]

    def broadcast(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method once."""
        return self.map(method, [arguments])
