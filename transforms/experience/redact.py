"""Redaction: what in a text names or reaches a person gives way to a marker.

Patterns find what has a form (addresses, numbers); names have none, so only those that the
record itself holds are found. What is left may still tell who wrote it: that is why texts are
kept apart, and for a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: Characters that are kept; a text may be a whole book.
MOST = 20_000
#: A name of one character would take every such letter away.
LEAST_NAME = 2
_AT = r"(?:@|\s?[\[(]\s?(?:at|snabel-a|małpa)\s?[\])]\s?)"
_WORD, _END = r"\w[\w-]{0,62}", "(?:dk|pl|com|net|org|eu|io|info|de|se|no|uk)"
#: What is found, in this order, and its marker; each is bounded, so that no text takes long.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[url]", re.compile(r"(?:\b[a-z][a-z0-9+.-]{1,15}://|\bwww\.)\S+", re.I)),
    ("[email]", re.compile(rf"[\w.+%'-]{{1,64}}{_AT}{_WORD}(?:\.[\w-]{{1,63}}){{0,8}}", re.I)),
    ("[url]", re.compile(rf"\b(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,6}}{_END}\b(?:/\S*)?", re.I)),
    ("[iban]", re.compile(r"\b[a-z]{2}\d{2}(?:[\s-]?[a-z]{4})?(?:[\s-]?\d{2,4}){3,8}(?!\d)", re.I)),
    ("[cpr]", re.compile(r"(?<!\d)[0-3]\d[01]\d{3}\s?[-–]?\s?\d{4}(?!\d)")),
    ("[pesel]", re.compile(r"(?<!\d)\d{11}(?!\d)")),
    ("[phone]", re.compile(r"(?<!\w)\+?\(?\d(?:[\s().\-–/]{0,3}\d){6,}")),
    ("[number]", re.compile(r"\d{5,}")),
)  # fmt: skip


def redact(text: str, names: Iterable[str | None] = ()) -> str:
    """The text with addresses, numbers and these names replaced by markers.

    Characters that look alike (full-width digits) become plain ones first and invisible ones go:
    they would hide what is looked for. Cut after 20,000 characters.
    """
    plain = unicodedata.normalize("NFKC", text[:MOST])
    plain = "".join(c for c in plain if c in "\n\t" or unicodedata.category(c)[0] != "C")[:MOST]
    known = {unicodedata.normalize("NFKC", name).strip() for name in names if name}
    for name in sorted(known, key=lambda one: (-len(one), one)):
        if len(name) >= LEAST_NAME:
            plain = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "[name]", plain, flags=re.I)
    for marker, pattern in PATTERNS:
        plain = pattern.sub(marker, plain)
    return plain
