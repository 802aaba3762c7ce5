"""Suggest SQL for a refused row: the value at fault, and what to write instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rejse.pipelines.onboarding.column_profile import profiles
from rejse.pipelines.onboarding.guess_columns import identity_names

if TYPE_CHECKING:
    import pyarrow as pa

#: Reason -> SQL that helps whatever the value is.
_BY_REASON = {
    "time_out_of_range": "to_timestamp(t / 1e3) as time  -- for milliseconds since 1970",
    "end_before_start": "case when e >= s then e end as end_time",
    "bad_sequence": "try_cast(n as bigint) as sequence",
    "missing_previousidentitytype": "'cookie' as previousidentitytype  -- or what it is",
    "scale_upside_down": "1 as scale_min, 5 as scale_max, false as higher_is_better",
    "confidence_out_of_range": "percent / 100.0 as confidence",
    "type_mismatch": "(make the column string in the schema file, and try_cast it in the SELECT)",
    "repeated_header": "(nothing: the line holds no event)",
    "refused_by_mapping": "(the mapping itself says so, in `reject`)",
}
_DAMAGED = "(the row itself is damaged; no SQL helps)"
_READER = (
    "not_json", "not_an_object", "too_deep", "invalid_unicode", "malformed_row", "invalid_utf8",
    "record_too_large", "truncated_file", "damaged_file", "compression_bomb",
    "unreadable_parquet", "unknown_format",
)  # fmt: skip


def suggestion(
    reason: str, detail: str | None, payload: str | None, raw: pa.RecordBatch
) -> tuple[str, str]:
    """Return the refused value (`column = value`, or the row) and the SQL to write instead."""
    row = _row(payload)
    if reason == "mapping_failed":
        return _failed(detail or "", row, raw)
    shown = _short(payload or "")
    if reason in _READER:
        return shown, _DAMAGED
    if reason.startswith("missing_"):
        column = reason.removeprefix("missing_")
        return f"{column} = {row.get(column)!r}", _filling(column, row, raw)
    if reason.startswith("unknown_"):
        column = reason.removeprefix("unknown_")
        value = row.get(column)
        return f"{column} = {value!r}", f"case {column} when {_quoted(value)} then '...' end"
    if reason.startswith("negative_"):
        column = reason.removeprefix("negative_")
        return f"{column} = {row.get(column)!r}", f"greatest({column}, 0) as {column}"
    return shown, _BY_REASON.get(reason, "")


def _filling(column: str, row: dict[str, Any], raw: pa.RecordBatch) -> str:
    """Suggest another raw column with an identity, if the row has one; else a reject reason."""
    why = f"case when {column} is null then 'no {column}' end as reject"
    names = identity_names(raw.schema.names) if column == "identity" else []
    if len(names) > 1 and any(row.get(name) for name in names):
        listed = ", ".join(f"nullif({_text(name, raw)}, '')" for name in names)
        return f"coalesce({listed}) as identity  -- mind identitytype; else {why}"
    return f"{why}  -- counts it under your reason; or map a column that has it"


def _text(name: str, raw: pa.RecordBatch) -> str:
    is_text = str(raw.schema.field(name).type) == "string"
    return _name(name) if is_text else f"cast({_name(name)} as varchar)"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _failed(detail: str, row: dict[str, Any], raw: pa.RecordBatch) -> tuple[str, str]:
    """Find the raw column whose value DuckDB's message names, and SQL for its other values."""
    import pyarrow as pa

    named = [(n, v) for n, v in row.items() if isinstance(v, str) and v and v in detail]
    if named:
        # A short value may be in any message by chance; the longest is meant.
        name, value = max(named, key=lambda pair: len(pair[1]))
        quoted = _name(name)
        time = profiles(pa.table({name: raw.column(name)}))[0].time_sql(quoted)
        number = f"try_cast({quoted} as double)  -- null where it is no number"
        return f"{name} = {_short(value)}", f"{time[0]} as time" if time else number
    return _short(json.dumps(row, ensure_ascii=False, default=str)), "try_cast(... as ...)"


def _row(payload: str | None) -> dict[str, Any]:
    try:
        row = json.loads(payload or "")
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
