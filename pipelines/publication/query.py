"""One query of a user: where its text comes from, and its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.store import errors
from rejse.transforms.errors import MisuseError

#: Rows that are taken from DuckDB at once: an answer is printed while it comes, not held whole.
ROWS = 10_000
#: What a query may take unless told otherwise: of the machine's memory, of the disk, of time.
MEMORY, SPILL, SECONDS = "25%", "10GB", 600.0
#: Seconds beyond its time in which DuckDB, which looks at the clock between two steps, may stop a
#: query itself; one call of a function is one step, however long it takes.
GRACE = 2.0
TOO_LONG = (
    "the query took longer than it may and was stopped; ask for less, or give it more with"
    " --timeout 1h"
)
#: Of sizes as DuckDB states them.
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"[0-9]+(\.[0-9]+)?[KMGT]i?B", re.IGNORECASE)


class QueryError(MisuseError):
    """The query cannot be answered; the message says what was expected."""


def limits(timeout: str | None, memory: str | None, spill: str | None) -> Any:
    """What a query may take (catalogue.Limits), as the options of a command say it.

    Raises QueryError for what is no duration or no size.
    """
    from rejse.pipelines.publication.catalogue import Limits
    from rejse.transforms.schema import durations

    try:
        seconds = SECONDS if timeout is None else durations.parse(timeout) / 1_000_000
    except ValueError as fault:
        raise QueryError(f"--timeout: {fault}") from None
    for name, size in (("--memory", memory), ("--spill", spill)):
        if size is not None and not _SIZE.fullmatch(size):
            raise QueryError(f"{name}: expected a size such as 500MB, 8GB or 1TB, came {size!r}")
    return Limits(memory or MEMORY, spill or SPILL, seconds)


def cap_memory(con: Any) -> None:
    """Hold this process, one of our own, to twice the memory that DuckDB may take on `con`, which
    counts blocks and no values: one call of a function may make a value of any size.
    """
    ((stated,),) = con.execute("select current_setting('memory_limit')").fetchall()
    number, unit = stated.split()
    process_limits.cap_memory(2 * int(float(number) * 1024 ** UNITS.index(unit)))


def text_in(file: Path) -> str:
    """Text of a query's file, or of the ready question of that name. Raises QueryError."""
    from rejse.sql import scripts

    questions = scripts("questions")
    if not file.exists() and str(file) in questions:
        return questions[str(file)].text
    if not file.is_file():
        listed = ", ".join(questions)
        raise QueryError(f"--file: expected a file or a ready question ({listed}), came {file}")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise QueryError(f"--file {file}: expected one SELECT as UTF-8 text") from None


def answer(
    con: Any, text: str, seconds: float | None = None
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Columns and rows of one query; rows come as they are asked for.

    Where DuckDB cannot stop it after `seconds`, the process ends, if it is one of our own.

    Raises QueryError, also while rows come, where it fails or takes more than it may, ReadOnlyError
    where it does more than read, StoreDamagedError where a file of the store cannot be read.
    """
    import duckdb

    try:
        with _in_time(seconds):
            found = con.execute(text)
        columns = [column[0] for column in found.description]
    except duckdb.Error as fault:
        raise _error(fault) from None
    return columns, _rows(found, seconds)


def _in_time(seconds: float | None) -> AbstractContextManager[None]:
    longest = None if seconds is None else seconds + GRACE
    return signals.deadline(longest, QueryError.exit_code, f"rejse: {TOO_LONG}")


def _rows(found: Any, seconds: float | None) -> Iterator[tuple[Any, ...]]:
    import duckdb

    while True:
        try:
            with _in_time(seconds):
                rows = found.fetchmany(ROWS)
        except duckdb.Error as fault:
            raise _error(fault) from None
        if not rows:
            return
        yield from rows


def _error(fault: Exception) -> Exception:
    """The error of a command whose query failed so."""
    if damaged := errors.query_words(fault):
        return errors.StoreDamagedError(damaged)
    kind = type(fault).__name__
    if kind == "InterruptException":
        return QueryError(TOO_LONG)
    if kind == "OutOfMemoryException":
        return QueryError(
            "the query needs more memory and room to spill than it may take; ask for less, or give"
            f" it more with --memory 8GB --spill 100GB ({str(fault).partition(chr(10))[0]})"
        )
    if full := errors.words(fault):
        return errors.StoreDamagedError(full)
    return QueryError(f"the query failed: {fault}")


def with_names(columns: list[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Rows by column names. Raises QueryError where two columns share one."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise QueryError(
            f"--json: expected a name for each column, came {twice[0]!r} twice; use as"
        )
    return (dict(zip(columns, row, strict=True)) for row in rows)
