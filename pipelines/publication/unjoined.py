"""Answers that are about no journey, by reason: of a whole publication, however its runs were cut.

An answer may come before the event that it is about, so that what a run alone found says little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc

from rejse.pipelines.store import delta_store, parquet_files
from rejse.transforms import published_tables
from rejse.transforms.dimensions.customer_records import UNJOINED

TABLE, REASON = "experience", "unjoined"
#: What a person reads of each reason.
WORDS: Mapping[str, str] = {
    "no_event": "its customer has no event",
    "unknown_name": "it names an event, conversation or case that no event of its customer has",
    "window_passed": "it names none, and what it may be about is longer ago than the windows",
    "nothing_before": "it names none, and nothing it may be about lies before it",
}


def answers(root: Path, versions: Mapping[str, int]) -> dict[str, int]:
    """How many answers of a publication (versions of its tables) join no journey, by reason."""
    found: Counter[str] = Counter()
    for table in published_tables.TABLES[TABLE].stored:
        for file in delta_store.files(root, table, versions.get(table, -1)):
            reasons = parquet_files.rows(root / file, [REASON]).column(REASON).drop_null()
            found.update(
                {one["values"]: one["counts"] for one in pc.value_counts(reasons).to_pylist()}
            )
    return dict(sorted(found.items()))


def listed(found: Mapping[str, int], notes: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """What joins nothing, for people: answers of the publication, records that a run brought."""
    rows = [("answers", WORDS.get(reason, reason), n) for reason, n in found.items()]
    for note, n in sorted(notes.items()):
        if note.startswith(UNJOINED):
            rows.append((note.removeprefix(UNJOINED), "no event names it", n))
    return rows
