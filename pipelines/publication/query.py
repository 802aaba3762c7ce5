"""Run one query of a user: find its text, limit it, return its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.store import errors
from rejse.transforms.errors import MisuseError

#: Rows fetched from DuckDB at once: an answer is printed row by row, not held in memory.
ROWS = 10_000
#: Default limits of a query: memory, spilled bytes, seconds.
MEMORY, SPILL, SECONDS = "25%", "10GB", 600.0
#: Seconds beyond its time in which DuckDB may stop a query itself. DuckDB reads the clock between
#: two steps; one call of a function is one step, however long it takes.
GRACE = 2.0
TOO_LONG = (
    "the query took longer than it may and was stopped; ask for less, or give it more with"
    " --timeout 1h"
)
#: Units of sizes that DuckDB prints.
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"[0-9]+(\.[0-9]+)?[KMGT]i?B", re.IGNORECASE)


class QueryError(MisuseError):
    """The query cannot be answered; the message says what was expected."""


def limits(timeout: str | None, memory: str | None, spill: str | None) -> Any:
    """Return the limits of a query (`catalogue.Limits`) from the options of a command.

    Raises QueryError for an invalid duration or size.
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


def cap_memory(session: Any) -> None:
    """Limit this process to twice the memory that DuckDB may use in a session.

    DuckDB counts blocks, not values: one call of a function may make a value of any size.
    """
    number, unit = session.memory_limit().split()
    process_limits.cap_memory(2 * int(float(number) * 1024 ** UNITS.index(unit)))


def text_in(file: Path) -> str:
    """Read the text of a query's file, or of the named question. Raises QueryError."""
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
    """Run one query; return its columns and an iterator over its rows.

    Where DuckDB cannot stop it after `seconds`, the process ends, if it is a process for this
    query.

    Raises QueryError, also while rows are read, where it fails or exceeds a limit, ReadOnlyError
    where it does more than read, StoreDamagedError where a file of the store cannot be read.
    """
    import duckdb

    try:
        with _in_time(seconds):
            result = con.execute(text)
        columns = [column[0] for column in result.description]
    except duckdb.Error as fault:
        raise _error(fault) from None
    return columns, _rows(result, seconds)


def _in_time(seconds: float | None) -> AbstractContextManager[None]:
    longest = None if seconds is None else seconds + GRACE
    return signals.deadline(longest, QueryError.exit_code, f"rejse: {TOO_LONG}")


def _rows(result: Any, seconds: float | None) -> Iterator[tuple[Any, ...]]:
    import duckdb

    while True:
        try:
            with _in_time(seconds):
                rows = result.fetchmany(ROWS)
        except duckdb.Error as fault:
            raise _error(fault) from None
        if not rows:
            return
        yield from rows


def _error(fault: Exception) -> Exception:
    """Return the error of a command whose query failed with `fault`."""
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
    """Return rows by column names. Raises QueryError where two columns share a name."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise QueryError(
            f"--json: expected a name for each column, came {twice[0]!r} twice; use as"
        )
    return (dict(zip(columns, row, strict=True)) for row in rows)
