"""Guess how a CSV file is written: encoding, delimiter, lines around the header, words for nothing.

What the reader finds out itself (UTF-16 with its mark, a line `sep=`, line ends) is not guessed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rejse.pipelines.config.csv_options import DELIMITERS, PLAIN, CsvOptions

#: Bytes and records that are looked at; lines before a header at most.
HEAD, RECORDS, PREAMBLE = 1 << 18, 200, 30
#: Bytes that Windows' Western encoding leaves undefined.
UNDEFINED = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))
#: Words that programs write for no value, and people do not.
NULLS = ("\\N", "NULL", "#N/A", "(null)", "<null>", "#NULL!")
#: What the third line of a survey tool's export begins with.
IMPORT_ID = '{"ImportId"'
_VALUE = re.compile(r"[-+]?[\d.,:/T\sZ+-]*\d[\d.,:/T\sZ+-]*")
_BREAKS = re.compile(r"\r\n|\r")


@dataclass(frozen=True)
class GuessedCsv:
    """Options and, by the name of each, the reason for it."""

    options: CsvOptions = PLAIN
    reasons: Mapping[str, str] = field(default_factory=dict)


NOTHING = GuessedCsv()


def guess(path: Path) -> GuessedCsv:
    """Guess how a file is written."""
    from rejse.pipelines.sources.decompress import ByteStream
    from rejse.pipelines.sources.text_stream import MARKS

    with ByteStream(path) as stream:
        head = stream.read(HEAD)
    given: dict[str, object] = {}
    reasons: dict[str, str] = {}
    encoding = next((e for mark, e in MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        encoding, reason = _encoding(head)
        if reason:
            given["encoding"], reasons["encoding"] = encoding, reason
    text = _BREAKS.sub("\n", head.decode(encoding, "replace").removeprefix("\ufeff"))
    if len(head) == HEAD:
        text = text[: text.rfind("\n") + 1]
    if not text.lower().startswith("sep="):
        _lines(text, given, reasons)
    return GuessedCsv(CsvOptions.model_validate(given), reasons)


def _encoding(head: bytes) -> tuple[str, str]:
    """Return the encoding, and a reason where it is not UTF-8."""
    try:
        head[: max(len(head) - 4, 0) if len(head) == HEAD else len(head)].decode("utf-8")
    except UnicodeDecodeError as fault:
        shown = head[max(fault.start - 8, 0) : fault.start + 8]
        name = "latin-1" if set(head) & set(UNDEFINED) else "cp1252"
        shown_as = "".join(c for c in shown.decode(name, "replace") if c.isprintable())
        return name, f"no UTF-8; reads {shown_as!r}; cp1250 if letters look wrong"
    return "utf-8", ""


def _lines(text: str, given: dict[str, object], reasons: dict[str, str]) -> None:
    """Guess delimiter, lines around the header, and words for no value."""
    shape = _shape(text)
    if shape is None:
        return
    delimiter, skip = shape
    before = text.split("\n")[:skip]
    rest = "\n".join(text.split("\n")[skip:])
    if skip and all(line.startswith("#") for line in before if line):
        given["comment"], reasons["comment"] = "#", "as the first lines begin"
    elif skip:
        given["skip"], reasons["skip"] = skip, f"before the header stands {before[0][:40]!r}"
    if delimiter != max(DELIMITERS, key=rest.partition("\n")[0].count):
        given["delimiter"], reasons["delimiter"] = delimiter, "it divides the lines alike"
    records = [r for r in islice(csv.reader(rest.splitlines(), delimiter=delimiter), RECORDS) if r]
    after = _labels(records)
    if after:
        given["skip_after"] = after
        reasons["skip_after"] = f"{after} more lines of the header, such as {records[1][0][:30]!r}"
    if not after and _is_data(records):
        names = tuple(f"column_{n}" for n in range(1, len(records[0]) + 1))
        given["columns"] = names
        reasons["columns"] = f"THE FIRST LINE HAS VALUES ({records[0][0][:30]}): name the columns"
    if nulls := _nulls(records[1 + after :]):
        given["nulls"], reasons["nulls"] = nulls, f"{nulls[0]} stands for no value"


def _shape(text: str) -> tuple[str, int] | None:
    """Return the delimiter, and the lines before the first one that is as wide as most are."""
    best: tuple[int, str, int] | None = None
    lines = text.splitlines()[: RECORDS + PREAMBLE]
    for delimiter in DELIMITERS:
        records = list(csv.reader(lines, delimiter=delimiter))
        widths = Counter(len(record) for record in records if len(record) > 1)
        if not widths:
            continue
        width, n = widths.most_common(1)[0]
        first = next(at for at, record in enumerate(records) if len(record) == width)
        if best is None or n * width > best[0]:
            best = (n * width, delimiter, first)
    if best is None or best[2] > PREAMBLE:
        return None
    return best[1], best[2]


def _labels(records: Sequence[Sequence[str]]) -> int:
    """Return how many more records the header has: labels of its names, and ids."""
    if len(records) > 2 and records[2][0].lstrip().startswith(IMPORT_ID):
        return 2
    if len(records) > 1 and [*map(_plain, records[0])] == [*map(_plain, records[1])]:
        return int(records[0] != records[1])  # the same again is where files were joined
    return 0


def _nulls(records: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the words for no value that stand where there are numbers or times otherwise.

    Among names they may be placeholders of identities, which are counted as such.
    """
    words = set()
    for column in zip(*records, strict=False):
        cells = [cell.strip() for cell in column if cell.strip()]
        values = sum(bool(_VALUE.fullmatch(cell)) for cell in cells)
        nulls = {cell for cell in cells if cell in NULLS}
        if nulls and values and values + sum(cell in NULLS for cell in cells) == len(cells):
            words |= nulls
    return tuple(word for word in NULLS if word in words)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _is_data(records: Sequence[Sequence[str]]) -> bool:
    """Return whether the first record looks like the others: some cells of it are numbers or times
    where those below are too.
    """
    if len(records) < 2:
        return False
    return any(
        bool(_VALUE.fullmatch(first.strip())) and bool(_VALUE.fullmatch(second.strip()))
        for first, second in zip(records[0], records[1], strict=False)
    )
