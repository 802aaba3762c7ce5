"""Which kinds of friction the columns at hand can show, and what one more column would add."""

from __future__ import annotations

from collections.abc import Mapping, Set

Needs = tuple[frozenset[str], ...]


def runnable(needs: Mapping[str, Needs], have: Set[str]) -> list[str]:
    """Kinds of which one alternative set of fields is at hand."""
    return [kind for kind, sets in needs.items() if any(fields <= have for fields in sets)]


def additions(needs: Mapping[str, Needs], have: Set[str]) -> dict[str, list[str]]:
    """What to add -> kinds that it would add, the most first.

    Single columns come where one suffices; a kind that no single one brings stands under its
    smallest missing set, written `a + b`.
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
