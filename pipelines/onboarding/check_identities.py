"""Find identities of no person, of several persons, and several spellings of an identity."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rejse.transforms.ingest.identity_spelling import EMAIL, canonical_name, whole_number

#: Values that systems write where the person is unknown.
NOBODY = frozenset({
    "undefined", "null", "none", "nil", "nan", "unknown", "anonymous", "anonym", "n/a", "na",
    "guest", "test", "0", "-1", "-", "?", ".", "\\n", "#n/a", "#na", "#value!", "#ref!", "#name?",
    "#div/0!", "(not set)", "not set", "(none)", "(null)", "(empty)", "(blank)", "<na>", "<null>",
    "not provided", "not available", "false", "true", "ukendt", "unbekannt", "desconocido",
    "nieznany", "brak", "ingen",
})  # fmt: skip
#: Zeros only, as of a UUID, or one digit over and over: `00000000-0000-…`, `9999999`.
_FILLED = re.compile(r"[0-]{2,}|(\d)\1{5,}")
#: Long numbers as spreadsheets shorten them, and as floats.
_SHORTENED = re.compile(r"-?\d(?:[.,]\d+)?E\+?\d{2}")
_FLOAT = re.compile(r"-?\d(?:\.\d+)?e\+\d{2}|-?\d{16,}\.0+")


def is_nobody(name: str) -> bool:
    """Return whether an identity means no person."""
    plain = whole_number(name.strip()).lower()
    return plain in NOBODY or bool(_FILLED.fullmatch(plain))


def notes(counts: Mapping[str, int], kinds: Iterable[str]) -> list[str]:
    """Describe suspicious spellings of identities; `counts` are events by identity.

    Only shortened numbers are quoted; other identities are not shown.
    """
    lines = []
    short = Counter(
        {identity: n for identity, n in counts.items() if _SHORTENED.fullmatch(identity.strip())}
    )
    for identity, n in short.most_common(3):
        lines.append(
            f"{identity!r}: {n:,} events; a spreadsheet has shortened the number, so that several"
            " persons are one: export it as text"
        )
    floats = sum(bool(_FLOAT.fullmatch(identity.strip())) for identity in counts)
    if floats:
        lines.append(
            f"{floats:,} identities are floats of more than 15 digits, which a float does not"
            " hold: several persons may be one; export them as integers or texts"
        )
    if {*kinds} <= {EMAIL}:
        return lines
    for what, fold, advice in _FOLDS:
        several = _alike([identity for identity in counts if not is_nobody(identity)], fold)
        if several:
            lines.append(f"{several:,} identities differ from others only in {what}; {advice}")
    return lines


def _alike(names: Iterable[str], fold: re.Pattern[str] | None) -> int:
    """Count identities that equal another one when folded (None: by case and outer blanks)."""
    plain = [canonical_name("customer", name) for name in names]
    once = {*plain}
    return len(once) - len({n.strip().lower() if fold is None else fold.sub("", n) for n in once})


#: How two spellings of an identity may differ, the pattern to remove, and the SQL to write.
_FOLDS = (
    ("case or outer blanks", None, "if they are one person's: lower(trim(...)) as identity"),
    (
        "leading zeros",
        re.compile(r"^0+(?=\d)"),
        "if they are one person's: ltrim(..., '0') as identity",
    ),
)
