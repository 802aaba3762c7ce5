"""Durations as text (`30d`, `30min`, `1d12h`) and as microseconds."""

from __future__ import annotations

import re

_UNITS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "min": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|ms|us|[wdhs])\s*")


def parse(text: str) -> int:
    """Return the microseconds of a duration such as `30d`, `30min`, `10s` or `1d12h`.

    Raises ValueError for other texts; a bare number has no unit.
    """
    rest, total = text.strip(), 0.0
    if not rest:
        raise ValueError("expected a duration such as 30d, 30min or 10s, came an empty text")
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ValueError(
                f"expected a duration such as 30d, 30min or 10s, came {text!r};"
                " units are w, d, h, min, s, ms, us"
            )
        total += float(part[1]) * _UNITS[part[2]]
        rest = rest[part.end() :]
    return round(total)


def render(microseconds: int) -> str:
    """Return the shortest text that `parse` turns back into these microseconds, in whole units."""
    parts, rest = [], microseconds
    for unit, size in _UNITS.items():
        if unit != "w" and rest >= size:
            count, rest = divmod(rest, size)
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
