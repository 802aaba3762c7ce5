"""Which publications a store has had, by what each leaves beside its tables.

A publication leaves a catalogue, which is a cache, but betrays that `publications`, the truth, has
lost something: a store that went on as if nothing had been published would begin again at 1.
"""

from __future__ import annotations

import re
from pathlib import Path

from rejse.pipelines.store import errors

CURRENT = "current"
_CATALOGUE = re.compile(r"catalog-([0-9]+)\.duckdb")
_LOG = "_delta_log"


def path(root: Path, publication: int) -> Path:
    """Where the catalogue of a publication lies."""
    return root / f"catalog-{publication}.duckdb"


def number(name: str) -> int | None:
    """Number of the publication whose catalogue has this name; None of any other name."""
    found = _CATALOGUE.fullmatch(name)
    return int(found[1]) if found else None


def pointed(root: Path) -> int | None:
    """Number of the publication that the pointer names; None where it is not there, or broken."""
    try:
        said = (root / CURRENT).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return number(said.strip())


def highest(root: Path) -> int:
    """Highest number of a publication whose catalogue is there; 0 where none is."""
    catalogues = (number(place.name) for place in root.glob("catalog-*.duckdb"))
    return max((found for found in catalogues if found is not None), default=0)


def refuse_lost(root: Path, truth: str, newest: int | None, seen: int) -> None:
    """Raise StoreDamagedError where publications were lost.

    `newest` is the last one that the table `truth` names, None where the table is not there; it is
    made before any other, so that a store without it has lost it, and was not just killed in its
    first run. `seen` is the highest that left a trace.
    """
    if newest is None:
        tables = sorted(place.parent.name for place in root.glob(f"*/{_LOG}"))
        if not tables and not seen:
            return
        came = f"no such table beside {', '.join(tables[:3]) or path(root, seen).name}" + (
            f" and {len(tables) - 3} more" if len(tables) > 3 else ""
        )
    elif newest < seen:
        came = f"the last one that it names is {newest}, and publication {seen} left a trace"
    else:
        return
    raise errors.StoreDamagedError(
        f"expected the table of all publications in {root / truth}, came: {came}; bring that"
        " folder back from a backup, or read all sources again with `rejse run --rebuild`;"
        f" {errors.SERVED}"
    )
