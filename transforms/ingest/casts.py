"""SQL that casts a mapped column to the contract's type."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from rejse.transforms.ingest.select_check import MappingError
from rejse.transforms.schema.contract import BY_NAME, TEXT, TIME, Contract

#: Column by which a mapping refuses rows: the reason as text, null for rows to keep.
REJECT = "reject"
INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint",
                      "uinteger", "ubigint", "hugeint"})  # fmt: skip


def cast_to(contract: Contract, name: str, kind: Any, column: str) -> str:
    """Return SQL that casts `column` to the contract's type. Raises MappingError where none can."""
    name = name.casefold()
    wanted = TEXT if name == REJECT else contract.by_name[name].type
    if wanted == TEXT:
        return column if kind.id == "varchar" else _cast_text(kind, column)
    if wanted == TIME:
        return _cast_time(name, kind, column)
    if name == "sequence":
        return _cast_sequence(kind, column)
    if name in ("info", "claims"):
        return _cast_compared(name, kind, column)
    if name == "promise" and kind.id == "struct":
        return _cast_promise(kind, column)
    if name == "attrs":
        plain = kind.id == "map"
        return f"cast({column if plain else f'to_json({column})'} as map(varchar, varchar))"
    return f"cast({column} as {_sql_type(wanted)})"


def _cast_time(name: str, kind: Any, column: str) -> str:
    if kind.id == "timestamp with time zone":
        return column
    if kind.id != "varchar" and kind.id != "date" and not kind.id.startswith("timestamp"):
        raise MappingError(
            f"{name}: expected a timestamp, came {kind}; use to_timestamp({name}) for seconds"
            f" since 1970, make_timestamp({name}) for microseconds, strptime for texts"
        )
    return f"cast({column} as timestamptz)"


def _cast_text(kind: Any, column: str) -> str:
    """Cast to text; a whole float becomes the whole number, as other columns write it."""
    plain = f"cast({column} as varchar)"
    if kind.id not in ("double", "float", "decimal"):
        return plain
    is_whole = f"{column} = trunc({column}) and abs({column}) < 1e37"
    return f"case when {is_whole} then cast(cast({column} as hugeint) as varchar) else {plain} end"


def _cast_sequence(kind: Any, column: str) -> str:
    if kind.id in INTEGERS:
        return f"try_cast({column} as bigint)"
    whole = f"regexp_full_match(trim(cast({column} as varchar)), '[+-]?[0-9]+(\\.0+)?')"
    return f"case when {whole} then try_cast({column} as bigint) end"


def _cast_compared(name: str, kind: Any, column: str) -> str:
    """Cast a list whose raw values are hashed later; they may be called `value`."""
    parts = {"info": ("field", "op", "value_hmac"), "claims": ("topic", "value_hmac", "valid_to")}
    types = {"valid_to": "timestamptz"}
    inner = kind.children[0][1] if kind.id in ("list", "array") else kind
    names = {name for name, _ in inner.children} if inner.id == "struct" else {"value"}
    raw_name = {
        part: "value" if part == "value_hmac" and "value" in names else part for part in parts[name]
    }
    body = ", ".join(f'"{raw_name[part]}" {types.get(part, "varchar")}' for part in parts[name])
    packed = ", ".join(f'"{part}" := item."{raw_name[part]}"' for part in parts[name])
    return f"list_transform(cast({column} as struct({body})[]), lambda item: struct_pack({packed}))"


def _cast_promise(kind: Any, column: str) -> str:
    """Cast a promise; a due time without a time of day becomes a due date."""
    target = BY_NAME["promise"].type
    types = {name.casefold(): child.id for name, child in kind.children}
    if types.get("due_time") not in ("date", "varchar"):
        return f"cast({column} as {_sql_type(target)})"
    due = f'{column}."due_time"'
    is_day = "true"
    if types["due_time"] == "varchar":
        is_day = f"regexp_full_match(trim({due}), '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}')"
    derived = {
        "due_time": f"case when not {is_day} then cast({due} as timestamptz) end",
        "due_date": f"case when {is_day} then cast({due} as date) end",
    }
    parts = [
        f'"{part.name}" := '
        + derived.get(part.name, f'{column}."{part.name}"' if part.name in types else "null")
        for part in target
    ]
    packed = f"cast(struct_pack({', '.join(parts)}) as {_sql_type(target)})"
    return f"case when {column} is not null then {packed} end"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "struct(" + ", ".join(f'"{f.name}" {_sql_type(f.type)}' for f in kind) + ")"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    names = {
        TEXT: "varchar", TIME: "timestamptz", pa.int32(): "integer", pa.bool_(): "boolean",
        pa.float64(): "double", pa.date32(): "date",
    }  # fmt: skip
    return names[kind]
