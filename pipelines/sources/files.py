"""Divide the files of a source into shards, and read those as Arrow batches.

JSON lines (.jsonl, .ndjson, .json with one object a line, or an array), CSV (.csv, .tsv), process
logs in XES (.xes), each plain, gzip or zstd, detected by their first bytes; Parquet; Excel books.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa

from rejse.pipelines.config.csv_options import PLAIN
from rejse.pipelines.config.file_layout import AS_USUAL, FileLayout
from rejse.pipelines.sources import listing, read_parquet
from rejse.pipelines.sources.decompress import ByteStream, compression
from rejse.pipelines.sources.excel import SheetLines
from rejse.pipelines.sources.json_array import BLANK, ArrayLines, is_array
from rejse.pipelines.sources.listing import Source, SourceError, SourceFile
from rejse.pipelines.sources.ocel import OcelLines, is_ocel
from rejse.pipelines.sources.read_csv import Csv
from rejse.pipelines.sources.read_json import JsonLines
from rejse.pipelines.sources.read_parquet import Parquet
from rejse.pipelines.sources.text_stream import Rewriting, Rewritten, TextStream, rewritten_as
from rejse.pipelines.sources.xes import XesLines
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.ingest import rejects as refusals

#: Rows of a batch at most.
ROWS = 131_072
Format = Literal["json", "csv", "parquet", "excel", "xes", "ocel", "unknown"]
FORMATS: dict[str, Format] = {
    ".jsonl": "json", ".ndjson": "json", ".json": "json",
    ".csv": "csv", ".tsv": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".xes": "xes",
    ".jsonocel": "ocel", ".xmlocel": "ocel", ".sqlite": "ocel",
    ".xlsx": "excel", ".xlsm": "excel", ".xlsb": "excel", ".xls": "excel", ".ods": "excel",
}  # fmt: skip
TEXT = frozenset(("json", "csv"))  # those that can be divided by lines
NO_COLUMNS = pa.schema([])
#: Bytes of a piece of a large text file, about.
PIECE = 64 << 20
#: Message for a ZIP archive.
ARCHIVE = "expected a log, came a ZIP archive; unpack it first"
#: Names of files with an object a line.
LINES = frozenset({".jsonl", ".ndjson"})
#: Bytes that tell a format.
HEAD = 1 << 14
COMPRESSED = frozenset({".gz", ".gzip", ".zst", ".zstd"})


@dataclass(frozen=True)
class Shard:
    """A piece of work: a file, some row groups of a Parquet file, or some bytes of another one.

    `file` is its name in positions and reports. `first_row` is the number of its first row, from 1.
    `span` is the first byte and the end. `layout` is how files of its source are laid out,
    `address` where the object is whose copy the file is.
    """

    source: str
    path: Path
    file: str
    format: Format
    row_groups: tuple[int, ...] = ()
    first_row: int = 1
    span: tuple[int, int] | None = None
    layout: FileLayout = AS_USUAL
    address: str | None = None


@dataclass(frozen=True)
class RawBatch:
    """Rows of a file in its owner's own columns, and the rows that could not be read.

    `batch` has the columns of the raw schema; texts may be dictionary-encoded. `positions` are
    the row numbers (int64, from 1: line of a JSON file, record of a CSV file after its header;
    offset of a message), or texts (row of a message with several); without them rows are
    consecutive from `first_row`. `rejects` has REJECT_SCHEMA. Rows read = rows of the batch +
    rejects.
    """

    source: str
    file: str
    first_row: int
    batch: pa.RecordBatch
    positions: pa.Array | None
    rejects: pa.Table

    @property
    def nbytes(self) -> int:
        """Return the size of the rows in bytes."""
        return int(self.batch.nbytes)


def shards(source: Source) -> list[Shard]:
    """Return all shards of a source in a fixed order, each file once."""
    listed = listing.files(source)
    return [shard for file in listed for shard in of_file(file)]


def pieces(
    source: str, path: Path, file: str | None = None, layout: FileLayout = AS_USUAL
) -> list[Shard]:
    """Divide a file into shards; a file of unknown format is one shard, which `read` refuses."""
    return of_file(SourceFile(source, path, file or path.name, layout))


def of_file(given: SourceFile) -> list[Shard]:
    """Divide a file of a source into shards, as `pieces` does."""
    try:
        kind = format_of(given.path)
    except SourceError:
        kind = "unknown"
    whole = Shard(
        given.source, given.path, given.file, kind, layout=given.layout, address=given.address
    )
    if kind != "parquet":
        return [whole]
    return [
        replace(whole, row_groups=chosen, first_row=first)
        for chosen, first in read_parquet.groups(given.path)
    ]


def split(shard: Shard, size: int = PIECE) -> list[Shard]:
    """Divide a large text file that is not compressed into shards of about `size` bytes.

    Rows, their numbers and rejects are those of the whole file. Other shards stay as they are.
    """
    if shard.format not in TEXT or shard.span or compression(shard.path):
        return [shard]
    if _rewriting(shard) is not None:
        return [shard]
    end = shard.path.stat().st_size
    starts = [(0, 1)]
    if end > size:
        with ByteStream(shard.path) as stream:
            for offset, row in _text_reader(shard, NO_COLUMNS).boundaries(stream):
                if offset - starts[-1][0] >= size and offset < end:
                    starts.append((offset, row))
    if len(starts) == 1:
        return [shard]
    ends = [*(offset for offset, _ in starts[1:]), end]
    return [
        replace(shard, first_row=row, span=(start, stop))
        for (start, row), stop in zip(starts, ends, strict=True)
    ]


def format_of(path: Path) -> Format:
    """Detect the format by the name, without the suffix of a compression; else by the first bytes.

    Raises:
        SourceError: the file is an archive.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        return _looks(path)
    return _looks(path) if kind == "json" and suffixes[-1] == ".json" else kind


