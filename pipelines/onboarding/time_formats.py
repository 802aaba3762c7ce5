"""Recognise how times are written, and write the SQL that reads them.

A text is split into a date, a clock and a zone; a format is what DuckDB's `strptime` takes. Numbers
are told by their size: seconds, milli-, micro- or nanoseconds since 1970, or days since 1900 as
Excel counts them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ENOUGH = 0.95
#: Different formats that one column may have.
FORMATS = 6
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s*"
    r"(?:Z|UTC|GMT|[A-Z]{3,4}|[A-Z][a-z]+/[A-Za-z_/]+|[+-]\d\d(?::?\d\d)?)?)?"
)
_CLOCK = (
    r"(?P<glue>T|,?\s+)\d{1,2}:\d\d(?P<seconds>:\d\d(?P<fraction>\.\d+)?)?"
    r"(?:(?P<space>\s?)(?P<half>[AaPp][Mm]))?"
    r"(?:(?P<gap>\s?)(?P<zone>Z|[+-]\d\d:?\d\d|UTC|GMT|[A-Z]{3,4}|[A-Z][a-z]+/[A-Za-z_/]+))?"
)
_DATE = (
    r"(?:(?P<weekday>[A-Za-z]{3,9})(?P<comma>,?\s+))?"
    r"(?:(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)"
    r"|(?P<year>\d{4})(?P<ysep>[/.])\d{1,2}(?P=ysep)\d{1,2}"
    r"|\d{1,2}(?P<day_gap>[\s-])(?P<month>[A-Za-z]{3,9})(?P<year_gap>[\s-])(?P<y2>\d{4}|\d\d)"
    r"|(?P<month2>[A-Za-z]{3,9})\s\d{1,2},\s\d{4})"
)
_WRITTEN = re.compile(f"{_DATE}(?:{_CLOCK})?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE]\+?\d+)?")
_CLOCK_ONLY = re.compile(r"\d{1,3}:[0-5]\d:[0-5]\d(?:\.\d+)?")
#: English names, which DuckDB reads.
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Units since 1970 by the power of ten of one second in them, with the SQL of a double.
UNITS = (
    (0, "s", "to_timestamp({0})"),
    (3, "ms", "to_timestamp({0} / 1e3)"),
    (6, "us", "to_timestamp({0} / 1e6)"),
)
#: Seconds since 1970 between which a log is: from September 2001 to 2033.
FIRST, LAST = 1e9, 2e9
#: Days since 1900, as Excel counts, from 1970 to 2064.
FIRST_DAY, LAST_DAY = 25_569, 60_000
#: Words in the name of a column of times.
NAMED = re.compile(r"(^|_)(time|date|timestamp|ts|at|on|tid|dato|datum|zeit|fecha|data|czas)(_|$)")


@dataclass(frozen=True)
class ReadTime:
    """SQL that reads a column as a time, what shows that, and what the values leave open."""

    sql: str
    shown: str
    question: str = ""

    @property
    def why(self) -> str:
        """Return the reason, with the question."""
        return "; ".join(filter(None, (self.shown, self.question)))

    @property
    def is_sure(self) -> bool:
        """Return whether day and month could be told apart."""
        return not self.question


def read(texts: Sequence[str], given: str, name: str, *, is_text: bool) -> ReadTime | None:
    """Return how a column of these texts is read as a time; None where it holds no times.

    Args:
        texts: Values of the column.
        given: Its name, or an expression of it, as SQL.
        name: Its name in lower case.
        is_text: Whether the column is text; else it is a number.
    """
    cells = [text.strip() for text in texts if text.strip()]
    if not cells:
        return None
    return _iso(cells, given) or _number(cells, given, name, is_text) or _written(cells, given)


def seconds(texts: Sequence[str], quoted: str) -> str | None:
    """Return SQL of the seconds of durations such as `00:03:25`; None where they are none."""
    cells = [text.strip() for text in texts if text.strip()]
    if not cells or _share(bool(_CLOCK_ONLY.fullmatch(cell)) for cell in cells) < ENOUGH:
        return None
    return f"cast(epoch(try_cast({quoted} as interval)) as integer)"


def _share(flags: Iterable[bool]) -> float:
    listed = list(flags)
    return sum(listed) / len(listed) if listed else 0.0


def _iso(cells: Sequence[str], given: str) -> ReadTime | None:
    if _share(bool(_ISO.fullmatch(cell)) for cell in cells) < ENOUGH:
        return None
    return ReadTime(f"cast({given} as timestamptz)", f"values such as {cells[0]}")


def _number(cells: Sequence[str], given: str, name: str, is_text: bool) -> ReadTime | None:
    numbers = [float(cell) for cell in cells if _NUMBER.fullmatch(cell)]
    if len(numbers) < ENOUGH * len(cells):
        return None
    number = f"cast({given} as double)" if is_text else given
    shown = f"values such as {cells[0]}"
    for power, unit, pattern in UNITS:
        if _share(FIRST <= value / 10**power < LAST for value in numbers) >= ENOUGH:
            return ReadTime(pattern.format(number), f"{shown} ({unit} since 1970)")
    if _share(FIRST <= value / 1e9 < LAST for value in numbers) >= ENOUGH:
        whole = f"cast({given} as bigint)" if is_text else given
        return ReadTime(f"make_timestamp({whole} // 1000)", f"{shown} (ns since 1970)")
    is_day = _share(FIRST_DAY <= value < LAST_DAY for value in numbers) >= ENOUGH
    if is_day and NAMED.search(name):
        micros = f"to_microseconds(cast(round({number} * 86400) as bigint) * 1000000)"
        return ReadTime(f"timestamp '1899-12-30' + {micros}", f"{shown} (days of Excel)")
    return None


def _written(cells: Sequence[str], given: str) -> ReadTime | None:
    matches = [m for cell in cells if (m := _WRITTEN.fullmatch(cell)) and _are_words(m)]
    if len(matches) < ENOUGH * len(cells):
        return None
    numeric = [(int(m["a"]), int(m["b"])) for m in matches if m["a"] is not None]
    month_first, day_first = (any(pair[at] > 12 for pair in numeric) for at in (1, 0))
    if month_first and day_first:
        return None  # some of each: no format reads all
    formats = [f for f, _ in Counter(_format(m, month_first) for m in matches).most_common()]
    if len(formats) > FORMATS:
        return None
    is_sure = month_first or day_first or not numeric
    question = "" if is_sure else "DAY OR MONTH FIRST? no value tells"
    quoted = [f"'{f}'" for f in formats]
    listed = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
    return ReadTime(f"strptime({given}, {listed})", f"values such as {cells[0]}", question)


def _are_words(match: re.Match[str]) -> bool:
    """Return whether its words are weekdays and months, whole or by their first three letters."""
    month = match["month"] or match["month2"]
    return _is_among(month, MONTHS) and _is_among(match["weekday"], WEEKDAYS)


def _is_among(word: str | None, names: Sequence[str]) -> bool:
    return word is None or any(word.lower() in (name, name[:3]) for name in names)


def _format(match: re.Match[str], month_first: bool) -> str:
    """Return the format of a text."""
    out = ""
    if match["weekday"] is not None:
        out += ("%a" if len(match["weekday"]) == 3 else "%A") + match["comma"]
    if match["a"] is not None:
        year = "%Y" if len(match["y"]) == 4 else "%y"
        out += match["sep"].join(("%m", "%d", year) if month_first else ("%d", "%m", year))
    elif match["year"] is not None:
        out += match["ysep"].join(("%Y", "%m", "%d"))
    elif match["month"] is not None:
        month = "%b" if len(match["month"]) == 3 else "%B"
        year = "%Y" if len(match["y2"]) == 4 else "%y"
        out += f"%d{match['day_gap']}{month}{match['year_gap']}{year}"
    else:
        out += ("%b" if len(match["month2"]) == 3 else "%B") + " %d, %Y"
    if match["glue"] is None:
        return out
    out += f"{match['glue']}{'%I' if match['half'] else '%H'}:%M"
    out += (":%S" if match["seconds"] else "") + (".%f" if match["fraction"] else "")
    if match["half"]:
        out += f"{match['space']}%p"
    if match["zone"]:
        is_offset = match["zone"][0] in "+-"
        out += match["gap"] + ("Z" if match["zone"] == "Z" else "%z" if is_offset else "%Z")
    return out
