"""How the files of a source are laid out, as far as they do not say so themselves."""

from __future__ import annotations

from dataclasses import dataclass

from rejse.pipelines.config.csv_options import PLAIN, CsvOptions


@dataclass(frozen=True)
class FileLayout:
    """Settings of a source that readers of files need.

    Attributes:
        csv: How text tables are written.
        array: Name of the array of a JSON document that holds the rows.
        sheet: Name of the sheet of an Excel book; without it the first one.
    """

    csv: CsvOptions = PLAIN
    array: str | None = None
    sheet: str | None = None


#: Nothing said.
AS_USUAL = FileLayout()
