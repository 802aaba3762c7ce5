"""Return the kinds of friction that the available columns can show, and what others would add."""

from __future__ import annotations

from collections.abc import Mapping, Set

Needs = tuple[frozenset[str], ...]


def runnable(needs: Mapping[str, Needs], have: Set[str]) -> list[str]:
    """Return the kinds with an alternative set of fields that is available."""
    return [kind for kind, sets in needs.items() if any(fields <= have for fields in sets)]


def additions(needs: Mapping[str, Needs], have: Set[str]) -> dict[str, list[str]]:
    """Return the kinds that missing columns would add, the most first.

    Keys are single columns where one suffices, else the smallest missing set, written `a + b`.
    """
    able = set(runnable(needs, have))
    kinds_by_gap: dict[str, list[str]] = {}
    for kind, sets in needs.items():
        if kind in able:
            continue
        gaps = [fields - have for fields in sets]
        least = min(map(len, gaps), default=0)
        for gap in dict.fromkeys(gap for gap in gaps if len(gap) == least):
            kinds_by_gap.setdefault(" + ".join(sorted(gap)), []).append(kind)
    return dict(sorted(kinds_by_gap.items(), key=lambda pair: (-len(pair[1]), pair[0])))
