"""Read CSV files as Arrow batches under the frozen raw schema.

Arrow reads whole blocks whose quotes are regular (RFC 4180). A block with stray quotes, bytes
that are no UTF-8, or a quote that is never closed is read record by record, so that only damaged
records are refused. An unquoted empty cell is null; a quoted one is the empty text. Headers that
are repeated inside a file, which was joined of several, are refused.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from rejse.pipelines.config.csv_options import DELIMITERS, PLAIN, CsvOptions
from rejse.pipelines.sources.decompress import RECORD, ByteStream
from rejse.pipelines.sources.text_stream import TextStream
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.ingest import rejects as refusals

BLOCK = 1 << 23
HEAD = 4096
LINE, RETURN = 10, 13
#: A first line by which Excel names the delimiter.
SEPARATOR = re.compile(rb"sep=(.)\r?\n", re.IGNORECASE)
#: Blank lines, which are no records; within quotes they are some text.
BLANK = re.compile(rb"\n\r?\n")


class Part(NamedTuple):
    """Rows of a file: the batch, its row numbers (int64, from 1, header not counted), rejects."""

    batch: pa.RecordBatch
    rows: np.ndarray[Any, np.dtype[np.int64]]
    rejects: pa.Table


class Bad(NamedTuple):
    """A record that is refused."""

    reason: str
    detail: str
    payload: str
    row: int


class Csv:
    """Reader of one file."""

    def __init__(
        self, schema: pa.Schema, source: str, file: str, options: CsvOptions = PLAIN
    ) -> None:
        self.schema, self.source, self.file, self.options = schema, source, file, options
        self.names: list[str] = []
        self.delimiter, self._quote = options.delimiter or ",", ord(options.quote)

    def boundaries(self, stream: ByteStream) -> Iterator[tuple[int, int]]:
        """Yield where a piece can begin: an offset in the file and the number of the row there.

        They end before a block whose records only a careful reading can count.
        """
        rest, row = self._header(stream, BLOCK), 1
        while block := stream.block(BLOCK):
            data = rest + block
            cut, records = self._regular(data, last=False)
            if not cut or data.startswith((b"\n", b"\r\n")) or BLANK.search(data):
                return
            row, rest = row + records, data[cut:]
            yield stream.position - len(rest), row

    def parts(self, stream: TextStream, size: int = BLOCK, first_row: int = 1) -> Iterator[Part]:
        """Yield all rows of a stream, block by block; a piece takes the header from its file."""
        if stream.start:
            with ByteStream(stream.path) as whole:
                self._header(whole, size)
            rest = b""
        else:
            rest = self._header(stream, size)
        row = first_row
        while True:
            block = stream.block(size)
            last = not block
            data = rest + block
            broken = last and stream.fault
            if data and self.names:
                part, used, records = self._block(data, row, last and not broken)
                if records:
                    yield part
                row += records
                rest = data[used:]
            if broken:
                yield self._broken(stream, rest, row)
            if last:
                return

    def _broken(self, stream: TextStream, rest: bytes, row: int) -> Part:
        reason, detail = stream.fault or ("damaged_file", "")
        shown = rest[:HEAD].decode("utf-8", "backslashreplace")
        return self._refused(_empty(self.schema), [], [Bad(reason, detail, shown, row)])

    def _header(self, stream: TextStream, size: int) -> bytes:
        """Read the column names; return the bytes read after them."""
        # So much that no result depends on the size of the blocks.
        data = stream.read(max(size, 2 * RECORD)).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
        if not data.strip():
            return b""
        stated = SEPARATOR.match(data)
        if stated:
            data = data[stated.end() :]
        first, _, _ = data.partition(b"\n")
        counts = {mark: first.count(mark.encode()) for mark in DELIMITERS}
        likely = stated[1].decode("latin-1") if stated else max(DELIMITERS, key=counts.__getitem__)
        self.delimiter = self.options.delimiter or likely
        if self.options.columns:
            self.names = list(self.options.columns)
            return data
        lines = data[:RECORD].decode("utf-8", "backslashreplace").splitlines(keepends=True)
        reader = csv.reader(lines, delimiter=self.delimiter, quotechar=self.options.quote)
        self.names = unique(next(reader))
        for _ in range(self.options.skip_after):
            next(reader, None)
        end = -1
        for _ in range(reader.line_num):
            end = data.find(b"\n", end + 1)
        following = next(reader, [])
        if len(following) == len(self.names) + 1 and not following[-1]:
            self.names.append("")  # each line ends with a delimiter, but for the header
        return data[end + 1 :] if end >= 0 else b""

    def _block(self, data: bytes, row: int, last: bool) -> tuple[Part, int, int]:
        """Read the whole records of a block; return rows, bytes used and number of records."""
        cut, _ = self._regular(data, last)
        if cut:
            try:
                part, records = self._read(data[:cut], row)
                return part, cut, records
            except pa.ArrowInvalid:
                pass  # the careful reading isolates what is not regular
        return self._careful(data, row, last)

    def _regular(self, data: bytes, last: bool) -> tuple[int, int]:
        """Count the bytes of a block that are whole, regular records, and their lines.

        Both are 0 where the block is not regular.
        """
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            return 0, 0
        letters = np.frombuffer(data, dtype=np.uint8)
        lines = np.flatnonzero(letters == LINE)
        if self.options.quote.encode() in data:
            quotes = np.flatnonzero(letters == self._quote)
            if not self._paired(letters, quotes):
                return 0, 0
            lines = lines[np.searchsorted(quotes, lines) % 2 == 0]
            if last and len(quotes) % 2:
                return 0, 0
        if last and not data.endswith(b"\n"):
            lines = np.append(lines, len(data) - 1)
        if not len(lines) or np.diff(lines, prepend=-1).max() > RECORD:
            return 0, 0
        cut = int(lines[-1]) + 1
        is_whole = len(data) - cut <= RECORD and _is_utf8(data[:cut])
        return (cut, len(lines)) if is_whole else (0, 0)

    def _paired(self, letters: Any, quotes: Any) -> bool:
        """Return whether quotes open after a delimiter, close before one, and double inside."""
        beside = np.zeros(256, dtype=bool)
        beside[[ord(self.delimiter), LINE, RETURN, self._quote]] = True
        opens, closes = quotes[0::2], quotes[1::2]
        # A quote beside a quote is a doubled one: the one closes, the other opens again.
        before = letters[opens[opens > 0] - 1]
        after = letters[closes[closes + 1 < len(letters)] + 1]
        return bool(beside[before].all() and beside[after].all())

    def _read(self, data: bytes, row: int) -> tuple[Part, int]:
        """Read regular records. Raises pa.ArrowInvalid where they are not."""
        if not data.endswith(b"\n"):  # Arrow takes an empty last cell for quoted if one before is
            data += b"\n"
        try:
            table, wrong = self._table(data, self.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a cell does not fit its type
            table, wrong = self._table(data, None)
        bad = [self._width(r.actual_columns, r.text, row + r.number - 1) for r in wrong]
        records = table.num_rows + len(bad)
        rows = np.arange(row, row + records)
        rows = rows[~np.isin(rows, [record.row for record in bad])]
        return self._typed(table, rows, bad), records

    def _table(self, data: bytes, schema: pa.Schema | None) -> tuple[pa.Table, list[Any]]:
        """Read the raw schema's columns that the file has; return records of other width apart.

        Without a schema all columns are text. Raises pa.ArrowInvalid where a cell does not fit.
        """
        wanted = [field for field in self.schema if field.name in self.names]
        types = dict.fromkeys(self.names, pa.string())
        if schema is not None:
            types |= {field.name: field.type for field in wanted}
        wrong: list[Any] = []

        def refuse(record: Any) -> str:
            wrong.append(record)
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(
                use_threads=False, column_names=self.names, block_size=len(data) + 64
            ),
            arrow_csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self.options.quote,
                newlines_in_values=True,
                invalid_row_handler=refuse,
            ),
            arrow_csv.ConvertOptions(
                column_types=types,
                # At least one column, or the number of rows would be lost.
                include_columns=[field.name for field in wanted] or self.names[:1],
                null_values=["", *self.options.nulls],
                decimal_point=self.options.decimal,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return table, wrong

    def _typed(self, table: pa.Table, rows: Any, bad: list[Bad]) -> Part:
        """Cast rows to the schema; absent columns are null, rows that do not fit are rejects."""
        kept = np.ones(table.num_rows, dtype=bool)
        wrong: dict[int, str] = {}
        for place in self._headers(table):
            kept[place] = False
            bad.append(Bad("repeated_header", "the header again", self._line(self.names),
                           int(rows[place])))  # fmt: skip
        if not kept.all():
            table, rows = table.filter(arrow(kept)), rows[kept]
            kept = np.ones(table.num_rows, dtype=bool)
        for field in self.schema:
            if field.name in table.column_names and table.column(field.name).type != field.type:
                for place in misfits(table.column(field.name), field.type):
                    cell = table.column(field.name)[place].as_py()
                    detail = f"{field.name}: expected {field.type}, came {cell[:40]!r}"
                    wrong.setdefault(place, detail)
        for place, detail in wrong.items():
            kept[place] = False
            (values,) = table.slice(place, 1).to_pylist()
            cells = ["" if value is None else value for value in values.values()]
            bad.append(Bad("type_mismatch", detail, self._line(cells), int(rows[place])))
        if wrong:
            table, rows = table.filter(arrow(kept)), rows[kept]
        arrays = [
            _single_chunk(table.column(field.name).cast(field.type))
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in self.schema
        ]
        return self._refused(pa.RecordBatch.from_arrays(arrays, schema=self.schema), rows, bad)

    def _headers(self, table: pa.Table) -> list[int]:
        """Return the rows whose cells are the names of their columns."""
        names = [n for n in table.column_names if pa.types.is_string(table.schema.field(n).type)]
        are_names = np.ones(table.num_rows, dtype=bool) if names else np.zeros(0, dtype=bool)
        for name in names:
            is_name = pc.fill_null(pc.equal(table.column(name), name), False)
            are_names &= is_name.to_numpy()
            if not are_names.any():
                break
        return list(np.flatnonzero(are_names).tolist())

    def _refused(self, batch: pa.RecordBatch, rows: Any, bad: list[Bad]) -> Part:
        bad = sorted(bad, key=lambda record: record.row)
        rejects = refusals.refuse(
            self.source,
            [f"{self.file}:{record.row}" for record in bad],
            [record.reason for record in bad],
            [record.detail for record in bad],
            [record.payload for record in bad],
        )
        return Part(batch, np.asarray(rows, dtype=np.int64), rejects)

    def _careful(self, data: bytes, row: int, last: bool) -> tuple[Part, int, int]:
        """Read record by record; a damaged record ends with its first line."""
        csv.field_size_limit(max(csv.field_size_limit(), 2 * RECORD))
        lines = data.split(b"\n")
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        if not last and not data.endswith(b"\n") and len(lines[-1]) <= RECORD:
            lines.pop()
        kept: list[bytes] = []
        rows: list[int] = []
        bad: list[Bad] = []
        place = 0
        while place < len(lines):
            used, record, fault = self._record(lines, place, last)
            if not used:
                break
            raw = b"".join(lines[place : place + used])
            place += used
            if fault is None and not record:
                continue  # a blank line
            at = row + len(rows) + len(bad)
            if fault is None and len(record) == len(self.names):
                kept.append(self._line(record).encode() if self._odd(raw) else raw)
                rows.append(at)
                continue
            shown = raw[:RECORD].decode("utf-8", "backslashreplace")
            if fault is None:
                bad.append(self._width(len(record), shown, at))
            else:
                bad.append(Bad(fault[0], fault[1], shown, at))
        part = self._of_kept(kept, np.array(rows, dtype=np.int64), bad)
        return part, sum(map(len, lines[:place])), len(rows) + len(bad)

    def _of_kept(self, kept: list[bytes], rows: Any, bad: list[Bad]) -> Part:
        if not kept:
            return self._refused(_empty(self.schema), rows, bad)
        data = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in kept)
        table, wrong = self._table(data, None)
        if wrong or table.num_rows != len(kept):
            raise ValueError(f"{self.file}: {len(kept)} records became {table.num_rows}")
        return self._typed(table, rows, bad)

    def _odd(self, raw: bytes) -> bool:
        """Return whether a record has quotes that Arrow reads otherwise."""
        letters = np.frombuffer(raw, dtype=np.uint8)
        quotes = np.flatnonzero(letters == self._quote)
        return bool(len(quotes)) and (len(quotes) % 2 > 0 or not self._paired(letters, quotes))

    def _record(
        self, lines: list[bytes], place: int, last: bool
    ) -> tuple[int, list[str], tuple[str, str] | None]:
        """Read the next record; return its number of lines (0: incomplete), cells, and fault."""
        taken: list[int] = []

        def texts() -> Iterator[str]:
            size = 0
            for line in range(place, len(lines)):
                size += len(lines[line])
                if size > RECORD and taken:
                    return
                taken.append(line)
                yield lines[line].decode("utf-8")

        try:
            if len(lines[place]) > RECORD:
                return 1, [], ("record_too_large", f"expected at most {RECORD} bytes a record")
            cells = next(
                csv.reader(
                    texts(), delimiter=self.delimiter, quotechar=self.options.quote, strict=True
                )
            )
        except UnicodeDecodeError as fault:
            return 1, [], ("invalid_utf8", f"byte {fault.start} of the line is no UTF-8")
        except csv.Error as fault:
            whole = sum(map(len, lines[place:])) > RECORD
            if "unexpected end of data" in str(fault) and not last and not whole:
                return 0, [], None
            return 1, [], ("malformed_row", f"quotes: {fault}")
        return len(taken), cells, None

    def _width(self, n_cells: int, line: str | None, row: int) -> Bad:
        detail = f"expected {len(self.names)} cells as in the header, came {n_cells}"
        return Bad("malformed_row", detail, line or "", row)

    def _line(self, cells: list[str]) -> str:
        out = io.StringIO()
        csv.writer(
            out, delimiter=self.delimiter, quotechar=self.options.quote, lineterminator="\n"
        ).writerow(cells)
        return out.getvalue()


def unique(names: list[str]) -> list[str]:
    """Make the column names of a header unique: repeated ones get the suffix `_1`, `_2` …"""
    seen: dict[str, int] = {}
    renamed = []
    for name in names:
        n = seen.get(name, 0)
        seen[name] = n + 1
        renamed.append(f"{name}_{n}" if n else name)
    return renamed


def misfits(column: pa.ChunkedArray, kind: pa.DataType) -> list[int]:
    """Return the indexes of values that cannot be cast to `kind`, searched by bisection."""
    try:
        column.cast(kind)
        return []
    except pa.ArrowInvalid:
        if len(column) == 1:
            return [0]
    half = len(column) // 2
    return misfits(column[:half], kind) + [half + at for at in misfits(column[half:], kind)]


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
