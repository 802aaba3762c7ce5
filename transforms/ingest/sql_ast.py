"""DuckDB's parse tree of SQL that users write, and what in it gives another value another time."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import duckdb

#: Words that give another value at another time or in another session, whatever their catalogue
#: entry says (`age` does so with one argument, `user` and the `current_` family as bare words).
VOLATILE_WORDS = frozenset({"localtime", "localtimestamp", "user", "session_user", "today", "ago"})
#: `error('…')` is volatile by name only; it is the mapping's way to refuse a row.
NOT_VOLATILE = frozenset({"error"})
Node = dict[str, Any]


def read(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Node]:
    """Trees of the SELECTs in `sql`. Raises ValueError where it cannot be parsed as such."""
    quoted = sql.replace("'", "''")
    said = json.loads(connection.execute(f"select json_serialize_sql('{quoted}')").fetchall()[0][0])
    if said["error"]:
        raise ValueError(f"{said.get('error_type', '')}: {said.get('error_message', '')}")
    return [statement["node"] for statement in said["statements"]]


def walk(node: Any) -> Iterator[Node]:
    """The node and every node below it; as deep as there are any."""
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(reversed(one.values()))
        elif isinstance(one, list):
            left.extend(reversed(one))


def volatile_names(node: Node, columns: Collection[str] = ()) -> Iterator[str]:
    """Functions and words that read the clock, chance or the session, as they stand in the tree.

    `columns` are names in lower case that, as bare words, mean a column.
    """
    for part in walk(node):
        kind = part.get("class")
        if kind == "FUNCTION":
            name, arguments = part["function_name"].casefold(), len(part["arguments"])
            found = name in _volatile() or (name == "age" and arguments == 1)
        elif kind == "COLUMN_REF" and len(part["column_names"]) == 1:
            name, found = part["column_names"][0].casefold(), False
            if name in columns:
                continue
        else:
            continue
        if found or name in VOLATILE_WORDS or name.startswith("current_"):
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
