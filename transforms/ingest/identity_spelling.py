"""One spelling of an identity, whatever wrote it: before it is hashed, looked for or compared.

A whole number is written as one (`1042`, also where a column of floats made `1042.0` of it), and a
mail address is trimmed and in lower case. Other types keep case and blanks, which may tell two
apart; a mapping folds them on request (`lower(trim(x)) as identity`).
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import arrow, valid, values
from rejse.transforms.columnar.string_arrays import coded, text
from rejse.transforms.schema.contract import CODED

#: The type of identity whose case and outer blanks tell nothing.
EMAIL = "email"
#: Floats from here on count nothing, and stay as they are.
MOST = 1e37
#: What a whole float, or a decimal without a remainder, is written as.
_FLOAT = r"^-?[0-9]+(\.0+|(\.[0-9]+)?e\+[0-9]+)$"
_DECIMAL = re.compile(r"-?[0-9]+\.0+")


def whole_number(name: str) -> str:
    """A whole number without point and exponent, where a float was written as text; else the name.

    With an exponent only what is written as floats are, with all their digits: `1.23E+15`, which a
    spreadsheet has shortened, stays what it is, for it may have been anybody's.
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
    """Texts, plain or dictionary-encoded, each `whole`; the same array where none is a float's."""
    if pa.types.is_dictionary(names.type):
        dictionary = whole_numbers(names.dictionary)
        if dictionary is names.dictionary:
            return names
        return coded(pa.DictionaryArray.from_arrays(names.indices, dictionary))
    if not pc.any(pc.match_substring_regex(names, _FLOAT), min_count=0).as_py():
        return names
    return text([None if one is None else whole_number(one) for one in names.to_pylist()])


def canonical(kinds: pa.Array, people: pa.Array) -> pa.DictionaryArray:
    """Identities (`people`, of types `kinds`) in their one spelling, dictionary-encoded."""
    kinds, people = coded(kinds), coded(whole_numbers(coded(people)))
    listed = kinds.dictionary.to_pylist()
    if EMAIL not in listed:
        return people
    folded = _folded(people.dictionary)
    if folded.equals(people.dictionary):
        return people
    is_mail = values(pc.fill_null(pc.equal(kinds.indices, listed.index(EMAIL)), False))
    known = valid(people)
    places = values(people.indices) + is_mail * len(folded)
    every = pa.concat_arrays([people.dictionary, folded])
    indices = arrow(places.astype("int32"), ok=known)
    return coded(pa.DictionaryArray.from_arrays(indices, every).cast(CODED))


def _folded(names: pa.Array) -> pa.Array:
    """Trimmed and in lower case; what is nothing but blanks stays."""
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(names))
    return pc.if_else(pc.equal(plain, ""), names, plain)


def canonical_name(kind: str, identity: str) -> str:
    """The one spelling of one identity of a type."""
    name: str = canonical(text([kind]), text([identity])).cast(pa.string())[0].as_py()
    return name


def spellings(kind: str, identity: str) -> list[str]:
    """The one spelling of an identity, then others under which it may have been kept or written."""
    first = canonical_name(kind, identity)
    found = [first, identity]
    if first.isascii() and first.removeprefix("-").isdigit():
        found += [f"{first}.0"]
        if len(first) < 37 and int(float(first)) == int(first):  # else no float holds it
            found += [repr(float(first))]
    return list(dict.fromkeys(found))
