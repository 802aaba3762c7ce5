"""A sample of raw files: columns, types and first rows, before anything is configured."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 50_000
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_INT64 = 2**63


class SampleError(ValueError):
    """A file cannot be sampled; the message names it and what was expected."""


@dataclass(frozen=True)
class Sample:
    """First rows of files with equal columns: format, raw schema and rows under that schema."""

    files: tuple[Path, ...]
    format: str
    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """Raw columns and types, as they are frozen."""
        return self.table.schema


def plain_suffix(path: Path) -> str:
    """Suffix of a file without that of its compression, in lower case."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _open(path: Path) -> IO[bytes]:
    import pyarrow as pa

    codec = COMPRESSED.get(path.suffix.lower())
    stream: IO[bytes] = pa.input_stream(str(path), compression=codec)
    return stream


def format_of(path: Path) -> str:
    """`parquet`, `csv` or `json`, by suffix, else by the first bytes.

    Raises SampleError for an archive or an empty file.
    """
    known = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
    known |= dict.fromkeys((".json", ".jsonl", ".ndjson"), "json")
    suffix = plain_suffix(path)
    if suffix in known:
        return known[suffix]
    with _open(path) as stream:
        head = stream.read(64)
    if head.startswith(b"PK"):
        raise SampleError(f"{path}: expected a log, came a ZIP archive; unpack it first")
    if head.startswith(b"PAR1"):
        return "parquet"
    if not head.strip():
        raise SampleError(f"{path}: expected a log, came an empty file")
    return "json" if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") else "csv"


def _text_lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines of a byte stream as text; what is no UTF-8 is kept as an escape."""
    rest = b""
    while block := stream.read(1 << 20):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "backslashreplace") + "\n"
    if rest:
        yield rest.decode("utf-8", "backslashreplace")


def unique(names: Sequence[str]) -> list[str]:
    """Column names of a header, a repeated one with `_1`, `_2` … behind it."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        n = seen.get(name, 0)
        seen[name] = n + 1
        found.append(f"{name}_{n}" if n else name)
    return found


def _csv(path: Path, rows: int) -> pa.Table:
    """All columns are text: what a cell means is said in the mapping, where one can see it."""
    import pyarrow as pa

    with _open(path) as stream:
        lines = csv.reader(_text_lines(stream))
        header = next(lines, None)
        if not header:
            raise SampleError(f"{path}: expected a header line, came none")
        names = unique([name.removeprefix("\ufeff") for name in header])
        kept = [row for row in islice(lines, rows) if len(row) == len(names)]
    columns = zip(*kept, strict=True) if kept else [()] * len(names)
    cells = [pa.array([value or None for value in column], pa.string()) for column in columns]
    return pa.Table.from_arrays(cells, names=names)


def _merged(one: Any, other: Any) -> Any:
    """Least common type of two: text where they have nothing in common."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    if {one, other} == {"int64", "double"} if isinstance(one, str) else False:
        return "double"
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        if "list" in one:
            return {"list": _merged(one["list"], other["list"])}
        keys = [*one["struct"], *(k for k in other["struct"] if k not in one["struct"])]
        return {"struct": {k: _merged(one["struct"].get(k), other["struct"].get(k)) for k in keys}}
    return "string"


def _kind(value: Any) -> Any:
    """Type of a JSON value, as the schema file writes it; None for null and the empty list."""
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
        for one in value:
            kind = _merged(kind, _kind(one))
        return {"list": kind}
    if isinstance(value, dict):
        return {"struct": {k: _kind(v) for k, v in value.items()}} if value else None
    return "string"


def _known(kind: Any) -> Any:
    """A type whose unknown parts (only nulls were seen) are text."""
    if kind is None:
        return "string"
    if isinstance(kind, dict):
        if "list" in kind:
            return {"list": _known(kind["list"])}
        return {"struct": {k: _known(v) for k, v in kind["struct"].items()}}
    return kind


def _fitted(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(kind, dict) and "list" in kind:
        return [_fitted(one, kind["list"]) for one in value]
    if isinstance(kind, dict):
        return {k: _fitted(value.get(k), inner) for k, inner in kind["struct"].items()}
    return value


def _objects(path: Path, rows: int) -> list[dict[str, Any]]:
    found, seen = [], 0
    with _open(path) as stream:
        for line in islice(_text_lines(stream), rows):
            seen += 1
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                found.append(value)
    if not found:
        raise SampleError(
            f"{path}: expected JSON lines, one object a line; none of {seen} lines is one"
        )
    return found


def _json(path: Path, rows: int) -> pa.Table:
    import pyarrow as pa

    from rejse.pipelines.raw_schema import parse

    objects = _objects(path, rows)
    kinds: dict[str, Any] = {}
    for one in objects:
        for name, value in one.items():
            kinds[name] = _merged(kinds.get(name), _kind(value))
    columns = {}
    for name, kind in kinds.items():
        known = _known(kind)
        values = [_fitted(one.get(name), known) for one in objects]
        columns[name] = pa.array(values, parse(known))
    return pa.table(columns)


def _parquet(path: Path, rows: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            batches = list(file.iter_batches(batch_size=rows, row_groups=[0]))[:1]
            schema = file.schema_arrow
    except (pa.ArrowException, OSError, IndexError) as fault:
        raise SampleError(f"{path}: expected a Parquet file, it cannot be read: {fault}") from None
    table = pa.Table.from_batches(batches, schema)
    flat = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema]
    return table.cast(pa.schema(flat))


def sample(path: Path, rows: int = ROWS) -> Sample:
    """Columns, types and up to `rows` first rows of one file.

    Raises SampleError where the file is missing, empty, or of none of the formats.
    """
    if not path.is_file():
        raise SampleError(f"expected the file {path}, found none")
    kind = format_of(path)
    read = {"csv": _csv, "json": _json, "parquet": _parquet}[kind]
    return Sample((path,), kind, read(path, rows))


def samples(paths: Sequence[Path], rows: int = ROWS) -> list[Sample]:
    """One sample for each group of files with equal format and columns, in the order given."""
    import pyarrow as pa

    groups: dict[tuple[str, tuple[str, ...]], list[Sample]] = {}
    for path in paths:
        one = sample(path, rows)
        groups.setdefault((one.format, tuple(sorted(one.schema.names))), []).append(one)
    return [
        Sample(
            tuple(path for one in group for path in one.files),
            group[0].format,
            pa.concat_tables([g.table for g in group], promote_options="permissive")[:rows],
        )
        for group in groups.values()
    ]
