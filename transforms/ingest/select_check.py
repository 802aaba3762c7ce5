"""Check that a SELECT over a raw batch is row-wise: each row of `source` gives one row.

The check reads DuckDB's parse tree and physical plan; it decides nothing by patterns over the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import pyarrow as pa

from rejse.sql import SESSION
from rejse.transforms.errors import MisuseError
from rejse.transforms.ingest import read_only, sql_ast
from rejse.transforms.ingest.sql_ast import Node, walk

MEMORY = "256MB"
#: Calls that give null where a value cannot be cast.
TRIED = re.compile(r"\btry(?:_cast|_strptime)?\s*\(", re.IGNORECASE)
#: Operators of a plan that keeps the rows as they are.
ROW_WISE = frozenset({"PROJECTION", "PYTHON_ARROW_SCAN", "ARROW_SCAN"})


class MappingError(MisuseError):
    """A mapping that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Item:
    """One column that the SELECT gives.

    `reads` are the raw columns its expression needs; `form` says whether it is a raw column as it
    is (`raw`), a text constant (`value`), a null literal, or computed. `expression` is its SQL,
    empty where it uses another column of the SELECT by its alias.
    """

    name: str
    reads: frozenset[str]
    form: Literal["column", "constant", "null", "computed"]
    raw: str = ""
    value: str = ""
    expression: str = ""


@dataclass(frozen=True)
class Select:
    """A checked SELECT: output columns with their DuckDB types, and the raw columns it reads.

    `items` is None where its columns cannot be told apart (`select *`, a SELECT in FROM).
    """

    sql: str
    types: dict[str, Any]
    reads: tuple[str, ...]
    items: tuple[Item, ...] | None


def sandboxed_connection() -> duckdb.DuckDBPyConnection:
    """Open an in-memory connection without files and network; one thread, times in UTC."""
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": MEMORY})
    connection.execute(
        f"{SESSION}; set python_enable_replacements = false;"
        # Otherwise a long `in (…)` becomes a join, in the plan and in cost.
        " set disabled_optimizers = 'in_clause';"
        " set enable_external_access = false; set lock_configuration = true"
    )
    return connection


def parse(connection: duckdb.DuckDBPyConnection, sql: str, raw: pa.Schema) -> Select:
    """Check a SELECT over `source`, whose columns are those of `raw`.

    Raises MappingError where it is no single SELECT, does not bind, or is not row-wise.
    """
    node = _statement(connection, sql)
    _refuse(node)
    _refuse_unsteady(node, {name.casefold() for name in raw.names})
    try:
        read_only.refuse_writing(connection, sql)
    except read_only.ReadOnlyError as fault:
        raise MappingError(f"expected one SELECT over source: {fault}") from None
    connection.register("source", raw.empty_table())
    try:
        relation = connection.sql(sql)
        types = dict(zip(relation.columns, relation.types, strict=True))
        plan = json.loads(connection.execute(f"explain (format json) {sql}").fetchall()[0][1])
    except duckdb.Error as fault:
        raise MappingError(f"the SELECT does not fit the raw columns: {fault}") from None
    if len(types) != len(relation.columns):
        raise MappingError("two columns of the SELECT have the same name; rename one")
    _refuse_plan(plan)
    items = _items(connection, node, list(types), raw)
    return Select(sql, types, _reads(node, raw), items)


