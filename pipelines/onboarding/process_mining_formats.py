"""Read names, transitions and object lists of process mining's logs (XES, OCEL) as CSV."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

#: XES's name of the transition, and the contract's values for transitions that it lacks.
LIFECYCLE = "lifecycle_transition"
TRANSITIONS = {
    "reassign": "assign", "ate_abort": "withdraw", "pi_abort": "withdraw",
    "autoskip": "withdraw", "manualskip": "withdraw",
}  # fmt: skip
_OCEL = re.compile(r"ocel_(?:type_(?P<object>\w+)|(?P<event>\w+))")
_TRACE = re.compile(r"case_(\w+)")
_LISTED = re.compile(r"""\[\s*(['"])[^'"\]]*\1(?P<more>\s*,.*)?\s*\]""")


def plain(name: str, people: Collection[str]) -> str | None:
    """Return a name without its prefix; None where it has no such prefix.

    `ocel:activity` becomes `activity`, the objects `ocel:type:order` become `order_id`, a trace
    attribute that names one of `people`, `case:client`, becomes `client`. Names must be in lower
    case with underscores.
    """
    if match := _OCEL.fullmatch(name):
        return f"{match['object']}_id" if match["object"] else match["event"]
    if (match := _TRACE.fullmatch(name)) and match[1] in people:
        return match[1]
    return None


def objects(texts: Sequence[str]) -> str | None:
    """Return `one` where each text is a list of one object (`['o1']`), `several` where some have
    more, None where they are no lists.
    """
    matches = [_LISTED.fullmatch(text.strip()) for text in texts]
    if not matches or not all(matches):
        return None
    return "several" if any(match["more"] for match in matches if match) else "one"


def only_object(text: str) -> str:
    """Return SQL for the object in a list of one."""
    return f"trim({text}, '[]\"'' ')"


def transition(lower: str, texts: Sequence[str]) -> str:
    """Return SQL for the transition; values that the contract lacks become the nearest it has."""
    strange = sorted({text.strip().lower() for text in texts} & set(TRANSITIONS))
    if not strange:
        return lower
    cases = " ".join(f"when '{word}' then '{TRANSITIONS[word]}'" for word in strange)
    return f"case {lower} {cases} else {lower} end"
