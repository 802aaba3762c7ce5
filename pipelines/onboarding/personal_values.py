"""Patterns of values that name or reach a person."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from rejse.pipelines.onboarding import personal_words as words

PAGE_QUERY, NETWORK = "an address of a page with what was asked of it", "an address in a network"

MAIL = re.compile(r"[^@\s\"'<>(),;:]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.I)
QUERY = re.compile(r"(?:^|[\w/])[^\s?]*\?[\w.$%\[\]-]+=\S|://[^/\s@]+@", re.I)
_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+|\bBearer\s+\S{8,}|\b(?:sk|pk|ghp|xox[bp])[-_]\w{16,}")
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{1,4}){3,8}")
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_NETWORK = re.compile(
    rf"(?:{_BYTE}\.){{3}}{_BYTE}(?::\d+)?|(?=.*[0-9a-f])(?:[0-9a-f]{{0,4}}:){{3,7}}[0-9a-f]{{0,4}}"
    r"|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}",
    re.I,
)
_AGENT = re.compile(r"Mozilla/\d|^[\w.-]+/\d[\w.]* \([^)]*;")
_PHONE = re.compile(
    r"\+\d[\d ()/.-]{6,}\d|\(\d{2,4}\) ?\d{3,4}[ -]\d{3,4}|\d{2}(?: \d{2}){3,4}"
    r"|\d{3}[ -]\d{3}[ -]\d{3,4}"
)
_NATIONAL = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[- ]\d{4}|\d{3}-\d{2}-\d{4}")
_POSITION = re.compile(r"\(?-?\d{1,2}\.\d{3,}[,; ]+-?\d{1,3}\.\d{3,}\)?|POINT ?\(.*\)", re.I)
_STREET = re.compile(
    r"[^\W\d_][\w .'-]*?(?:vej|gade|allé|alle|stræde|straße|strasse|str\.|weg|platz"
    r"| street| st\.?| road| rd\.?| avenue| ave\.?| lane) \d+ ?[a-z]?\b.*"
    r"|(?:ul\.|ulica|calle|c/|al\.|avenida|plaza) ?[^\W\d_][\w .'-]*,? \d+.*"
    r"|\d+[a-z]? [^\W\d_][\w .'-]* (?:street|st|road|rd|avenue|ave|lane|drive|dr)\b.*",
    re.I,
)
_SECRET = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[\w+=~-]{24,}")
_SWITCH = re.compile(r"\d(?=[A-Za-z])|[A-Za-z](?=\d)")
SENTENCE = re.compile(r"\S+(?:\s+\S+){2,}[.?!…]+")
_PAIRS = re.compile(r"[A-Za-z_][\w.-]*=[^;&|=]+(?:[;&|] ?[A-Za-z_][\w.-]*=[^;&|=]*)*[;&|]?")
_LOGIN = re.compile(r"[^\W\d_]{2,}[._][^\W\d_]{2,}")
_HANDLE = re.compile(
    r"@[\w.]{2,30}|(?:https?://)?(?:[\w-]+\.)?(?:linkedin\.com/in/|facebook\.com/(?:people/|profile)"
    r"|t\.me/|(?:facebook|instagram|twitter|x|tiktok)\.com/@?[\w.]+/?$).*",
    re.I,
)
_MASKED = re.compile(r"(?=.*[*•xX])(?:[\d*•xX]{4}[ -]?){2,3}[\d*•xX]{0,4}\d{4}")
_NAME_PART = re.compile(r"[^\W\d_][^\W\d_]*(?:['’-][^\W\d_]+)*[.,]?")


def is_json(text: str) -> bool:
    """Return whether a text is an object or a list, written as JSON."""
    if text[:1] not in "{[":
        return False
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def is_keyed_text(text: str) -> bool:
    """Return whether a text is keys and values: `plate=AB12345;phone=12345678`."""
    return bool(_PAIRS.fullmatch(text))


def is_person(text: str) -> bool:
    """Return whether a text is one to four words with a given name, or a title before others."""
    if _LOGIN.fullmatch(text) and words.fold(re.split(r"[._]", text)[0]) in words.GIVEN:
        return True
    parts = text.split()
    if not 1 <= len(parts) <= 4 or not all(map(_NAME_PART.fullmatch, parts)):
        return False
    plain = [words.fold(word.strip(".,")) for word in parts]
    if (
        len(parts) > 1
        and plain[0] in words.TITLES
        and not (len(parts[0]) > 1 and parts[0].isupper())
    ):
        return True
    if len(parts) > 1 and text.islower():
        return plain[0] in words.GIVEN
    capital = all(word[0].isupper() for word in parts if len(word) > 3)
    return capital and any(given in words.GIVEN for name in plain for given in name.split("-"))


def _is_iban(text: str) -> bool:
    if not _IBAN.fullmatch(text):
        return False
    plain = re.sub(r"\s", "", text)
    if not 15 <= len(plain) <= 34:
        return False
    moved = "".join(str(int(char, 36)) for char in plain[4:] + plain[:4])
    return int(moved) % 97 == 1


def _is_card(text: str) -> bool:
    plain = re.sub(r"[ -]", "", text)
    if not (13 <= len(plain) <= 19 and plain.isascii() and plain.isdigit()):
        return False
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(plain))]
    return plain[0] in "3456" and sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _is_pesel(text: str) -> bool:
    if not re.fullmatch(r"\d{2}(?:[02468][1-9]|[13579][0-2])(?:0[1-9]|[12]\d|3[01])\d{5}", text):
        return False
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return sum(int(digit) * w for digit, w in zip(text, weights, strict=True)) % 10 == 0


def _is_national(text: str) -> bool:
    return _is_pesel(text) or _is_dni(text)


def _is_dni(text: str) -> bool:
    match = re.fullmatch(r"([XYZ]?)(\d{7,8})-?([A-Z])", text)
    if not match or len(match[1] + match[2]) != 8:
        return False
    number = int(match[1].translate(str.maketrans("XYZ", "012")) + match[2])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == match[3]


def _is_secret(text: str) -> bool:
    """Return whether a text is long, of mixed case, with digits all over, as no name is."""
    return bool(_SECRET.fullmatch(text)) and len(_SWITCH.findall(text)) >= 4


#: Kind of value, its test, and the share of values above which a column is of that kind; with share
#: 0 a single value is enough.
_FORMS: tuple[tuple[str, Callable[[str], object], float], ...] = (
    ("a mail address", MAIL.search, 0.0),
    ("a secret or token", _TOKEN.search, 0.0),
    (PAGE_QUERY, QUERY.search, 0.0),
    (NETWORK, _NETWORK.fullmatch, 0.05),
    ("what a browser says of itself", _AGENT.search, 0.05),
    ("a phone number", _PHONE.fullmatch, 0.05),
    ("a number of a person", _NATIONAL.fullmatch, 0.05),
    ("a number of an account", _is_iban, 0.3),
    ("a position on the map", _POSITION.fullmatch, 0.3),
    ("a postal address", _STREET.fullmatch, 0.1),
    ("a name of a person", _HANDLE.fullmatch, 0.1),
    ("a number of a card", _MASKED.fullmatch, 0.05),
    ("a number of a card", _is_card, 0.9),
    ("a number of a person", _is_national, 0.9),
    ("a secret or token", _is_secret, 0.5),
)


def form(texts: Sequence[str], is_version: bool) -> str | None:
    """Return the kind of values by their form; version numbers may look like network addresses."""
    for what, test, least in _FORMS:
        share = sum(bool(test(text)) for text in texts) / len(texts)
        if share > least and not (is_version and what == NETWORK):
            return what
    return None
