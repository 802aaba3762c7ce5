"""Names from logs, as far as they can be shown to anybody.

A name of a department, a system, a field or a touchpoint comes from other people's logs. What looks
like an address, a number of a person or a sentence is none, and is withheld.
"""

from __future__ import annotations

import re

#: Stands for a name that is withheld.
WITHHELD = "(withheld)"
#: Words of letters, digits and few signs.
_NAME = re.compile(r"[^\W_][\w .:/&+()-]{0,39}")
#: Digits as in a telephone number, an account or a date of birth, with what may stand between.
_NUMBER = re.compile(r"\d(?:[ .:/()+-]*\d){4}")
MOST_WORDS = 4
#: An event as source/id: a name, and an id of letters, digits and few signs.
_EVENT = re.compile(r"[\w.:/+-]{1,120}", re.ASCII)


def shown(name: str | None) -> str | None:
    """Return a name as it is shown: withheld where it is none; None where there is none."""
    if name is None or not name.strip():
        return None
    plain = name.strip()
    is_name = _NAME.fullmatch(plain) and not _NUMBER.search(plain)
    return plain if is_name and len(plain.split()) <= MOST_WORDS else WITHHELD


def events(ids: list[str] | None) -> tuple[str, ...]:
    """Return ids of events, without those that are no ids."""
    return tuple(sorted({name for name in ids or () if _EVENT.fullmatch(name)}))
