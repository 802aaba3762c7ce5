"""Redact texts: replace names and contact data of persons by markers.

Addresses and numbers are found by patterns, names only if the record itself holds them. The rest
may still identify a person: therefore texts are kept apart, and for a limited time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Characters that are kept.
MOST = 20_000
#: Characters read beyond these and left out: longer than any address, so that none is cut in two.
TAIL = 1_000
#: Least length of a name, and of a part of a name: shorter ones would match common words.
LEAST_NAME, LEAST_PART = 2, 3
#: Invisible characters: joiners, fillers and variation selectors.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]"
)
#: Letters, and what joins two names to one; a part with a digit is a number or a code.
PART = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_AT_WORD, _DOT_WORD = "(?:at|snabel-?a|małpa|malpa)", "(?:dot|punktum|prik|punkt|kropka)"
_AT = rf"(?:\s{{0,3}}@\s{{0,3}}|\s{{0,2}}[\[({{]\s?{_AT_WORD}\s?[\])}}]\s{{0,2}})"
#: Ambiguous forms of @: an address only with a domain after it, as `(a)` and `at` are words too.
_WEAK_AT = rf"(?:\s{{0,2}}[\[({{]\s?a\s?[\])}}]\s{{0,2}}|\s{{1,2}}{_AT_WORD}\s{{1,2}})"
_DOT = rf"(?:\.|\s{{0,2}}[\[({{]\s?{_DOT_WORD}\s?[\])}}]\s{{0,2}}|\s{{1,2}}{_DOT_WORD}\s{{1,2}})"
_LOCAL, _WORD = r"[\w.+%'-]{1,64}", r"\w[\w-]{0,62}"
_END = "(?:dk|pl|com|net|org|eu|io|info|de|se|no|uk)"
#: Characters between two digits of one number.
_GAP = r"[\W_]{0,3}"
#: Markers and patterns in the order of use; all are bounded, so that no text takes long.
ADDRESSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[url]", re.compile(r"(?:\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.)\S+", re.I)),
    ("[email]", re.compile(rf"{_LOCAL}{_AT}{_WORD}(?:{_DOT}{_WORD}){{0,8}}", re.I)),
    ("[email]", re.compile(rf"{_LOCAL}{_WEAK_AT}{_WORD}(?:{_DOT}{_WORD}){{1,8}}", re.I)),
    ("[url]", re.compile(rf"\b(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,6}}{_END}\b(?:/\S*)?", re.I)),
)
NUMBERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[iban]", re.compile(r"\b[a-z]{2}\d{2}(?:[\s-]?[a-z]{4})?(?:[\s-]?\d{2,4}){3,8}(?!\d)", re.I)),
    ("[cpr]", re.compile(rf"(?<!\d)[0-3]\d[01]\d{{3}}{_GAP}\d{{4}}(?!\d)")),
    ("[pesel]", re.compile(r"(?<!\d)\d{11}(?!\d)")),
    ("[phone]", re.compile(rf"\+?\(?\d(?:{_GAP}\d){{6,}}")),
    ("[number]", re.compile(r"\d{5,}")),
)


def redact(text: str, names: Iterable[str | None] = ()) -> str:
    """Replace addresses, numbers and these names, whole or in part, by markers.

    Look-alike characters (full-width digits) become plain ones first, invisible ones are removed
    and controls become blanks, so that they hide nothing. Returns at most 20,000 characters, cut at
    a blank.
    """
    plain = _plain(text[: MOST + TAIL])
    is_cut = len(text) > MOST + TAIL or len(plain) > MOST + TAIL
    plain = _marked(plain[: MOST + TAIL], ADDRESSES)
    named = _named(names)
    plain = _marked(named.sub("[name]", plain) if named else plain, NUMBERS)
    most = max(0, min(MOST, len(plain) - TAIL)) if is_cut else MOST
    if len(plain) <= most:
        return plain
    # Without a blank near the end any cut will do: the text is redacted already.
    blank = max(plain.rfind(blank_char, max(0, most - TAIL), most + 1) for blank_char in " \n\t")
    return plain[: blank if blank > 0 else most]


def _marked(plain: str, patterns: Iterable[tuple[str, re.Pattern[str]]]) -> str:
    for marker, pattern in patterns:
        plain = pattern.sub(marker, plain)
    return plain


def _plain(text: str) -> str:
    """Replace look-alike characters by plain ones and remove invisible ones."""
    shown: list[str] = []
    for char in INVISIBLE.sub("", unicodedata.normalize("NFKC", text)):
        kind = unicodedata.category(char)
        if char in "\n\t" or kind[0] not in "CMN":
            shown.append(char)
        elif kind == "Cc":
            shown.append(" ")
        elif kind[0] == "N":
            shown.append(str(unicodedata.digit(char, char)))
        elif kind[0] == "M" and not (shown and shown[-1].isdigit()):
            shown.append(char)  # an accent; on a digit it would only hide it
    return unicodedata.normalize("NFKC", "".join(shown))


def _named(names: Iterable[str | None]) -> re.Pattern[str] | None:
    """Return a pattern for these names and their parts as whole words; None without names.

    Words between the first and the last part of a name count as names too.
    """
    whole = {_plain(name).strip() for name in names if name}
    patterns = {re.escape(name) for name in whole if len(name) >= LEAST_NAME}
    for name in whole:
        parts = [part.strip(".,;") for part in name.split()]
        parts = [part for part in parts if len(part) >= LEAST_PART and PART.fullmatch(part)]
        patterns.update(map(re.escape, parts))
        if len(parts) > 1:
            first, last = re.escape(parts[0]), re.escape(parts[-1])
            patterns.add(
                rf"{first}(?:[^\S\n]{{1,3}}[^\W\d_]{{1,20}}\.?){{1,2}}[^\S\n]{{1,3}}{last}"
            )
    if not patterns:
        return None
    longest = "|".join(sorted(patterns, key=lambda pattern: (-len(pattern), pattern)))
    return re.compile(rf"(?<![^\W_])(?:{longest})(?![^\W_])", re.I)
