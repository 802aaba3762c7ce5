"""What is known of a data file of the store without opening it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StagedFile:
    """A written file; `path` is relative to the store, with `/`."""

    table: str
    path: str
    rows: int
    bytes: int
