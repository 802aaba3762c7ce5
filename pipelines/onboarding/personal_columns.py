"""Find columns that look like personal data or free text, by name and by values.

`init` does not map them, and `check` reports those that a mapping uses. A reason is a guess and
is written into the mapping: the user decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rejse.pipelines.onboarding import personal_words as words
from rejse.pipelines.onboarding.column_profile import Profile
from rejse.pipelines.onboarding.personal_values import (
    MAIL,
    QUERY,
    SENTENCE,
    form,
    is_json,
    is_keyed_text,
    is_person,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: A column of this name holds whole lines, whatever keys they have (`read_json`).
LINE = "_line"
EMPTY = "empty in the sample: nothing tells what it will hold"
JSON = "JSON as text: keys that come later would be kept with it"
PAIRS = "keys and values as text: keys that come later would be kept with it"
BYTES = "bytes: nothing tells what they hold"
PROSE = "free text by its values"
AGAIN = "the identity again, in clear"
MAY_BE = "it may be the identity, which would be in clear here"
#: Texts of so many words, or so long, are prose where few are equal.
LONG_WORDS, LONG = 6, 60
#: A column of at most so many values, each repeated, is a vocabulary and no prose.
VOCABULARY, OFTEN = 100, 3
#: Values shorter than this may be equal by chance.
LEAST = 4


def reason(profile: Profile) -> str | None:
    """Return why a column looks personal or like free text; None where it does not.

    Nested columns look personal where a part of them does.
    """
    if profile.is_nested:
        return _nested(profile)
    kind = str(profile.kind)
    if profile.name == LINE:
        return "whole lines, whatever keys come"
    if kind.startswith(("binary", "large_binary", "fixed_size_binary")):
        return BYTES
    texts = [text.strip() for text in profile.texts if text.strip()]
    if kind == "bool" or (texts and all(text.lower() in words.FLAGS for text in texts)):
        return None
    named = _by_name(profile, texts)
    if named:
        return f"{named} by its name"
    if not texts:
        return EMPTY
    if kind.startswith(("timestamp", "date", "time", "duration", "float", "double")):
        return None
    return _by_value(profile, texts)


def reasons(profiles: Sequence[Profile]) -> dict[str, str]:
    """Return the raw columns that look personal or like free text, by name, and why."""
    by_name = {profile.name: reason(profile) for profile in profiles}
    return {name: why for name, why in by_name.items() if why is not None}


def is_copy(profile: Profile, identity: Profile) -> bool:
    """Return whether a column mostly has values of the identity, too long for chance."""
    held = {text for text in map(str.strip, profile.texts) if len(text) >= LEAST}
    both = held & {text.strip() for text in identity.texts}
    return not profile.is_nested and len(both) * 2 > max(1, len({*profile.texts}))


def are_mails(profile: Profile) -> bool:
    """Return whether nearly all values are mail addresses."""
    texts = [text.strip() for text in profile.texts if text.strip()]
    return bool(texts) and sum(bool(MAIL.fullmatch(t)) for t in texts) >= 0.95 * len(texts)


def is_page(profile: Profile) -> bool:
    """Return whether a column of page addresses is personal only by their queries."""
    if not any(QUERY.search(text) for text in profile.texts):
        return False
    plain = tuple(re.sub(r"[?#].*", "", str(value)) for value in profile.values)
    return reason(replace(profile, values=plain, n_distinct=len({*plain}))) is None


def parts(profile: Profile) -> Iterator[Profile]:
    """Yield the scalar parts of a nested column by path: fields, elements, and values by key."""
    held: dict[str, list[Any]] = {}
    kinds: dict[str, pa.DataType] = {}
    _declare(profile.name, profile.kind, kinds)
    for value in profile.values:
        _hold(profile.name, value, held)
    for path in dict.fromkeys([*kinds, *held]):
        if path not in held and any(other.startswith(f"{path}.") for other in held):
            continue
        given = held.get(path, [])
        yield Profile(
            name=path,
            kind=kinds.get(path, _text_type()),
            n_rows=max(profile.n_rows, len(given)),
            n_null=0,
            n_distinct=len({str(value) for value in given}),
            values=tuple(given),
        )


def is_keyed(kind: pa.DataType) -> str | None:
    """Return the name of the key where a type is a list of keys and values; else None."""
    import pyarrow as pa

    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return None
    names = [field.name for field in kind.value_type]
    key = next((name for name in ("key", "name", "id") if name in names), None)
    return key if key and any(name.startswith("value") for name in names) else None


# --- by name ----------------------------------------------------------------------------------


def tokens(name: str) -> list[str]:
    """Split a name into words in lower case, without accents: `orgResource` -> org, resource."""
    spaced = re.sub(r"(?<=[^\W_])(?=[A-Z][a-z])|(?<=[a-z0-9æøåäöüßłńśżźćó])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+|\d+", words.fold(spaced))


def _by_name(profile: Profile, texts: Sequence[str]) -> str | None:
    name_words = [word for word in tokens(profile.name) if not word.isdigit()]
    if not name_words or name_words[0] in words.BEGINNINGS:
        return None
    if len(name_words) == 1 and name_words[0] in words.ALONE and all(map(_is_title, texts)):
        return words.ALONE[name_words[0]]
    few = _is_vocabulary(profile, texts)
    numbers = bool(texts) and sum(map(_has_digits, texts)) * 2 >= len(texts)
    # Of a measure only the whole word counts: `zip_code` is no code, `comment_count` a count.
    last = len(name_words) - 1 if name_words[-1] in words.MEASURES else 0
    for end in range(len(name_words), last, -1):
        # Ends of a name say what it is; `_id` and the like belong to the word before them.
        for begin in range(max(0, end - 4), end):
            word = "".join(name_words[begin:end])
            rest = name_words[end:]
            if not set(rest) <= words.IDS | words.ADDED:
                continue
            kind = next((kind for kind, listed in words.SURE.items() if word in listed), None)
            is_label = few and set(name_words[:begin]) & words.THINGS
            is_key = bool(set(rest) & words.IDS)
            is_code = few and word in words.CODED and not any(" " in text for text in texts)
            if kind == "free text" and (is_key or is_label or is_code or _are_numbers(texts)):
                continue  # `message_id`, labels that things share, codes of questions
            if kind == "a secret or token" and rest:
                continue
            if kind is not None:
                return kind
            if word in words.NUMBERS and (numbers or not texts):
                return "a phone number"
            whole = is_key or (not rest and (begin == 0 or name_words[begin - 1] in words.BEARERS))
            if word in words.IDENTITIES and whole and (is_key or not few) and _are_codes(texts):
                return "an identity in clear"
            if word in words.STAFF and (whole or not rest) and _are_codes(texts):
                return "a person of the staff"
        is_name = end == len(name_words) and name_words[-1] in words.NAME
        if is_name and set(name_words[: end - 1]) & words.PERSONS:
            return "a name of a person"
    return None


def _is_title(text: str) -> bool:
    return text[0].isupper() and not any(map(str.isdigit, text))


def _has_digits(text: str) -> bool:
    return 6 <= sum(char.isdigit() for char in text) <= 18


def _are_codes(texts: Sequence[str]) -> bool:
    """Return whether most values have a digit, as identities have and words do not."""
    return sum(any(char.isdigit() for char in text) for text in texts) * 2 > len(texts)


def _are_numbers(texts: Sequence[str]) -> bool:
    return bool(texts) and all(re.fullmatch(r"-?\d+(?:[.,]\d+)?", text) for text in texts)


def _is_vocabulary(profile: Profile, texts: Sequence[str]) -> bool:
    """Return whether there are few short values, each often repeated."""
    return (
        0 < profile.n_distinct <= VOCABULARY
        and profile.n_distinct * OFTEN <= profile.n_rows - profile.n_null
        and max(map(len, texts), default=0) <= LONG
    )


# --- by value ---------------------------------------------------------------------------------


def _by_value(profile: Profile, texts: Sequence[str]) -> str | None:
    """Judge by the form of values; of numbers only those with check digits."""
    kind = form(texts, "version" in tokens(profile.name))
    if kind is not None:
        return f"{kind} by its values"
    if sum(map(is_json, texts)) * 2 > len(texts):
        return JSON
    if sum(map(is_keyed_text, texts)) * 2 > len(texts):
        return PAIRS
    if sum(map(is_person, texts)) >= 0.2 * len(texts):
        return "a name of a person by its values"
    return PROSE if _is_prose(profile, texts) else None


def _is_prose(profile: Profile, texts: Sequence[str]) -> bool:
    """Return whether some values are long and of words, and few of those are equal."""
    worded = [text for text in texts if _is_of_words(text)]
    broken = sum("\n" in text for text in worded)
    if broken > 0.05 * len(texts) or any(len(text.split()) >= 4 * LONG_WORDS for text in worded):
        return True
    if _is_vocabulary(profile, texts):
        return False
    long = [t for t in worded if len(t.split()) >= LONG_WORDS and len(t) >= 4 * LONG_WORDS]
    several = [text for text in worded if len(text.split()) >= LONG_WORDS - 2]
    sentences = [text for text in worded if SENTENCE.fullmatch(text)]
    return any(
        len(some) >= max(1, least * len(texts)) and len(set(some)) > distinct * len(some)
        for some, least, distinct in ((long, 0.05, 0.5), (sentences, 0.1, 0.5), (several, 0.5, 0.8))
    )


def _is_of_words(text: str) -> bool:
    """Return whether a text is mostly words, not dates, numbers or codes."""
    parts = text.split()
    return len(parts) > 2 and 3 * sum(map(str.isalpha, (p.strip(".,;:!?\"'()") for p in parts))) > (
        2 * len(parts)
    )


# --- nested -----------------------------------------------------------------------------------


def _nested(profile: Profile) -> str | None:
    for part in parts(profile):
        why = reason(part)
        if why and why != EMPTY:
            path = part.name.removeprefix(profile.name).lstrip(".")
            # A key may be data itself.
            return f"{path}: {why}" if path and form([path], is_version=False) is None else why
    return None if any(part.texts for part in parts(profile)) else EMPTY


def of_json(profile: Profile) -> str | None:
    """Return why a column of JSON texts looks personal by its content; None where it does not."""
    given = tuple(json.loads(text) for text in profile.texts if is_json(text))
    return _nested(replace(profile, values=given))


def _declare(path: str, kind: pa.DataType, kinds: dict[str, Any]) -> None:
    """Collect the types of the scalar parts of a type, by path."""
    import pyarrow as pa

    if is_keyed(kind) or pa.types.is_map(kind):
        return
    if pa.types.is_struct(kind):
        for field in kind:
            _declare(f"{path}.{field.name}", field.type, kinds)
    elif pa.types.is_list(kind):
        _declare(path, kind.value_type, kinds)
    else:
        kinds[path] = kind


def _hold(path: str, value: Any, held: dict[str, list[Any]]) -> None:
    """Collect the scalar values in a value by path, those of keys and values by key."""
    if value is None:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            _hold(f"{path}.{name}", inner, held)
    elif isinstance(value, list):
        for inner in value:
            key, given = _keyed(inner)
            if key is None:
                _hold(path, inner, held)
            else:
                for scalar in _scalars(given):
                    held.setdefault(f"{path}.{key}", []).append(scalar)
    else:
        held.setdefault(path, []).append(value)


def _keyed(element: Any) -> tuple[str | None, Any]:
    """Return key and value of an element of a map, or of a list of keys and values."""
    if isinstance(element, tuple) and len(element) == 2:
        return str(element[0]), element[1]
    if isinstance(element, dict):
        key = next((name for name in ("key", "name", "id") if name in element), None)
        given = {name: v for name, v in element.items() if name.startswith("value")}
        if key is not None and given:
            return str(element[key]), given
    return None, None


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _scalars(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _scalars(inner)
    elif value is not None:
        yield value


def _text_type() -> pa.DataType:
    import pyarrow as pa

    return pa.string()
