"""DuckDB's parse tree of user SQL, and the volatile functions in it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import duckdb

#: Volatile words that DuckDB's catalogue does not list as such (`age` is volatile with one
#: argument, `user` and the `current_` family as bare words).
VOLATILE_WORDS = frozenset({"localtime", "localtimestamp", "user", "session_user", "today", "ago"})
#: `error('…')` is listed as volatile, but mappings use it to refuse a row.
NOT_VOLATILE = frozenset({"error"})
Node = dict[str, Any]


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Node]:
    """Return the trees of the SELECTs in `sql`. Raises ValueError where it cannot be parsed."""
    quoted = sql.replace("'", "''")
    parsed = json.loads(
        connection.execute(f"select json_serialize_sql('{quoted}')").fetchall()[0][0]
    )
    if parsed["error"]:
        raise ValueError(f"{parsed.get('error_type', '')}: {parsed.get('error_message', '')}")
    return [statement["node"] for statement in parsed["statements"]]


def walk(node: Any) -> Iterator[Node]:
    """Yield the node and all nodes below it."""
    parts = [node]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            yield part
            parts.extend(reversed(part.values()))
        elif isinstance(part, list):
            parts.extend(reversed(part))


def volatile_names(node: Node, columns: Collection[str] = ()) -> Iterator[str]:
    """Yield functions and words that read the clock, chance or the session.

    `columns` are names in lower case that, as bare words, mean a column.
    """
    for part in walk(node):
        kind = part.get("class")
        if kind == "FUNCTION":
            name, arguments = part["function_name"].casefold(), len(part["arguments"])
            is_volatile = name in _volatile() or (name == "age" and arguments == 1)
        elif kind == "COLUMN_REF" and len(part["column_names"]) == 1:
            name, is_volatile = part["column_names"][0].casefold(), False
            if name in columns:
                continue
        else:
            continue
        if is_volatile or name in VOLATILE_WORDS or name.startswith("current_"):
            yield name


@cache
def _volatile() -> frozenset[str]:
    with duckdb.connect(":memory:", config={"threads": 1}) as fresh:
        rows = fresh.execute(
            "select function_name from duckdb_functions() where stability != 'CONSISTENT'"
            " or (function_type = 'macro' and regexp_matches(macro_definition,"
            " '(?i)current_|now\\(|random|uuid|select '))"
        ).fetchall()
    return frozenset(name for (name,) in rows) - NOT_VOLATILE
