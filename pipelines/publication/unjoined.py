"""Count answers that join no journey, by reason, over a whole publication.

A run alone says little: an answer may arrive before the event that it is about.
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
#: Each reason in words.
WORDS: Mapping[str, str] = {
    "no_event": "its customer has no event",
    "unknown_name": "it names an event, conversation or case that no event of its customer has",
    "window_passed": "it names none, and what it may be about is longer ago than the windows",
    "nothing_before": "it names none, and nothing it may be about lies before it",
}


def answers(root: Path, versions: Mapping[str, int]) -> dict[str, int]:
    """Count answers of a publication (versions of its tables) that join no journey, by reason."""
    counts: Counter[str] = Counter()
    for table in published_tables.TABLES[TABLE].stored:
        for file in delta_store.files(root, table, versions.get(table, -1)):
            reasons = parquet_files.rows(root / file, [REASON]).column(REASON).drop_null()
            counts.update(
                {pair["values"]: pair["counts"] for pair in pc.value_counts(reasons).to_pylist()}
            )
    return dict(sorted(counts.items()))


def listed(counts: Mapping[str, int], notes: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """List what joins nothing: answers of the publication, records of the run."""
    rows = [("answers", WORDS.get(reason, reason), n) for reason, n in counts.items()]
    for note, n in sorted(notes.items()):
        if note.startswith(UNJOINED):
            rows.append((note.removeprefix(UNJOINED), "no event names it", n))
    return rows
