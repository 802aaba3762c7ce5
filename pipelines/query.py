"""One query of a user: where its text comes from, and its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rejse.pipelines import damage


class QueryError(ValueError):
    """The query cannot be answered; the message says what was expected."""

    exit_code = 2


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


def answer(con: Any, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of one query. Raises QueryError where it fails or is not one,
    StoreDamagedError where a file of the store cannot be read."""
    import duckdb

    try:
        n = len(duckdb.extract_statements(text))
        if n != 1:
            raise QueryError(f"expected one query, came {n}; send one after the other")
        found = con.sql(text)
        return list(found.columns), found.fetchall()
    except duckdb.Error as fault:
        if damaged := damage.query_words(fault):
            raise damage.StoreDamagedError(damaged) from None
        raise QueryError(f"the query failed: {fault}") from None


def with_names(columns: list[str], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Rows by column names. Raises QueryError where two columns share one."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise QueryError(
            f"--json: expected a name for each column, came {twice[0]!r} twice; use as"
        )
    return [dict(zip(columns, row, strict=True)) for row in rows]
