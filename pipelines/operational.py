"""Operational tables from their files (CSV or Parquet) into the columns the core knows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.operational import Operational


def read(files: Any) -> Operational:
    """The tables that are configured. Raises ValueError, naming the file and what was expected."""
    from rejse.transforms import operational as core

    return core.Operational(
        _table(files.touchpoints, core.TOUCHPOINTS),
        _table(files.touchpoint_fields, core.TOUCHPOINT_FIELDS),
        _table(files.journey_types, core.JOURNEY_TYPES),
    )


def _table(path: Path | None, wanted: pa.Schema) -> pa.Table | None:
    import pyarrow as pa

    from rejse.transforms.operational import conform

    if path is None:
        return None
    try:
        return conform(_load(path, wanted), wanted)
    except (pa.ArrowException, OSError) as fault:
        raise ValueError(
            f"{path.name}: expected columns {', '.join(wanted.names)} (others are ignored);"
            f" came: {fault}"
        ) from None


def _load(path: Path, wanted: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    if path.suffix == ".parquet":
        return pq.ParquetFile(path).read()
    times = [field.name for field in wanted if pa.types.is_timestamp(field.type)]
    kinds = {f.name: pa.string() if f.name in times else f.type for f in wanted}
    convert = csv.ConvertOptions(
        column_types=kinds, strings_can_be_null=True, null_values=["", "null"]
    )
    table = csv.read_csv(path, convert_options=convert)
    for name in times:
        if name in table.column_names:
            moments = [_moment(text) for text in table.column(name).to_pylist()]
            column = pa.array(moments, wanted.field(name).type)
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _moment(text: str | None) -> datetime | None:
    """Time of an ISO 8601 text; UTC where it names no zone."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OSError(f"{text!r} where a time such as 2025-06-30T00:00:00Z belongs") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
