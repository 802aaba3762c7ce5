"""Read and write a source's frozen raw schema: its columns and types, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def parse(kind: Any) -> pa.DataType:
    """Parse a type of the schema file, a name, list, map or struct, into an Arrow type."""
    import pyarrow as pa

    if isinstance(kind, dict):
        if "list" in kind:
            return pa.list_(parse(kind["list"]))
        if "map" in kind:
            return pa.map_(pa.string(), parse(kind["map"]))
        return pa.struct([(name, parse(inner)) for name, inner in kind["struct"].items()])
    if kind.startswith("timestamp["):
        unit, _, zone = kind[len("timestamp[") : -1].partition(", tz=")
        return pa.timestamp(unit, tz=zone or None)
    if kind.startswith("decimal128("):
        digits, scale = kind[len("decimal128(") : -1].split(",")
        return pa.decimal128(int(digits), int(scale))
    return pa.type_for_alias(kind)


def render(kind: pa.DataType) -> Any:
    """Return an Arrow type as the schema file writes it; a dictionary as the type of its values."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return render(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return {"list": render(kind.value_type)}
    if pa.types.is_map(kind):
        return {"map": render(kind.item_type)}
    if pa.types.is_struct(kind):
        return {"struct": {field.name: render(field.type) for field in kind}}
    return str(kind)


def read(path: Path) -> pa.Schema:
    """Read a raw schema that `write` or a person wrote.

    Raises:
        ValueError: a type is unknown; the message names the column.
    """
    import pyarrow as pa

    frozen = json.loads(path.read_text(encoding="utf-8"))
    fields = []
    for name, kind in frozen["columns"].items():
        try:
            fields.append(pa.field(name, parse(kind)))
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise ValueError(
                f"{path.name}: column {name}: expected an Arrow type such as string, int64, double"
                f" or timestamp[us, tz=UTC], came {kind!r} ({fault})"
            ) from None
    return pa.schema(fields)


def write(path: Path, schema: pa.Schema) -> None:
    """Freeze a raw schema. Raises FileExistsError where the file exists."""
    text = json.dumps({"columns": {f.name: render(f.type) for f in schema}}, indent=2)
    with path.open("x", encoding="utf-8") as out:
        out.write(text + "\n")