def _looks(path: Path) -> Format:
    with ByteStream(path) as stream:
        head = stream.read(HEAD)
    if is_ocel(head):
        return "ocel"
    if head.startswith(b"PK"):
        raise SourceError(f"{path.name}: {ARCHIVE}")
    if head.lstrip(BLANK).startswith((b"<?xml", b"<log")):
        return "xes"
    if head.startswith(b"PAR1"):
        return "parquet"
    is_json = ".json" in path.name.lower() or head.lstrip(BLANK).startswith((b"{", b"[{"))
    return "json" if is_json else "csv"


def read(shard: Shard, raw_schema: pa.Schema, batch_rows: int = ROWS) -> Iterator[RawBatch]:
    """Read a shard under the frozen schema (or the columns of it that a mapping reads).

    A column that the file lacks is null, one that the schema lacks is left out. Damage becomes
    rejects and raises nothing.

    Raises:
        OSError: the file cannot be opened.
    """
    if shard.format == "unknown":
        yield _refused(shard, raw_schema)
        return
    if shard.format == "parquet":
        row_groups = Parquet(raw_schema, shard.source, shard.file)
        for part in row_groups.parts(shard.path, shard.row_groups, shard.first_row):
            rows = None if part.rows is None else arrow(part.rows)
            yield RawBatch(shard.source, shard.file, part.first, part.batch, rows, part.rejects)
        return
    reader = _text_reader(shard, raw_schema)
    with opened(shard) as stream:
        for block in reader.parts(stream, first_row=shard.first_row):
            yield from _batches(shard, block.batch, block.rows, block.rejects, batch_rows)


def _text_reader(shard: Shard, raw_schema: pa.Schema) -> JsonLines | Csv:
    if shard.format in ("csv", "excel"):
        return Csv(raw_schema, shard.source, shard.file, shard.layout.csv)
    return JsonLines(raw_schema, shard.source, shard.file)


def opened(shard: Shard) -> TextStream:
    """Open the text of a shard, which is no Parquet file."""
    return _rewriting(shard) or ByteStream(shard.path, shard.span)


def _rewriting(shard: Shard) -> Rewriting | None:
    """Return the stream that rewrites the text of a shard; None where it is read as it is."""
    path, layout = shard.path, shard.layout
    if shard.span is not None:
        return None
    if shard.format == "excel":
        return SheetLines(path, layout.sheet)
    if shard.format == "xes":
        return XesLines(path)
    if shard.format == "ocel":
        return OcelLines(path)
    if shard.format == "json" and layout.array is None and _has_lines(path):
        return None
    options = PLAIN if shard.format == "json" else layout.csv
    encoding = rewritten_as(path, options)
    if encoding is not None:
        return Rewritten(path, encoding, options)
    is_document = shard.format == "json" and (layout.array is not None or is_array(path))
    return ArrayLines(path, layout.array) if is_document else None


def _has_lines(path: Path) -> bool:
    """Return whether a file's name says that it has an object a line."""
    return not LINES.isdisjoint(suffix.lower() for suffix in path.suffixes)


def _refused(shard: Shard, raw_schema: pa.Schema) -> RawBatch:
    """Make a batch without rows, and one reject for a whole file of unknown format."""
    place = [f"{shard.file}:{shard.first_row}"]
    refused = refusals.refuse(shard.source, place, "unknown_format", ARCHIVE, [None])
    nothing = [pa.nulls(0, field.type) for field in raw_schema]
    empty = pa.RecordBatch.from_arrays(nothing, schema=raw_schema)
    return RawBatch(shard.source, shard.file, shard.first_row, empty, None, refused)


def _batches(
    shard: Shard, batch: pa.RecordBatch, rows: object, rejects: pa.Table, batch_rows: int
) -> Iterator[RawBatch]:
    """Divide a block into batches of at most `batch_rows` rows; the first has all its rejects."""
    numbers = arrow(rows)  # type: ignore[arg-type]
    for start in range(0, max(batch.num_rows, 1), batch_rows):
        piece = batch.slice(start, batch_rows)
        at = numbers.slice(start, batch_rows)
        first = at[0].as_py() if len(at) else shard.first_row
        refused = rejects if start == 0 else refusals.empty()
        yield RawBatch(shard.source, shard.file, first, piece, at, refused)
