"""Read JSON lines, one object a line, as Arrow batches under the frozen raw schema.

Arrow reads whole blocks of plain lines. Lines that it refuses, or reads otherwise than JSON, are
isolated by bisection and read one by one. Lines that are no JSON, no object, or do not fit the
schema are rejected. A number where the schema has text keeps its digits as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json as arrow_json

from rejse.pipelines.sources.decompress import RECORD, ByteStream
from rejse.pipelines.sources.text_stream import TextStream
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.errors import RejseError
from rejse.transforms.ingest import rejects as refusals

BLOCK = 1 << 23
#: Lines below which bisection costs more than reading line by line.
FEW = 32
#: Arrow reads these words as numbers; JSON has no such values.
NO_NUMBER = re.compile(rb"[:\[,]\s*-?(?:NaN|Inf)")
#: Payload kept of a line that is too long.
HEAD = 4096
#: A raw column of this name holds the whole line, with keys newer than the frozen schema.
LINE = "_line"
INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


class Part(NamedTuple):
    """Rows of a file: the batch, its row numbers (int64, from 1), and rejects."""

    batch: pa.RecordBatch
    rows: np.ndarray[Any, np.dtype[np.int64]]
    rejects: pa.Table


class NumberText(str):
    """A JSON number by its digits."""

    __slots__ = ()


class MismatchError(RejseError):
    """A value that the frozen type cannot hold unchanged."""


class JsonLines:
    """Reader of one file's lines."""

    def __init__(self, schema: pa.Schema, source: str, file: str) -> None:
        self.schema, self.source, self.file = schema, source, file
        self.parsed = pa.schema([field for field in schema if field.name != LINE])
        self.options = arrow_json.ParseOptions(
            explicit_schema=self.parsed,
            unexpected_field_behavior="ignore",
            newlines_in_values=False,
        )

    def boundaries(self, stream: ByteStream) -> Iterator[tuple[int, int]]:
        """Yield where a piece can begin: an offset in the file and the number of the row there.

        They end before a line that is too long.
        """
        line = 1
        while block := stream.block(BLOCK):
            rest = len(block) - (block.rfind(b"\n") + 1)
            if rest > RECORD:
                return
            line += block.count(b"\n")
            yield stream.position - rest, line

    def parts(self, stream: TextStream, size: int = BLOCK, first_row: int = 1) -> Iterator[Part]:
        """Yield all rows of a stream, block by block; row numbers are line numbers of the file."""
        line, rest, skipping = first_row, b"", False
        while block := stream.block(size):
            if line == 1 and not rest:
                block = block.removeprefix(b"\xef\xbb\xbf")
            if skipping:  # inside a line that was refused as too long
                end = block.find(b"\n")
                if end < 0:
                    continue
                block, skipping = block[end + 1 :], False
            data = rest + block
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if cut:
                yield self.decode(data[:cut], line)
                line += data.count(b"\n", 0, cut)
            if len(rest) > RECORD:
                refused = [("record_too_large", _too_large(len(rest)), rest[:HEAD], line)]
                yield Part(_empty(self.schema), np.zeros(0, dtype=np.int64), self._refused(refused))
                line, rest, skipping = line + 1, b"", True
        if stream.fault:
            refused = [(*stream.fault, rest[:HEAD], line)]
            yield Part(_empty(self.schema), np.zeros(0, dtype=np.int64), self._refused(refused))
        elif rest:
            yield self.decode(rest, line)

    def decode(self, data: bytes, first: int) -> Part:
        """Read whole lines, the first of which has number `first`."""
        return self.decode_rows(data, np.arange(first, first + data.count(b"\n") + 1))

    def decode_rows(self, data: bytes, numbers: Any) -> Part:
        """Read whole lines, whose `numbers` (int64) are at least as many."""
        letters = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(letters == 10)
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.append(0, ends[:-1] + 1)
        plain = self._plain(letters, starts, ends)
        if plain.all() and _trusted(data):
            return self._halved(data, starts, ends, numbers[: len(starts)])
        parts = []
        steps = np.flatnonzero(np.diff(plain)) + 1
        for run in np.split(np.arange(len(starts)), steps):
            piece = data[starts[run[0]] : ends[run[-1]]]
            rows = numbers[run]
            if plain[run[0]] and _trusted(piece):
                base = starts[run[0]]
                parts.append(self._halved(piece, starts[run] - base, ends[run] - base, rows))
            else:
                lines = [data[starts[i] : ends[i]] for i in run]
                parts.append(self.records(lines, rows))
        return self._joined(parts)

    @staticmethod
    def _plain(letters: Any, starts: Any, ends: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a mask of lines that are `{…}` from first to last byte: safe in a block."""
        filled = (ends > starts) & (ends - starts <= RECORD)
        last = ends - 1
        last = np.where((last > starts) & (letters[last] == 13), last - 1, last)
        head = letters[np.minimum(starts, len(letters) - 1)]
        plain: np.ndarray[Any, np.dtype[np.bool_]] = (
            filled & (head == ord("{")) & (letters[last] == ord("}"))
        )
        return plain

    def _halved(self, data: bytes, starts: Any, ends: Any, rows: Any) -> Part:
        batch = self._read(data, len(starts))
        if batch is not None:
            lines = pa.StringArray.from_buffers(
                len(starts),
                pa.py_buffer(np.append(starts, len(data)).astype(np.int32)),
                pa.py_buffer(data),
            )
            return Part(self._with_lines(batch, lines), rows, refusals.empty())
        if len(starts) <= FEW:
            lines = [data[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            return self.records(lines, rows)
        half, base = len(starts) // 2, starts[len(starts) // 2]
        return self._joined(
            [
                self._halved(data[:base], starts[:half], ends[:half], rows[:half]),
                self._halved(data[base:], starts[half:] - base, ends[half:] - base, rows[half:]),
            ]
        )

    def _read(self, data: bytes, lines: int) -> pa.RecordBatch | None:
        """Read lines by Arrow; None where it refuses them or finds another number of rows."""
        options = arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 64)
        try:
            table = arrow_json.read_json(pa.BufferReader(data), options, self.options)
        except (pa.ArrowException, ValueError):
            return None
        if table.num_rows != lines:
            return None
        return pa.RecordBatch.from_arrays(
            [_single_chunk(table.column(field.name)) for field in self.parsed], schema=self.parsed
        )

    def _with_lines(self, batch: pa.RecordBatch, lines: pa.Array) -> pa.RecordBatch:
        if LINE not in self.schema.names:
            return batch
        arrays = [lines if f.name == LINE else batch.column(f.name) for f in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def records(self, lines: list[bytes], rows: Any) -> Part:
        """Read records one by one; blank ones are no rows."""
        good: list[tuple[bytes, bytes, int]] = []
        bad: list[tuple[str, str, bytes, int]] = []
        for line, row in zip(lines, rows.tolist(), strict=True):
            if not line.strip(b" \t\r\n"):
                continue
            if len(line) > RECORD:
                bad.append(("record_too_large", _too_large(len(line)), line[:HEAD], row))
                continue
            read = self.record(line)
            if isinstance(read, bytes):
                good.append((read, line, row))
            else:
                bad.append((*read, line, row))
        batch = self._fitted(good)
        if batch is None:
            batch, good = self._isolated(good, bad)
        bad.sort(key=lambda refused: refused[3])
        lines_kept = text([line.decode() for _, line, _ in good])
        places = np.array([row for _, _, row in good], dtype=np.int64)
        return Part(self._with_lines(batch, lines_kept), places, self._refused(bad))

    def record(self, line: bytes) -> bytes | tuple[str, str]:
        """Return a record as JSON that fits the schema, or reason and detail of its refusal."""
        try:
            value = json.loads(
                line.decode("utf-8"),
                parse_int=NumberText,
                parse_float=NumberText,
                parse_constant=_no_number,
            )
        except UnicodeDecodeError as fault:
            return "not_json", f"expected UTF-8, byte {fault.start} is none"
        except RecursionError:
            return "too_deep", "nested deeper than the reader goes"
        except ValueError as fault:
            return "not_json", str(fault)
        if not isinstance(value, dict):
            return "not_an_object", f"expected an object, came {_sort(value)}"
        try:
            fitted = {f.name: fit(value[f.name], f.type) for f in self.schema if f.name in value}
            return json.dumps(fitted, ensure_ascii=False).encode()
        except MismatchError as fault:
            return "type_mismatch", str(fault)
        except UnicodeEncodeError:
            return "invalid_unicode", "half of a surrogate pair stands alone"
        except RecursionError:
            return "too_deep", "nested deeper than the reader goes"

    def _fitted(self, good: list[tuple[bytes, bytes, int]]) -> pa.RecordBatch | None:
        if not good:
            return _empty(self.parsed)
        return self._read(b"\n".join(fitted for fitted, _, _ in good) + b"\n", len(good))

    def _isolated(
        self, good: list[tuple[bytes, bytes, int]], bad: list[tuple[str, str, bytes, int]]
    ) -> tuple[pa.RecordBatch, list[tuple[bytes, bytes, int]]]:
        """Return the batch of records that Arrow reads; add the others to `bad`."""
        kept = []
        for fitted, line, row in good:
            if self._fitted([(fitted, line, row)]) is None:
                bad.append(("type_mismatch", self._arrow_error(fitted), line, row))
            else:
                kept.append((fitted, line, row))
        return self._fitted(kept) or _empty(self.parsed), kept

    def _arrow_error(self, line: bytes) -> str:
        options = arrow_json.ReadOptions(use_threads=False, block_size=len(line) + 64)
        try:
            arrow_json.read_json(pa.BufferReader(line), options, self.options)
        except (pa.ArrowException, ValueError) as fault:
            return str(fault)
        return "does not fit the frozen types"

    def _refused(self, bad: list[tuple[str, str, bytes, int]]) -> pa.Table:
        """Make rejects of (reason, detail, line, row)."""
        return refusals.refuse(
            self.source,
            [f"{self.file}:{row}" for _, _, _, row in bad],
            [reason for reason, _, _, _ in bad],
            [detail for _, detail, _, _ in bad],
            [line.decode("utf-8", "backslashreplace") for _, _, line, _ in bad],
        )

    def _joined(self, parts: list[Part]) -> Part:
        if len(parts) == 1:
            return parts[0]
        filled = [part for part in parts if part.batch.num_rows] or parts[:1]
        batch = pa.concat_batches([part.batch for part in filled])
        rows = np.concatenate([part.rows for part in filled])
        return Part(batch, rows, refusals.join([part.rejects for part in parts]))


def _trusted(data: bytes) -> bool:
    """Return whether Arrow reads these bytes as JSON: UTF-8, without NaN and Infinity."""
    if (b"NaN" in data or b"Inf" in data) and NO_NUMBER.search(data):
        return False
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _too_large(size: int) -> str:
    return f"expected at most {RECORD} bytes a record, came {size} or more"


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)


def _sort(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, NumberText) else "a text"


def fit(value: Any, kind: pa.DataType) -> Any:
    """Return the JSON value that Arrow reads as `kind`, unchanged; raise MismatchError if none."""
    if value is None:
        return None
    if pa.types.is_string(kind):
        return _as_text(value)
    if isinstance(value, list) and pa.types.is_list(kind):
        return [fit(item, kind.value_type) for item in value]
    if isinstance(value, dict) and pa.types.is_struct(kind):
        return {f.name: fit(value[f.name], f.type) for f in kind if f.name in value}
    if isinstance(value, bool) and pa.types.is_boolean(kind):
        return value
    if isinstance(value, NumberText) and not pa.types.is_boolean(kind):
        return _as_number(value, kind)
    if isinstance(value, str) and not isinstance(value, NumberText) and _is_written(kind):
        return value
    raise MismatchError(f"expected {kind}, came {_sort(value)}")


def _is_written(kind: pa.DataType) -> bool:
    """Return whether JSON writes values of a type as text."""
    return bool(pa.types.is_temporal(kind) or pa.types.is_decimal(kind))


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return json.dumps(_numbers(value), ensure_ascii=False)


def _numbers(value: Any) -> Any:
    """Parse the number texts in a value, as exactly as Python can."""
    if isinstance(value, NumberText):
        return json.loads(value)
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return value


def _as_number(value: NumberText, kind: pa.DataType) -> Any:
    if pa.types.is_floating(kind):
        number = float(value)
        if number in (float("inf"), float("-inf")):
            raise MismatchError(f"expected {kind}, came {value[:40]}, which is too large")
        return number
    if pa.types.is_decimal(kind):
        return str(value)
    if str(kind) in INTEGERS:
        return _as_integer(value, INTEGERS[str(kind)])
    raise MismatchError(f"expected {kind}, came the number {value[:40]}")


def _as_integer(value: NumberText, bits: int) -> int:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number.adjusted() > 20 or number != number.to_integral_value():
        raise MismatchError(f"expected a whole number of {bits} bits, came {value[:40]}")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise MismatchError(f"expected a whole number of {bits} bits, came {value[:40]}")
    return int(number)
