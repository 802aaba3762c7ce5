"""How process mining's logs, XES and OCEL, look as CSV: names, transitions, lists of objects."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

#: XES's name of the transition, and those of its transitions that are not ours.
LIFECYCLE = "lifecycle_transition"
TRANSITIONS = {
    "reassign": "assign", "ate_abort": "withdraw", "pi_abort": "withdraw",
    "autoskip": "withdraw", "manualskip": "withdraw",
}  # fmt: skip
_OCEL = re.compile(r"ocel_(?:type_(?P<object>\w+)|(?P<event>\w+))")
_TRACE = re.compile(r"case_(\w+)")
_LISTED = re.compile(r"""\[\s*(['"])[^'"\]]*\1(?P<more>\s*,.*)?\s*\]""")


def plain(name: str, people: Collection[str]) -> str | None:
    """A name without its prefix: `ocel:activity` -> `activity`, objects `ocel:type:order` ->
    `order_id`, an attribute of the trace that names one of `people` `case:client` -> `client`.

    None where it has no such prefix. Names come in lower case with underscores.
    """
    if match := _OCEL.fullmatch(name):
        return f"{match['object']}_id" if match["object"] else match["event"]
    if (match := _TRACE.fullmatch(name)) and match[1] in people:
        return match[1]
    return None


def objects(texts: Sequence[str]) -> str | None:
    """Whether each text is a list: `one` object in each (`['o1']`), `several` somewhere, or None
    where they are no lists.
    """
    matches = [_LISTED.fullmatch(text.strip()) for text in texts]
    if not matches or not all(matches):
        return None
    return "several" if any(match["more"] for match in matches if match) else "one"


def only_object(text: str) -> str:
    """SQL of the object in a list of one."""
    return f"trim({text}, '[]\"'' ')"


def transition(lower: str, texts: Sequence[str]) -> str:
    """SQL of the transition: what is not ours becomes what comes next to it."""
    strange = sorted({text.strip().lower() for text in texts} & set(TRANSITIONS))
    if not strange:
        return lower
    cases = " ".join(f"when '{word}' then '{TRANSITIONS[word]}'" for word in strange)
    return f"case {lower} {cases} else {lower} end"
