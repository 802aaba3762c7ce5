"""Read the SQL files of `[promise_checks]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rejse.pipelines.config.field_types import SettingsError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def read(places: Mapping[str, Path]) -> dict[str, str]:
    """Return the SQL of every check by name. Raises SettingsError for an invalid name or file."""
    seen: dict[str, str] = {}
    for name in places:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                "promise_checks: expected names of letters, digits, _ and - that begin with a "
                f"letter, came {name!r}"
            )
        if seen.setdefault(name.lower(), name) != name:
            raise SettingsError(
                "promise_checks: expected names that differ by more than upper and lower case, "
                f"came {seen[name.lower()]} and {name}"
            )
    return {name: _text(name, place) for name, place in sorted(places.items())}


def _text(name: str, place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8-sig")
    except OSError as fault:
        problem = fault.strerror
    except UnicodeDecodeError:
        problem = "bytes that are no UTF-8"
    raise SettingsError(
        f"promise_checks.{name}: expected the file {place.name} with one SELECT, came {problem}"
    )
