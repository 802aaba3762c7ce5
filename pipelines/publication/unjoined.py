"""Count answers that join no journey, by reason, over a whole publication.

A run alone says little: an answer may arrive before the event that it is about.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rejse.pipelines.store import delta_store, notes

#: Tables of answers, and the column that says why one joins nothing.
TABLES, REASON = ("experience", "experience_live"), "unjoined"
#: File with the counts of the newest versions of these tables.
NOTE = "unjoined.json"
#: Each reason in words.
WORDS: Mapping[str, str] = {
    "no_event": "its customer has no event",
    "unknown_name": "it names an event, conversation or case that no event of its customer has",
    "window_passed": "it names none, and what it may be about is longer ago than the windows",
    "nothing_before": "it names none, and nothing it may be about lies before it",
}


def answers(root: Path, versions: Mapping[str, int]) -> dict[str, int]:
    """Count answers of a publication (versions of its tables) that join no journey, by reason.

    What was counted is noted: most runs change neither table.
    """
    files = {table: delta_store.files(root, table, versions.get(table, -1)) for table in TABLES}
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        noted = json.loads((root / NOTE).read_text(encoding="utf-8"))
        if noted["files"] == files:
            return {str(reason): int(n) for reason, n in noted["answers"].items()}
    counts = _counted(root, files)
    notes.write(root / NOTE, {"files": files, "answers": counts})
    return counts


def _counted(root: Path, files: Mapping[str, list[str]]) -> dict[str, int]:
    import pyarrow.compute as pc

    from rejse.pipelines.store import parquet_files

    counts: Counter[str] = Counter()
    for file in (file for of_table in files.values() for file in of_table):
        reasons = parquet_files.rows(root / file, [REASON]).column(REASON).drop_null()
        counts.update(
            {pair["values"]: pair["counts"] for pair in pc.value_counts(reasons).to_pylist()}
        )
    return dict(sorted(counts.items()))


def listed(counts: Mapping[str, int], notes: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """List what joins nothing: answers of the publication, records of the run."""
    from rejse.transforms.dimensions.customer_records import UNJOINED

    rows = [("answers", WORDS.get(reason, reason), n) for reason, n in counts.items()]
    for note, n in sorted(notes.items()):
        if note.startswith(UNJOINED):
            rows.append((note.removeprefix(UNJOINED), "no event names it", n))
    return rows
