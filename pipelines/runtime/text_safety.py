"""Text of other people's logs, made safe for a terminal and for one line."""

from __future__ import annotations

import unicodedata

DASH = "–"
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: object, limit: int = 80) -> str:
    """Return one line of text without control or direction characters, at most `limit` long.

    Names come from other people's logs: an escape sequence must not reach a terminal, and a
    right-to-left override must not turn the rest of a line around.
    """
    if text is None:
        return DASH
    raw = str(text)[: 4 * limit]
    kept = "".join(" " if unicodedata.category(c) in _UNSAFE else c for c in raw)
    flat = " ".join(kept.split()) or DASH
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
