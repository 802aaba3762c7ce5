"""Find columns of a sample that look personal: left out by the mapping, or kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rejse.pipelines.onboarding import personal_columns
from rejse.pipelines.onboarding.column_profile import Profile, profiles
from rejse.pipelines.onboarding.guess_columns import HASHED
from rejse.pipelines.onboarding.personal_values import is_json

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.schema.contract import Contract

_COMMENTS = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|--[^\n]*|/\*.*?\*/""", re.S)


def without_comments(sql: str) -> str:
    """Remove comments from SQL: a column that only comments name is not used."""
    return _COMMENTS.sub(lambda match: match[1] or " ", sql)


def left_out(batches: Sequence[pa.RecordBatch], names: Sequence[str]) -> dict[str, str]:
    """Return which raw columns look personal or like free text, and why."""
    return {profile.name: why for profile, why in _reasons(_table(batches, names))}


def kept(batches: Sequence[pa.RecordBatch], contract: Contract) -> dict[str, str]:
    """Return columns and attributes in clear of accepted rows that look personal, and why."""
    import pyarrow as pa

    held = {name for batch in batches for name in batch.schema.names}
    texts = [
        field.name
        for field in contract.fields
        if field.name in held - HASHED and not field.values and pa.types.is_string(field.type)
    ]
    reasons = {profile.name: why for profile, why in _reasons(_table(batches, texts))}
    if "attrs" in held:
        (attrs,) = profiles(_table(batches, ["attrs"]))
        for part in personal_columns.parts(attrs):
            part = replace(part, name=part.name.removeprefix("attrs."))
            is_text = sum(map(is_json, part.texts)) * 2 > max(1, len(part.texts))
            why = personal_columns.of_json(part) if is_text else personal_columns.reason(part)
            if why and why != personal_columns.EMPTY:
                reasons[f"attrs[{part.name!r}]"] = why
    return reasons


def _reasons(table: pa.Table) -> Iterator[tuple[Profile, str]]:
    for profile in profiles(table):
        why = personal_columns.reason(profile)
        if why and why != personal_columns.EMPTY:
            yield profile, why


def _table(batches: Sequence[pa.RecordBatch], names: Sequence[str]) -> pa.Table:
    """Join columns of batches into a table, dictionaries decoded."""
    import pyarrow as pa

    columns = {}
    for name in names:
        arrays = [b.column(name) for b in batches if name in b.schema.names]
        arrays = [
            a.cast(a.type.value_type) if pa.types.is_dictionary(a.type) else a for a in arrays
        ]
        if arrays:
            columns[name] = pa.chunked_array(arrays)
    rows = max(map(len, columns.values()), default=0)
    return pa.table({name: column for name, column in columns.items() if len(column) == rows})
