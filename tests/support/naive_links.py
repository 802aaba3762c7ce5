"""Identity links by a plain loop, one identity and one moment at a time: the oracle of `links`."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

#: A type and an identity of it.
Who = tuple[str, str]


class Link(NamedTuple):
    """From `begin` (None: always) until `end` (None: still), `previous` is `other`."""

    previous: Who
    other: Who
    begin: int | None
    end: int | None


def person(who: Who, time: int, links: Sequence[Link], wait: int) -> Who:
    """Whose the identity is."""
    seen = [who]
    while (after := _after(seen[-1], time, links, wait)) is not None:
        if after in seen:
            return min(seen[seen.index(after) :])
        seen.append(after)
    return seen[-1]


def walled(links: Sequence[Link], erased: Set[Who]) -> list[Link]:
    """The links without those from the erased; those to one of them lead nowhere."""
    return [
        one._replace(other=one.previous) if one.other in erased else one
        for one in links
        if one.previous not in erased
    ]


def _after(who: Who, time: int, links: Sequence[Link], wait: int) -> Who | None:
    mine = [one for one in links if one.previous == who and _ever(one)]
    if who[0] == "customer":
        mine = [one for one in mine if one.other[0] == "customer"]
    had = [one for one in mine if _begin(one) <= time]
    live = [one for one in had if one.end is None or time < one.end]
    if live:
        latest = max(_begin(one) for one in live)
        return min(one.other for one in live if _begin(one) == latest)
    if had or not mine:
        return None
    first = min(_begin(one) for one in mine)
    if first > time + wait and who[0] != "customer":
        return None
    return min(one.other for one in mine if _begin(one) == first)


def _begin(link: Link) -> float:
    return float("-inf") if link.begin is None else link.begin


def _ever(link: Link) -> bool:
    return link.end is None or _begin(link) < link.end


def file_row(link: Link) -> dict[str, Any]:
    """The link as a row of the owner's table; times in microseconds."""
    return {
        "previousidentitytype": link.previous[0], "previousidentity": link.previous[1],
        "identitytype": link.other[0], "identity": link.other[1],
        "valid_from": link.begin, "valid_to": link.end,
    }  # fmt: skip