def _statement(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    try:
        nodes = sql_ast.read(connection, sql)
    except ValueError as fault:
        raise MappingError(f"expected one SELECT over source, came: {fault}") from None
    if len(nodes) != 1:
        raise MappingError(f"expected one SELECT, came {len(nodes)} statements")
    return nodes[0]


def _refuse(node: Node) -> None:
    for part in walk(node):
        if part.get("where_clause"):
            raise MappingError(
                "where drops rows unseen, and the balance must hold; instead give the column"
                " `reject` a text for the rows to refuse (null for the others), for example:"
                " case when state = '-100' then 'no state' end as reject"
            )
        if part.get("class") == "SUBQUERY":
            raise MappingError("a subquery in an expression is not row-wise; refused")
        if part.get("class") == "WINDOW":
            raise MappingError("a window function looks at other rows; refused")
        if part.get("class") == "POSITIONAL_REFERENCE":
            raise MappingError("name the column instead of its place (#1)")
        if part.get("type") == "TABLE_FUNCTION":
            raise MappingError("expected `from source` only, came a table function; refused")


def _refuse_unsteady(node: Node, columns: set[str]) -> None:
    for name in sql_ast.volatile_names(node, columns):
        raise MappingError(
            f"{name} gives another value at another time; a mapping must give the same for the"
            " same row"
        )


def _refuse_plan(plan: list[Node]) -> None:
    scans = 0
    for part in walk(plan):
        if "children" not in part or "name" not in part:
            continue
        name = part["name"].strip()
        if name not in ROW_WISE:
            raise MappingError(
                f"the SELECT is not row-wise: its plan has {name.lower()}; leave out aggregates,"
                " joins, distinct, order by, limit, unnest and set operations"
            )
        scans += name != "PROJECTION"
    if scans != 1:
        raise MappingError(f"expected one scan of source, came {scans}")


def _columns(node: Node, raw: dict[str, str]) -> set[str]:
    """Return the raw columns named in a part of the parse tree (`source.a`, `a`, `a.field`)."""
    named = set()
    for part in walk(node):
        if part.get("class") == "COLUMN_REF":
            path = [name.casefold() for name in part["column_names"]]
            if path == ["source"] and "source" not in raw:  # the whole row, as in to_json(source)
                return set(raw.values())
            named |= {raw[name] for name in path if name in raw}
    return named


def _reads(node: Node, raw: pa.Schema) -> tuple[str, ...]:
    if any(part.get("class") == "STAR" for part in walk(node)):
        return tuple(raw.names)
    named = _columns(node, {name.casefold(): name for name in raw.names})
    return tuple(name for name in raw.names if name in named)


def _items(
    connection: duckdb.DuckDBPyConnection, node: Node, names: list[str], raw: pa.Schema
) -> tuple[Item, ...] | None:
    table = node.get("from_table") or {}
    alias = table.get("column_name_alias") or table.get("alias")
    is_plain = table.get("type") == "BASE_TABLE" and not alias
    listed = node.get("select_list") or []
    if not is_plain or len(listed) != len(names) or node.get("cte_map", {}).get("map"):
        return None
    if any(part.get("class") == "STAR" for item_node in listed for part in walk(item_node)):
        return None
    columns = {name.casefold(): name for name in raw.names}
    items: list[Item] = []
    for name, item_node in zip(names, listed, strict=True):
        item = _item(connection, name, item_node, columns)
        aliases = _names(item_node) - set(columns)
        used = [other for other in items if other.name.casefold() in aliases]
        if used:  # it uses an earlier column by its alias, and needs it beside it
            reads = item.reads.union(*(other.reads for other in used))
            item = Item(name, reads, "computed")
        items.append(item)
    return tuple(items)


def _names(node: Node) -> set[str]:
    return {
        part["column_names"][0].casefold()
        for part in walk(node)
        if part.get("class") == "COLUMN_REF"
    }


def _item(
    connection: duckdb.DuckDBPyConnection, name: str, node: Node, raw: dict[str, str]
) -> Item:
    reads = frozenset(_columns(node, raw))
    kind = node.get("class")
    if kind == "COLUMN_REF" and len(reads) == 1:
        path = [part.casefold() for part in node["column_names"]]
        if path in ([next(iter(reads)).casefold()], ["source", next(iter(reads)).casefold()]):
            return Item(name, reads, "column", raw=next(iter(reads)))
    inner = node["child"] if kind == "CAST" else node
    literal = inner.get("literal") or {}
    if literal.get("kind") == "NULL_LITERAL":
        return Item(name, reads, "null")
    if kind == "CONSTANT" and literal.get("kind") == "STRING":
        return Item(name, reads, "constant", value=literal["text"])
    return Item(name, reads, "computed", expression=_text(connection, node))


def _text(connection: duckdb.DuckDBPyConnection, node: Node) -> str:
    """Return the SQL of one expression of the parse tree."""
    frame = json.loads(connection.execute("select json_serialize_sql('select 1')").fetchall()[0][0])
    frame["statements"][0]["node"]["select_list"] = [{**node, "alias": ""}]
    written = json.dumps(frame).replace("'", "''")
    text: str = connection.execute(f"select json_deserialize_sql('{written}')").fetchall()[0][0]
    return text.removeprefix("SELECT ").rstrip().removesuffix(";")


def tried(item: Item) -> tuple[str, ...]:
    """Return the raw columns inside calls such as `try_cast` of an expression."""
    inside = list(_arguments(item.expression))
    return tuple(
        name
        for name in sorted(item.reads)
        if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", argument) for argument in inside)
    )


def _arguments(expression: str) -> Iterator[str]:
    for call in TRIED.finditer(expression):
        depth, end = 1, call.end()
        while depth and end < len(expression):
            depth += {"(": 1, ")": -1}.get(expression[end], 0)
            end += 1
        yield expression[call.end() : end]
