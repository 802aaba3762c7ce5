"""One canonical spelling of each identity, before it is hashed, looked up or compared.

A whole number is written as one (`1042`, also where a column of floats made `1042.0` of it). An
email address is trimmed and in lower case. Other types keep case and blanks, which may be
significant; a mapping can fold them (`lower(trim(x)) as identity`).
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import arrow, valid, values
from rejse.transforms.columnar.string_arrays import coded, text
from rejse.transforms.schema.contract import CODED

#: The type of identity that is trimmed and compared without case.
EMAIL = "email"
#: Floats from here on are no identifiers and stay unchanged.
MOST = 1e37
#: How a whole float, or a decimal without a fraction, is written.
_FLOAT = r"^-?[0-9]+(\.0+|(\.[0-9]+)?e\+[0-9]+)$"
_DECIMAL = re.compile(r"-?[0-9]+\.0+")


def whole_number(name: str) -> str:
    """Return a whole number without point and exponent, where a float was written as text.

    Other names are unchanged. With an exponent, only what Python writes for a float, with all its
    digits, counts: several identities may share `1.23E+15`, which a spreadsheet has shortened.
    """
    if _DECIMAL.fullmatch(name):
        whole_part = name.partition(".")[0]
        return "0" if whole_part == "-0" else whole_part
    try:
        number = float(name)
    except ValueError:
        return name
    is_float = abs(number) < MOST and number.is_integer() and repr(number) == name
    return str(int(number)) if is_float else name


def whole_numbers(names: pa.Array) -> pa.Array:
    """Apply `whole_number` to texts, plain or encoded; the same array where nothing changes."""
    if pa.types.is_dictionary(names.type):
        dictionary = whole_numbers(names.dictionary)
        if dictionary is names.dictionary:
            return names
        return coded(pa.DictionaryArray.from_arrays(names.indices, dictionary))
    if not pc.any(pc.match_substring_regex(names, _FLOAT), min_count=0).as_py():
        return names
    return text([None if name is None else whole_number(name) for name in names.to_pylist()])


def canonical(kinds: pa.Array, people: pa.Array) -> pa.DictionaryArray:
    """Return identities (`people`, of types `kinds`) in canonical spelling, dictionary-encoded."""
    kinds, people = coded(kinds), coded(whole_numbers(coded(people)))
    listed = kinds.dictionary.to_pylist()
    if EMAIL not in listed:
        return people
    folded = _folded(people.dictionary)
    if folded.equals(people.dictionary):
        return people
    is_mail = values(pc.fill_null(pc.equal(kinds.indices, listed.index(EMAIL)), False))
    known = valid(people)
    codes = values(people.indices) + is_mail * len(folded)
    spelled = pa.concat_arrays([people.dictionary, folded])
    indices = arrow(codes.astype("int32"), ok=known)
    return coded(pa.DictionaryArray.from_arrays(indices, spelled).cast(CODED))


def _folded(names: pa.Array) -> pa.Array:
    """Trim and lower-case names; blank names are unchanged."""
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(names))
    return pc.if_else(pc.equal(plain, ""), names, plain)


def canonical_name(kind: str, identity: str) -> str:
    """Return the canonical spelling of one identity of a type."""
    name: str = canonical(text([kind]), text([identity])).cast(pa.string())[0].as_py()
    return name


def spellings(kind: str, identity: str) -> list[str]:
    """Return the canonical spelling of an identity, then others that sources may have used."""
    spelled = canonical_name(kind, identity)
    forms = [spelled, identity]
    if spelled.isascii() and spelled.removeprefix("-").isdigit():
        forms += [f"{spelled}.0"]
        if len(spelled) < 37 and int(float(spelled)) == int(
            spelled
        ):  # a float represents it exactly
            forms += [repr(float(spelled))]
    return list(dict.fromkeys(forms))
