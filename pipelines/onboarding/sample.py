"""Sample raw files: columns, types and first rows, before anything is configured."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.config.csv_options import CsvOptions
from rejse.pipelines.config.file_layout import AS_USUAL, FileLayout
from rejse.pipelines.onboarding import guess_csv
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.pipelines.sources.files import Shard


ROWS = 50_000
BLOCK = 1 << 20
#: Bytes in which a JSON document shows the array that has its rows.
DOCUMENT = 1 << 22
_ARRAY = re.compile(r'\{\s*"([^"\\]+)"\s*:\s*\[\s*\{')
_INT64 = 2**63


class SampleError(MisuseError):
    """A file cannot be sampled; the message names it and what was expected."""


@dataclass(frozen=True)
class Sample:
    """First rows of files with equal columns: format, raw schema and rows under that schema.

    `csv` is how CSV files are written, `array` names the array of a JSON document.
    """

    files: tuple[Path, ...]
    format: str
    table: pa.Table
    csv: guess_csv.GuessedCsv = guess_csv.NOTHING
    array: str | None = None

    @property
    def schema(self) -> pa.Schema:
        """Return the raw columns and types, as they are frozen."""
        return self.table.schema


def _lines(shard: Shard) -> Iterator[str]:
    """Yield the lines of a file as text; invalid UTF-8 is escaped."""
    from rejse.pipelines.sources.files import opened

    rest = b""
    with opened(shard) as stream:
        while block := stream.read(BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "backslashreplace")
    if rest:
        yield rest.decode("utf-8", "backslashreplace")


def _csv(shard: Shard, rows: int) -> pa.Schema:
    """Read the header of a text table; all columns are text, and the mapping casts them."""
    import pyarrow as pa

    from rejse.pipelines.sources.files import opened
    from rejse.pipelines.sources.read_csv import Csv

    reader = Csv(pa.schema([]), "", shard.file, shard.layout.csv)
    with opened(shard) as stream:
        next(reader.parts(stream), None)
        if stream.fault is not None and not reader.names:
            raise SampleError(stream.fault[1])
    if not reader.names:
        raise SampleError(f"{shard.path}: expected a header line, came none")
    return pa.schema([pa.field(name, pa.string()) for name in reader.names])


def _merged(kind: Any, other: Any) -> Any:
    """Return the least common type of two; text where there is none."""
    if kind is None or kind == other:
        return other
    if other is None:
        return kind
    if {kind, other} == {"int64", "double"} if isinstance(kind, str) else False:
        return "double"
    if isinstance(kind, dict) and isinstance(other, dict) and kind.keys() == other.keys():
        if "list" in kind:
            return {"list": _merged(kind["list"], other["list"])}
        keys = [*kind["struct"], *(k for k in other["struct"] if k not in kind["struct"])]
        return {"struct": {k: _merged(kind["struct"].get(k), other["struct"].get(k)) for k in keys}}
    return "string"


def _kind(value: Any) -> Any:
    """Return the type of a JSON value as the schema file writes it; None for null and `{}`."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -_INT64 <= value < _INT64 else "string"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        kind: Any = None
        for element in value:
            kind = _merged(kind, _kind(element))
        return {"list": kind}
    if isinstance(value, dict):
        return {"struct": {k: _kind(v) for k, v in value.items()}} if value else None
    return "string"


def _known(kind: Any) -> Any:
    """Replace unknown parts of a type (only nulls were seen) by text."""
    if kind is None:
        return "string"
    if isinstance(kind, dict):
        if "list" in kind:
            return {"list": _known(kind["list"])}
        return {"struct": {k: _known(v) for k, v in kind["struct"].items()}}
    return kind


def _objects(shard: Shard, rows: int) -> Iterator[dict[str, Any]]:
    for line in islice(_lines(shard), rows):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _json(shard: Shard, rows: int) -> pa.Schema:
    import pyarrow as pa

    from rejse.pipelines.config.raw_schema import parse

    kinds: dict[str, Any] = {}
    for record in _objects(shard, rows):
        for name, value in record.items():
            kinds[name] = _merged(kinds.get(name), _kind(value))
    if not kinds:
        raise SampleError(
            f"{shard.path}: expected objects, one a line, or in an array; none of the first lines"
            " is one"
        )
    return pa.schema([pa.field(name, parse(_known(kind))) for name, kind in kinds.items()])


