"""Detect lost publications by the catalogues that they left beside the tables.

A catalogue is a cache, but it shows that a publication existed: without this check a store that has
lost `publications` would start again at publication 1.
"""

from __future__ import annotations

import re
from pathlib import Path

from rejse.pipelines.store import errors

CURRENT = "current"
#: Folder of provisional rows, which the hot core lays over a publication.
OVERLAY = ".live"
_CATALOGUE = re.compile(r"catalog-([0-9]+)\.duckdb")
_LOG = "_delta_log"


def path(root: Path, publication: int) -> Path:
    """Return the path of the catalogue of a publication."""
    return root / f"catalog-{publication}.duckdb"


def number(name: str) -> int | None:
    """Return the number of the publication whose catalogue has this name; None for other names."""
    match = _CATALOGUE.fullmatch(name)
    return int(match[1]) if match else None


def pointed(root: Path) -> int | None:
    """Return the publication that the pointer `current` names; None where missing or broken."""
    try:
        text = (root / CURRENT).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return number(text.strip())


def numbers(root: Path) -> list[int]:
    """List the numbers of publications with a catalogue."""
    catalogues = (number(place.name) for place in root.glob("catalog-*.duckdb"))
    return [n for n in catalogues if n is not None]


def highest(root: Path) -> int:
    """Return the highest number of a publication with a catalogue; 0 where there is none."""
    return max(numbers(root), default=0)


def refuse_lost(root: Path, truth: str, newest: int | None, seen: int) -> None:
    """Raise StoreDamagedError where publications were lost.

    Args:
        root: folder of the store.
        truth: name of the table of publications.
        newest: last publication in that table; None where the table is missing. It is made before
            all others, so that a store with others but without it has lost it.
        seen: highest publication that left a catalogue.
    """
    if newest is None:
        tables = sorted(place.parent.name for place in root.glob(f"*/{_LOG}"))
        if not tables and not seen:
            return
        problem = f"no such table beside {', '.join(tables[:3]) or path(root, seen).name}" + (
            f" and {len(tables) - 3} more" if len(tables) > 3 else ""
        )
    elif newest < seen:
        problem = f"the last one that it names is {newest}, and publication {seen} left a trace"
    else:
        return
    raise errors.StoreDamagedError(
        f"expected the table of all publications in {root / truth}, came: {problem}; bring that"
        " folder back from a backup, or read all sources again with `rejse run --rebuild`;"
        f" {errors.SERVED}"
    )
