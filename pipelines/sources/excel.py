"""A sheet of an Excel book (xlsx, xls, xlsb, ods) as the lines of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from rejse.pipelines.sources.listing import SourceError
from rejse.pipelines.sources.text_stream import Rewriting

#: Rows written at once.
ROWS = 1_000


class SheetLines(Rewriting):
    """The rows of a sheet, the first one without a name."""

    def __init__(self, path: Path, sheet: str | None) -> None:
        super().__init__(path)
        self._sheet = sheet

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield some rows at a time."""
        try:
            rows = iter(sheet_rows(self.path, self._sheet))
        except SourceError as fault:
            self.fault = ("damaged_file", str(fault))
            return
        while some := list(islice(rows, ROWS)):
            out = io.StringIO()
            writer = csv.writer(out, lineterminator="\n")
            writer.writerows([cell_text(cell) for cell in row] for row in some)
            yield out.getvalue().encode("utf-8", "replace")


def sheets(path: Path) -> list[str]:
    """Return the names of a book's sheets. Raises SourceError where it is none."""
    return list(_book(path).sheet_names)


def sheet_rows(path: Path, sheet: str | None) -> Any:
    """Return the rows of a sheet. Raises SourceError where there is none."""
    book = _book(path)
    if sheet is None:
        return book.get_sheet_by_index(0).to_python()
    if sheet not in book.sheet_names:
        listed = ", ".join(map(repr, book.sheet_names))
        raise SourceError(f"{path.name}: expected the sheet {sheet!r}, found {listed}")
    return book.get_sheet_by_name(sheet).to_python()


def _book(path: Path) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(str(path))
    except (CalamineError, OSError) as fault:
        raise SourceError(
            f"{path.name}: expected an Excel book, it cannot be read ({fault}); save the sheet as"
            " CSV in Excel, or by: libreoffice --convert-to csv FILE"
        ) from None


def cell_text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, times in ISO 8601."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
