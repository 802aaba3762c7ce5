"""Erasures that die at a boundary, each in a process of its own, and what finishes them.

`python -m tests.support.erasing_faults FOLDER` makes a store, prints a line of JSON about the
undisturbed erasure, reads boundaries from standard input, then prints a line about each killed one:
it is finished by a run at odd boundaries, by another `forget` at even ones.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rejse.pipelines.config.settings import load
from rejse.pipelines.maintenance.erase import DRAWN, forget
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import delta_store, quarantine
from tests.support import erasing, faults

#: Those of a run, rows of quarantine, and every single file that goes.
BOUNDARIES = (*faults.BOUNDARIES, (quarantine, "_written"), (Path, "unlink"))


def made(place: Path) -> bool:
    """A store in a folder of its own."""
    place.mkdir()
    erasing.history(place, customers=6)
    (place / "report.html").write_text(f"{DRAWN} {erasing.pseudonym()}")
    return True


def state_of(place: Path) -> dict[str, Any]:
    """What is left of the erased, and a hash of the rows of all others."""
    there = load(place)
    rows = erasing.contents(there)
    left = erasing.files_with(place / "store", erasing.WHO, erasing.pseudonym(), erasing.WORD)
    return {
        "others": hashlib.sha256(repr(rows).encode()).hexdigest()[:16],
        "left": sorted(name for names in left.values() for name in names),
        "waits": (there.store / file_modes.ERASING).exists() or (place / "report.html").exists(),
        "publications": len(delta_store.publications(there.store)),
    }


def undisturbed(place: Path) -> dict[str, Any]:
    """The erasure as it should be, and its boundaries."""
    passed = faults.counted(boundaries=BOUNDARIES)
    forget(load(place), "customer", erasing.WHO)
    names = list(passed)
    return {"boundaries": names, **state_of(place)}


def disturbed(place: Path, at: int) -> None:
    """One that dies before a boundary."""
    faults.counted(at, BOUNDARIES)
    forget(load(place), "customer", erasing.WHO)


def finished(place: Path, at: int) -> dict[str, Any]:
    """What the next run or erasure makes of it."""
    there = load(place)
    waited = (there.store / file_modes.ERASING).exists()
    if at % 2 and waited:
        done = erasing.advance(there, 3).status
    else:
        done = forget(there, "customer", erasing.WHO).status
    return {"waited": waited, "done": done, **state_of(place)}


def main(folder: Path) -> None:
    """Tell of one erasure that is left alone, and of each that is killed."""
    place, kept = folder / "place", folder / "kept"
    faults.forked(lambda: made(place))
    shutil.copytree(place, kept)
    print(json.dumps(faults.forked(lambda: undisturbed(place))), flush=True)
    for at in map(int, sys.stdin.read().split()):
        shutil.rmtree(place)
        shutil.copytree(kept, place)
        faults.forked(lambda at=at: disturbed(place, at))  # type: ignore[misc]
        outcome = faults.forked(lambda at=at: finished(place, at))  # type: ignore[misc]
        print(json.dumps({"kill": at, **outcome}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
