"""Settings `[sources.NAME.csv]`: how text files of a source are written.

Without them a file is UTF-8 (or UTF-16 with its mark), its delimiter is the most frequent of comma,
semicolon, tab and bar in its first line (or that of a line `sep=`), and its first line names the
columns.
"""

from __future__ import annotations

import codecs
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from rejse.pipelines.config.field_types import Frozen, Ingest

#: What a delimiter is likely to be.
DELIMITERS = ",;\t|"


class CsvOptions(Frozen):
    """How CSV files are written."""

    #: Encoding, by Python's name: utf-8, cp1252, latin-1, utf-16.
    encoding: Ingest[str] = "utf-8"
    #: What divides cells; without it the most frequent of , ; tab | in the first line.
    delimiter: Ingest[str | None] = Field(default=None, min_length=1, max_length=1)
    #: What stands around a cell that holds the delimiter or a line break.
    quote: Ingest[str] = Field(default='"', min_length=1, max_length=1)
    #: Decimal mark of columns whose raw type is a number.
    decimal: Ingest[Literal[".", ","]] = "."
    #: Lines before the header that belong to no table.
    skip: Ingest[int] = Field(default=0, ge=0)
    #: Lines of the header after its first one, such as labels and units.
    skip_after: Ingest[int] = Field(default=0, ge=0)
    #: Lines that begin with this sign are left out.
    comment: Ingest[str | None] = Field(default=None, min_length=1, max_length=8)
    #: Words that stand for no value.
    nulls: Ingest[tuple[str, ...]] = ()
    #: Names of the columns of files without a header.
    columns: Ingest[tuple[str, ...]] = ()

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(
                f"expected an encoding such as utf-8, cp1252 or utf-16, came {value!r}"
            ) from None

    @model_validator(mode="after")
    def _apart(self) -> CsvOptions:
        if self.quote in (self.delimiter, self.comment):
            raise ValueError("expected quote, delimiter and comment to differ")
        if self.columns and (self.skip_after or len(set(self.columns)) < len(self.columns)):
            raise ValueError("expected `columns` of different names, and no `skip_after` with them")
        return self

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        return self.model_dump(exclude_defaults=True)


#: Nothing said.
PLAIN = CsvOptions()
