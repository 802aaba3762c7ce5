"""Identities that are nobody's, or several persons', or one person's spelled in several ways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from rejse.transforms.ingest.identity_spelling import EMAIL, canonical_name, whole

#: What systems write where they know nobody.
NOBODY = frozenset({
    "undefined", "null", "none", "nil", "nan", "unknown", "anonymous", "anonym", "n/a", "na",
    "guest", "test", "0", "-1", "-", "?", ".", "\\n", "#n/a", "#na", "#value!", "#ref!", "#name?",
    "#div/0!", "(not set)", "not set", "(none)", "(null)", "(empty)", "(blank)", "<na>", "<null>",
    "not provided", "not available", "false", "true", "ukendt", "unbekannt", "desconocido",
    "nieznany", "brak", "ingen",
})  # fmt: skip
#: Zeros only, as of a UUID, or one digit over and over: `00000000-0000-…`, `9999999`.
_FILLED = re.compile(r"[0-]{2,}|(\d)\1{5,}")
#: What a spreadsheet makes of a long number, and what a float makes of one.
_SHORTENED = re.compile(r"-?\d(?:[.,]\d+)?E\+?\d{2}")
_FLOAT = re.compile(r"-?\d(?:\.\d+)?e\+\d{2}|-?\d{16,}\.0+")


def is_nobody(name: str) -> bool:
    """Whether an identity stands for no person."""
    plain = whole(name.strip()).lower()
    return plain in NOBODY or bool(_FILLED.fullmatch(plain))


def notes(counts: Mapping[str, int], kinds: Iterable[str]) -> list[str]:
    """What is suspicious in how identities are spelled; `counts` are events by identity.

    It quotes only numbers that were shortened: what else an identity is nobody need read.
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
    """How many identities become another one when they are folded (None: case and blanks)."""
    plain = [canonical_name("customer", name) for name in names]
    once = {*plain}
    return len(once) - len({n.strip().lower() if fold is None else fold.sub("", n) for n in once})


#: Ways in which two spellings of one identity differ, what makes them one, and what to write.
_FOLDS = (
    ("case or outer blanks", None, "if they are one person's: lower(trim(...)) as identity"),
    (
        "leading zeros", re.compile(r"^0+(?=\d)"),
        "if they are one person's: ltrim(..., '0') as identity",
    ),
)  # fmt: skip
