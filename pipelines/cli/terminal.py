"""Print for people at a terminal (tables, progress, notes) or for machines (JSON, CSV)."""

from __future__ import annotations

import csv
import json
import math
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from rejse.pipelines.runtime.text_safety import clean

#: Rows that a person is shown; machines get all.
MAX_ROWS = 100
#: First characters that make a spreadsheet take a text for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: times as ISO 8601, sets sorted, other types as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(vars(value))
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


#: Categories of characters that control a terminal, or turn the direction of what follows.
CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, kept: str = "") -> str:
    """Return the text with control characters of a terminal, but those `kept`, as their codes.

    The code is JSON's, so that a document of JSON still says the same.
    """
    if text.isprintable():
        return text
    return "".join(
        _code(c) if c not in kept and unicodedata.category(c) in CONTROLS else c for c in text
    )


def _code(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def is_shown(stream: Any) -> bool:
    """Return whether a terminal shows what is written to a stream."""
    return bool(stream.isatty())


def _dumped(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON: exact in a file or pipe, harmless on a terminal."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent)
    return visible(text, "\n") if is_shown(sys.stdout) else text


def show_json(value: Any) -> None:
    """Print a value as one JSON document on standard output; an iterator as its list."""
    if not isinstance(value, Iterator):
        print(_dumped(value, indent=2))
        return
    between = "["
    for item in value:
        print(between, _dumped(item, indent=2).replace("\n", "\n  "), sep="\n  ", end="")
        between = ","
    print("[]" if between == "[" else "\n]")


def show_line(value: Any) -> None:
    """Print a result as one line of JSON, which a scheduler can take from the end of a log."""
    print(_dumped(value))


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
        return ", ".join(_cell(item) for item in value)
    # Data from logs may hold escape sequences, which must not reach a terminal.
    return clean(value, limit=10_000) if value else ""


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str = "",
    limit: int | None = MAX_ROWS,
) -> None:
    """Print rows as a table, the first `limit` of them or all, and how many there are."""
    rest = iter(rows)
    shown = list(islice(rest, limit))
    n_rows = len(shown) + sum(1 for _ in rest)
    numeric = [
        bool(shown) and all(r[i] is None or _is_number(r[i]) for r in shown)
        for i in range(len(columns))
    ]
    heads = [clean(column, 10_000) if column else "" for column in columns]
    cells = [[_cell(value) for value in row] for row in shown]
    show = _show_folded if sys.stdout.isatty() else _show_aligned
    show(heads, cells, numeric, title)
    if n_rows > len(shown):
        print(f"{len(shown)} of {n_rows:,} rows; --json or --csv prints all")


def _show_folded(
    heads: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], title: str
) -> None:
    """Print a table for a terminal: what is wider than its window is folded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for head, is_right in zip(heads, right, strict=True):
        # Text, not markup, without commands: a name such as "[red]" is data, and so is a cell.
        table.add_column(Text(head), justify="right" if is_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def _show_aligned(
    heads: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], title: str
) -> None:
    """Print a table for a file or a pipe, of whatever width."""
    if title:
        print(title)
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for row in (heads, *cells):
        print("  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ))  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Lines:
    """Standard output for rows of CSV, which end with LF.

    The writer ends them with CRLF, so that it quotes a cell with a CR in it, too.
    """

    def write(self, row: str) -> int:
        return sys.stdout.write(row.removesuffix("\r\n") + "\n")


def show_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], guard: bool = False) -> int:
    """Print rows as CSV and return how many cells were guarded.

    With `guard` a text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out, guarded = csv.writer(_Lines()), 0
    shown = visible if is_shown(sys.stdout) else str
    out.writerow([shown(column) for column in columns])
    for row in rows:
        cells = []
        for value in row:
            cell = plain(value)
            if isinstance(cell, list | dict):
                cell = json.dumps(cell, ensure_ascii=False)
            if guard and isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
                cell, guarded = "'" + cell, guarded + 1
            cells.append("" if cell is None else shown(cell) if isinstance(cell, str) else cell)
        out.writerow(cells)
    return guarded


def say(message: str) -> None:
    """Print a note for people on standard error, apart from the output."""
    print(visible(message, "\n") if is_shown(sys.stderr) else message, file=sys.stderr)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str], None] | None]:
    """Yield a function that shows what is done now on standard error; None for no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield lambda message: status.update(message)
