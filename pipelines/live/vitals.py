"""What the hot core says of itself, for `rejse status` and metrics: a note beside its rows."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rejse.pipelines.store import notes
from rejse.pipelines.store.traces import OVERLAY

NOTE = "vitals.json"
#: Seconds over which steps are summed up, and after which a hot core that says nothing is dead.
MINUTE, DEAD_AFTER = 60.0, 10.0
#: Seconds between two notes at least.
PAUSE = 1.0


@dataclass(frozen=True)
class Vitals:
    """The state of a hot core.

    Attributes:
        base: The publication on which its rows lie.
        at: When it said so, seconds since 1970.
        steps: Steps of the last minute that changed rows.
        customers: Customers that these scored, one as often as they were scored.
        p50_s: Median seconds from the look that found something to its rows being laid over the
            publication; None without such a step in the last minute.
        p99_s: The 99th percentile.
        last_error: The last error that it went on after, since it started.
    """

    base: int
    at: float
    steps: int
    customers: int
    p50_s: float | None
    p99_s: float | None
    last_error: str | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the hot core said so lately."""
        return time.time() - self.at <= DEAD_AFTER


@dataclass
class Pulse:
    """Takes the steps of a hot core and writes its vitals, once a second at most.

    Attributes:
        store: Folder of the store.
        last_error: What it went on after.
    """

    store: Path
    last_error: str | None = None
    _steps: deque[tuple[float, float, int]] = field(default_factory=deque)
    _noted: float = -math.inf

    def beat(self, base: int, seconds: float, customers: int) -> None:
        """Take a look on a publication that took so long and scored so many customers."""
        now = time.monotonic()
        if customers:
            self._steps.append((now, seconds, customers))
        while self._steps and self._steps[0][0] < now - MINUTE:
            self._steps.popleft()
        if now - self._noted >= PAUSE:
            self._noted = now
            self._write(base)

    def _write(self, base: int) -> None:
        took = sorted(seconds for _, seconds, _ in self._steps)
        vitals = Vitals(
            base, time.time(), len(took), sum(n for _, _, n in self._steps),
            percentile(took, 0.5), percentile(took, 0.99), self.last_error,
        )  # fmt: skip
        notes.write(self.store / OVERLAY / NOTE, asdict(vitals))


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of ordered values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def vitals(store: Path) -> Vitals | None:
    """Return what the hot core of a store said last; None where there is none."""
    try:
        return Vitals(**json.loads((store / OVERLAY / NOTE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # TypeError: of another version
        return None
