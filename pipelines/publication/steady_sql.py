"""Judge SQL of users that a store keeps asking: it only reads, and the same rows give the same."""

from __future__ import annotations

import duckdb

from rejse.transforms.ingest import read_only, sql_ast


def problem(text: str) -> str | None:
    """Return, in words, what makes a text no single reading query without clock and chance."""
    try:
        # A connection of its own: a catalogue of an older format gives trees of that format.
        with read_only.parser() as plain:
            read_only.refuse_writing(plain, text)
            nodes = sql_ast.read(plain, text)
    except (ValueError, read_only.ReadOnlyError, duckdb.Error) as fault:
        return f"one that cannot be read: {fault}"
    words = [word for node in nodes for word in sql_ast.volatile_names(node)]
    words += ["sample" for part in sql_ast.walk(nodes) if part.get("sample")]
    return f"{words[0]}, which gives another value at another time" if words else None


def words(text: str) -> frozenset[str]:
    """Return all names that a query uses, of columns and tables too, and `*` for all columns."""
    with read_only.parser() as plain:
        parts = list(sql_ast.walk(sql_ast.read(plain, text)))
    names = {name for part in parts for name in part.values() if isinstance(name, str)}
    for part in parts:
        listed = (value for value in part.values() if isinstance(value, list))
        names |= {name for value in listed for name in value if isinstance(name, str)}
    if any(part.get("class") == "STAR" for part in parts):
        names.add("*")
    return frozenset(names)
