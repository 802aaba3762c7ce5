"""Files of private tables (`texts`), which no earlier publication keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rejse.pipelines.store import delta_store

#: The private tables.
TABLES = ("texts", "texts_live")


@contextmanager
def accounted(store: Path) -> Iterator[None]:
    """Remove outdated texts before and after a run, however it ends."""
    sweep(store)
    try:
        yield
    finally:
        sweep(store)


def sweep(store: Path) -> list[str]:
    """Remove files of private tables that the latest publication does not name; return paths.

    Call it only while holding the store's lock.
    """
    present = [path for table in TABLES for path in sorted((store / table).glob("part-*.parquet"))]
    if not present:
        return []
    publications, removed = delta_store.listed(store), []
    for table in TABLES:
        version = publications[-1].versions.get(table, -1) if publications else -1
        named = set(delta_store.files(store, table, version))
        for path in present:
            if path.parent.name == table and f"{table}/{path.name}" not in named:
                path.unlink(missing_ok=True)
                removed.append(f"{table}/{path.name}")
    return removed
