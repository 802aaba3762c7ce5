"""Installations whose rows are recorded at a time and linked by a table of identities."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.config import raw_schema, settings
from tests.support.installation import SELECT, TEXTS, installation
from tests.support.model import LAST, Row
from tests.support.naive_links import Link, file_row

LINKED = '[operational]\nidentity_links = "links.csv"\n'


def cell(name: str, value: Any) -> Any:
    """A value of the table as its owner writes it."""
    if name.startswith("valid") and value is not None:
        return datetime.fromtimestamp(value / 1_000_000, UTC).isoformat()
    return value


def write_links(folder: Path, links: Sequence[Link]) -> None:
    """The table of links."""
    rows = [file_row(link) for link in (*links, Link(LAST, LAST, None, None))]
    with (folder / "links.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: cell(k, v) for k, v in row.items()} for row in rows[:-1])


def linked_installation(
    folder: Path, rows: Sequence[Row], links: Sequence[Link] = (), more: str = ""
) -> settings.Settings:
    """An installation whose rows have a time of recording and a kind of identity."""
    folder.mkdir(exist_ok=True)
    write_links(folder, links)
    found = installation(
        folder, {"000.jsonl": "".join(row.line() for row in rows)}, more=LINKED + more
    )
    (folder / "raw.json").unlink()
    columns = [(name, pa.string()) for name in (*TEXTS, "recorded", "kind")]
    raw_schema.write(folder / "raw.json", pa.schema(columns))
    more = "cast(recorded as timestamptz) as recordedtime, kind as identitytype"
    (folder / "map.sql").write_text(SELECT.replace(" from source", f", {more} from source"))
    return settings.load(found.root)