def _parquet(shard: Shard, rows: int) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(shard.path)
    except (pa.ArrowException, OSError) as fault:
        raise SampleError(
            f"{shard.path}: expected a Parquet file, it cannot be read: {fault}"
        ) from None
    return pa.schema(
        [
            f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f
            for f in schema.remove_metadata()
        ]
    )


_SCHEMAS: dict[str, Callable[[Shard, int], pa.Schema]] = {
    "csv": _csv, "excel": _csv, "json": _json, "xes": _json, "ocel": _json, "parquet": _parquet,
}  # fmt: skip


def sample(path: Path, rows: int = ROWS) -> Sample:
    """Return columns, types and up to `rows` first rows of a file, as a run will read them.

    Raises:
        SampleError: the file is missing, empty, or of none of the formats.
    """
    from rejse.pipelines.sources.files import format_of, pieces
    from rejse.pipelines.sources.listing import SourceError

    if not path.is_file():
        raise SampleError(f"expected the file {path}, found none")
    try:
        kind = format_of(path)
    except SourceError as fault:
        raise SampleError(str(fault)) from None
    csv = guess_csv.guess(path) if kind == "csv" else guess_csv.NOTHING
    array = guess_array(path) if kind == "json" else None
    layout = FileLayout(csv.options, array)
    schema = _distinct(_SCHEMAS[kind](pieces("sample", path, layout=layout)[0], rows))
    return Sample((path,), kind, _rows(path, schema, rows, layout), csv, array)


def guess_array(path: Path) -> str | None:
    """Return the name of the array of objects of a file that is one JSON document.

    None where it is none, has no such array, or is an array itself.
    """
    from rejse.pipelines.sources.decompress import ByteStream

    with ByteStream(path) as stream:
        text = stream.read(DOCUMENT).decode("utf-8-sig", "replace").lstrip()
    try:
        document, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        match = _ARRAY.match(text)  # a long document, whose end is not here
        return match[1] if match else None
    if text[end:].strip() or not isinstance(document, dict):
        return None
    arrays = [
        name
        for name, value in document.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]
    return max(arrays, key=lambda name: len(document[name])) if arrays else None


def _distinct(schema: pa.Schema) -> pa.Schema:
    """Keep the columns that SQL can distinguish: the first of names that differ in case only.

    The others and those without a name are left out of the frozen schema, and so of every run.
    """
    import pyarrow as pa

    first: dict[str, pa.Field] = {}
    for column in schema:
        if column.name.strip():
            first.setdefault(column.name.casefold(), column)
    return pa.schema(list(first.values()))


def _rows(path: Path, schema: pa.Schema, rows: int, layout: FileLayout = AS_USUAL) -> pa.Table:
    """Read the first rows of a file under its schema, dictionaries decoded."""
    import pyarrow as pa

    from rejse.pipelines.sources.files import pieces, read

    batches, left = [], rows
    for shard in pieces("sample", path, layout=layout):
        for raw in read(shard, schema):
            batches.append(pa.Table.from_batches([raw.batch.slice(0, left)]).cast(schema))
            left -= batches[-1].num_rows
            if left <= 0:
                return pa.concat_tables(batches)
    return pa.concat_tables(batches) if batches else schema.empty_table()


def samples(paths: Sequence[Path], rows: int = ROWS) -> list[Sample]:
    """Return a sample for each group of files with equal format and columns, in their order."""
    import pyarrow as pa

    groups: dict[tuple[str, tuple[str, ...], CsvOptions, str | None], list[Sample]] = {}
    for path in paths:
        part = sample(path, rows)
        key = (part.format, tuple(sorted(part.schema.names)), part.csv.options, part.array)
        groups.setdefault(key, []).append(part)
    return [
        Sample(
            tuple(path for part in group for path in part.files),
            group[0].format,
            pa.concat_tables([g.table for g in group], promote_options="permissive")[:rows],
            group[0].csv,
            group[0].array,
        )
        for group in groups.values()
    ]
