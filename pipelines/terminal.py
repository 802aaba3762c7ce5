"""What a person at a terminal sees: tables, progress and short errors; machines get JSON or CSV."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from rejse.pipelines.wording import clean

#: Rows that a person is shown; machines get all.
SHOWN = 100
#: First characters that make a spreadsheet take a text for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain(value: Any) -> Any:
    """A value as JSON can hold it: times as ISO 8601, sets sorted, the unknown as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def show_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    print(json.dumps(plain(value), ensure_ascii=False, indent=2))


def show_line(value: Any) -> None:
    """Print a result as one line of JSON, which a scheduler can take from the end of a log."""
    print(json.dumps(plain(value), ensure_ascii=False))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.7g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, list | tuple):
        return ", ".join(_cell(one) for one in value)
    # Data from logs may hold escape sequences, which must not reach a terminal.
    return clean(value, limit=10_000) if value else ""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print rows as a table, the first `SHOWN` of them, and say how many there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = list(rows)
    numeric = [
        bool(found) and all(r[i] is None or _is_number(r[i]) for r in found)
        for i in range(len(columns))
    ]
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in found[:SHOWN]:
        # Text, not markup: a cell such as "[red]" is data.
        table.add_row(*(Text(_cell(value)) for value in row))
    # Off a terminal nothing must be folded to 80 columns.
    Console(width=None if sys.stdout.isatty() else 1000, highlight=False).print(table)
    if len(found) > SHOWN:
        print(f"{SHOWN} of {len(found):,} rows; --json or --csv prints all")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def show_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], guard: bool = False) -> int:
    """Print rows as CSV and return how many cells were guarded.

    With `guard` a text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out, guarded = csv.writer(sys.stdout, lineterminator="\n"), 0
    out.writerow(columns)
    for row in rows:
        cells = []
        for value in row:
            cell = plain(value)
            if isinstance(cell, list | dict):
                cell = json.dumps(cell, ensure_ascii=False)
            if guard and isinstance(cell, str) and cell.startswith(FORMULA):
                cell, guarded = "'" + cell, guarded + 1
            cells.append("" if cell is None else cell)
        out.writerow(cells)
    return guarded


def say(message: str) -> None:
    """Print a note for people on standard error, where it spoils no output."""
    print(message, file=sys.stderr)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str], None] | None]:
    """A line on standard error that says what is done now; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield lambda message: status.update(message)
