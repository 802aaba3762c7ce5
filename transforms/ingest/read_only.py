"""Check that a statement only reads, by allow-lists of parse tree nodes and functions.

DuckDB writes from within a query too: `with x as (copy … to 'file') select …`. So a list of what is
dangerous cannot be complete. A node or a function that is not in a list of what reads is refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import cache

import duckdb

from rejse.transforms.errors import MisuseError
from rejse.transforms.ingest.sql_ast import Node, walk

EXPRESSIONS = frozenset({
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT",
    "DEFAULT", "FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE",
    "STAR", "SUBQUERY", "TYPE", "WINDOW",
})  # fmt: skip
QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
TABLES = frozenset({
    "BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY",
    "TABLE_FUNCTION",
})  # fmt: skip
MODIFIERS = frozenset({
    "DISTINCT_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER",
    "ASCENDING", "DESCENDING", "ORDER_DEFAULT",
})  # fmt: skip
#: Nodes other than expressions.
NODES = QUERIES | TABLES | MODIFIERS
#: Functions in FROM that reach nothing but their arguments and the catalogue.
TABLE_FUNCTIONS = frozenset({
    "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_dependencies",
    "duckdb_extensions", "duckdb_functions", "duckdb_indexes", "duckdb_keywords", "duckdb_memory",
    "duckdb_optimizers", "duckdb_schemas", "duckdb_sequences", "duckdb_settings", "duckdb_tables",
    "duckdb_temporary_files", "duckdb_types", "duckdb_variables", "duckdb_views",
    "generate_series", "histogram", "histogram_values", "icu_calendar_names", "json_each",
    "json_tree", "pg_timezone_names", "pragma_collations", "pragma_database_size", "pragma_show",
    "pragma_table_info", "pragma_version", "range", "repeat", "repeat_row", "summary", "unnest",
})  # fmt: skip
#: Volatile functions (as DuckDB declares) that change nothing and wait for nothing.
HARMLESS = frozenset({
    "current_connection_id", "current_query", "current_query_id", "current_transaction_id", "error",
    "gen_random_uuid", "random", "stats", "uuid", "uuidv4", "uuidv7", "vector_type",
})  # fmt: skip
READING = "select, from, values, explain, describe, show, summarize"


class ReadOnlyError(MisuseError):
    """A statement that would do more than read, or cannot be checked."""


def parser() -> duckdb.DuckDBPyConnection:
    """Open a connection to parse with: it reaches no file, and its trees have a known format."""
    plain = duckdb.connect(":memory:", config={"threads": 1})
    plain.execute("set enable_external_access = false; set lock_configuration = true")
    return plain


def refuse_writing(plain: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise ReadOnlyError unless `sql` is one statement that only reads.

    `plain` parses and runs nothing. Raises duckdb.Error where it cannot be parsed.
    """
    statements = plain.extract_statements(sql)
    if len(statements) != 1:
        raise ReadOnlyError(f"expected one query, came {len(statements)} statements")
    try:
        kind = statements[0].type.name
    except ValueError:  # a type that DuckDB's own enumeration lacks, such as `update extensions`
        kind = "a statement of an unknown kind"
    if kind == "EXPLAIN":
        return _refuse_explained(plain, sql)
    if kind != "SELECT":
        raise _refused(_described(kind))
    return _refuse_nodes(_trees(plain, sql))


def _refuse_explained(plain: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Check the explained statement in each way it can be read: `explain analyze` runs it."""
    readable = [text for text in _explained(sql) if _is_one(plain, text)]
    if not readable:
        raise _refused("an explain whose statement cannot be told apart")
    for text in readable:
        refuse_writing(plain, text)


def _explained(sql: str) -> Iterator[str]:
    """Yield possible statements after `explain`, after `analyze`, and after options in brackets."""
    raw = sql.encode()
    tokens = [(at, kind.name) for at, kind in duckdb.tokenize(sql) if kind.name != "comment"]
    ends = [at for at, _ in tokens[1:]] + [len(raw)]
    words = [raw[at:end] for (at, _), end in zip(tokens, ends, strict=True)]
    at_word, depth = 1, 0
    yield raw[tokens[0][0] + len("explain") :].decode()
    if at_word < len(tokens) and words[at_word].lower().startswith((b"analyze", b"analyse")):
        yield raw[tokens[at_word][0] + len("analyze") :].decode()
        at_word += 1
    for at, word in zip((at for at, _ in tokens[at_word:]), words[at_word:], strict=True):
        depth += word.startswith(b"(") - word.startswith(b")")
        if depth == 0:
            yield raw[at + 1 :].decode()
            return


def _is_one(plain: duckdb.DuckDBPyConnection, text: str) -> bool:
    try:
        return len(plain.extract_statements(text)) == 1
    except duckdb.Error:
        return False


def _trees(plain: duckdb.DuckDBPyConnection, sql: str) -> list[Node]:
    serialized = plain.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()[0][0]
    try:
        parsed = json.loads(serialized)
    except RecursionError:
        raise _refused("a query that is nested too deeply to be checked") from None
    if parsed["error"]:
        raise _refused(f"a query that cannot be checked ({parsed.get('error_message', '')})")
    trees: list[Node] = parsed["statements"]
    if len(trees) != 1:
        raise _refused(f"{len(trees)} queries in one")
    return trees


def _refuse_nodes(trees: list[Node]) -> None:
    for node in walk(trees):
        kind, which = node.get("type"), node.get("class")
        if which is not None:
            if which not in EXPRESSIONS:
                raise _refused(_described(str(which)))
        elif kind is not None and not isinstance(kind, dict) and kind not in NODES:
            raise _refused(_described(str(kind)))
        if which in ("FUNCTION", "WINDOW"):
            _refuse_function(node["function_name"].casefold())
        elif which is None and kind == "TABLE_FUNCTION":
            _refuse_table_function(node["function"])


def _refuse_table_function(called: Node) -> None:
    name = str(called.get("function_name", "")).casefold()
    if name not in TABLE_FUNCTIONS:
        raise ReadOnlyError(
            f"expected tables, views or one of the functions {', '.join(sorted(TABLE_FUNCTIONS))}"
            f" after from, came {name or 'another expression'}(…), which could reach more than"
            " what is published; `show tables` lists what there is"
        )


def _refuse_function(name: str) -> None:
    if name in _refused_functions():
        raise ReadOnlyError(
            f"expected functions that only compute, came {name}(…), which changes or waits for"
            " something; leave it out"
        )


@cache
def _refused_functions() -> Collection[str]:
    """Return the functions, of those that DuckDB lists, that do more than compute."""
    with parser() as plain:
        rows = plain.execute(
            "select distinct function_name from duckdb_functions() where function_type in"
            " ('scalar', 'aggregate', 'window') and (stability not in"
            " ('CONSISTENT', 'CONSISTENT_WITHIN_QUERY') or function_name like '\\_\\_internal%'"
            " escape '\\')"
        ).fetchall()
    return frozenset(name for (name,) in rows) - HARMLESS


def _described(kind: str) -> str:
    if kind == "MULTI":
        return "a pivot without its values, which makes a type; name them: on column in ('a', 'b')"
    return kind.removesuffix("_QUERY_NODE").removesuffix("_NODE").lower().replace("_", " ")


def _refused(received: str) -> ReadOnlyError:
    return ReadOnlyError(
        f"expected a statement that only reads ({READING}), came {received};"
        ' a published store is only read: save an answer by `rejse sql --csv "…" > file`'
    )
