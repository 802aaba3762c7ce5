"""What people of the stories felt, as their survey system exports it: `made/surveys.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

from rejse.pipelines import demo_specs

NAME = "surveys"


def write(data: Path, stories: bool = True) -> int:
    """Write `data/surveys/stories.csv`; how many rows. Without stories nobody was asked."""
    rows = demo_specs.rows("surveys.csv")
    names = [name for name in rows[0] if name != "story"]
    place = data / NAME / "stories.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    kept = rows if stories else []
    with place.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    return len(kept)
