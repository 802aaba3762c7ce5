"""Write the lines of the map `attrs` for raw columns that no column of the contract takes.

A line whose content looks personal is written as a comment, with the reason. Of a struct the
harmless fields are kept; of keys and values the harmless keys of the sample: keys that appear
later are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rejse.pipelines.onboarding import personal_columns
from rejse.pipelines.onboarding.column_profile import Profile
from rejse.pipelines.onboarding.guess_columns import Guesses
from rejse.pipelines.onboarding.personal_values import form

if TYPE_CHECKING:
    import pyarrow as pa

#: A list or map of so many keys is no list of attributes.
MOST_KEYS = 100


def note_copies(guesses: Guesses, profiles: Sequence[Profile]) -> None:
    """Mark columns that repeat the identity as personal: it is hashed, they would be in clear.

    A case number is no identity of a person. Where no column is the identity, its candidates are
    marked too: a chosen one would be hashed there and in clear here.
    """
    for guess in guesses.candidates.get("identity", ()):
        for name in guess.raw:
            guesses.personal.setdefault(name, personal_columns.MAY_BE)
    identity, kind = guesses.of("identity"), guesses.of("identitytype")
    mine = [p for p in profiles if identity is not None and p.name in identity.raw]
    if mine and (kind is None or kind.sql != "'case'"):
        for profile in guesses.rest:
            if personal_columns.is_copy(profile, mine[0]):
                guesses.personal.setdefault(profile.name, personal_columns.AGAIN)


def lines(profile: Profile, guesses: Guesses) -> Iterator[str]:
    """Yield the lines for a raw column, each with its comma; comments where it is left out."""
    import pyarrow as pa

    name, quoted = profile.name, guesses.quote[profile.name]
    why = guesses.personal.get(name)
    if personal_columns.is_keyed(profile.kind) or pa.types.is_map(profile.kind):
        yield from _keys(profile, quoted, why)
    elif why is None or not pa.types.is_struct(profile.kind):
        yield _line(name, _text(quoted, profile.kind), why)
    else:
        yield _line(name, _text(quoted, profile.kind), why)
        yield from _fields(profile, name, quoted, profile.kind)


def _line(name: str, sql: str, why: str | None) -> str:
    entry = f"'{_escaped(name)}': {sql},"
    if why is None:
        return f"        {entry}"
    # A name with a line break would leave the comment.
    return f"        -- {' '.join(entry.split())}  -- left out, {' '.join(why.split())}"


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def _text(sql: str, kind: pa.DataType) -> str:
    if kind.num_fields > 0:
        return f"cast(to_json({sql}) as varchar)"
    return sql if str(kind) == "string" else f"cast({sql} as varchar)"


def _fields(profile: Profile, path: str, sql: str, kind: pa.DataType) -> Iterator[str]:
    """Yield lines for the harmless fields of a struct that has others too."""
    import pyarrow as pa

    for field in kind:
        inner, part = f"{path}.{field.name}", f"struct_extract({sql}, '{_escaped(field.name)}')"
        held = _part(profile, path, inner, field)
        why = personal_columns.reason(held)
        if pa.types.is_struct(field.type) and why is not None:
            yield from _fields(held, inner, part, field.type)
        elif why is None and not _is_open(field.type):
            yield _line(inner, _text(part, field.type), None)


def _is_open(kind: pa.DataType) -> bool:
    """Return whether a type may have keys that are in no schema."""
    import pyarrow as pa

    return pa.types.is_map(kind) or personal_columns.is_keyed(kind) is not None


def _part(profile: Profile, path: str, inner: str, field: pa.Field) -> Profile:
    """Profile a field of a struct as a column of its own."""
    given = tuple(value.get(field.name) for value in profile.values if value is not None)
    values = tuple(value for value in given if value is not None)
    distinct = 0 if field.type.num_fields else len({str(value) for value in values})
    nulls = profile.n_rows - len(values)
    return Profile(inner, field.type, profile.n_rows, max(0, nulls), distinct, values)


def _tells(key: str) -> bool:
    """Return whether a key itself is personal data, such as a mail address."""
    return form([key], is_version=False) is not None


def _keys(profile: Profile, quoted: str, why: str | None) -> Iterator[str]:
    """Yield a line for the harmless keys of the sample, and one for all keys as a comment."""
    import pyarrow as pa

    parts = {
        part.name.removeprefix(f"{profile.name}."): part for part in personal_columns.parts(profile)
    }
    kept = [
        key for key, part in parts.items() if not (_tells(key) or personal_columns.reason(part))
    ]
    left = [key for key in parts if key not in kept and not _tells(key)]
    whole = _text(quoted, profile.kind)
    if len(parts) > MOST_KEYS:
        kept = []
    if len(kept) < len(parts) or not kept:
        named = f"{', '.join(left[:5])}: " if left else ""
        yield _line(profile.name, whole, f"{named}{why or 'any key may come'}")
    if kept:
        listed = ", ".join(f"'{_escaped(key)}'" for key in kept)
        key = personal_columns.is_keyed(profile.kind)
        if pa.types.is_map(profile.kind):
            some = f"list_filter(map_entries({quoted}), lambda one: one.key in ({listed}))"
            sql = f"cast(to_json(map_from_entries({some})) as varchar)"
        else:
            test = f"cast(one.{key} as varchar) in ({listed})"
            sql = f"cast(to_json(list_filter({quoted}, lambda one: {test})) as varchar)"
        yield _line(profile.name, sql, None)
