"""Publishing that dies after some of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.store import delta_store

#: What a publication does, in order: a commit a table, the catalogue, the truth, the pointer.
STEPS: list[tuple[Any, str]] = [
    (delta_store, "transact"),
    (catalogue_build, "build"),
    (catalogue, "activate"),
]


class Crash(BaseException):
    """Stands for a kill: nothing may catch it."""


def crash_after(patched: pytest.MonkeyPatch, after: int) -> None:
    """After so many steps of publishing the next ones die."""
    left = after

    def crashing(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **given: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            return function(*args, **given)

        return step

    for module, name in STEPS:
        patched.setattr(module, name, crashing(getattr(module, name)))
