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


def person(identity: Who, time: int, links: Sequence[Link], wait: int) -> Who:
    """Whose the identity is."""
    seen = [identity]
    while (after := _after(seen[-1], time, links, wait)) is not None:
        if after in seen:
            return min(seen[seen.index(after) :])
        seen.append(after)
    return seen[-1]


def walled(links: Sequence[Link], erased: Set[Who]) -> list[Link]:
    """The links without those from the erased; those to one of them lead nowhere."""
    return [
        link._replace(other=link.previous) if link.other in erased else link
        for link in links
        if link.previous not in erased
    ]


def _after(identity: Who, time: int, links: Sequence[Link], wait: int) -> Who | None:
    mine = [link for link in links if link.previous == identity and _ever(link)]
    if identity[0] == "customer":
        mine = [link for link in mine if link.other[0] == "customer"]
    had = [link for link in mine if _begin(link) <= time]
    live = [link for link in had if link.end is None or time < link.end]
    if live:
        latest = max(_begin(link) for link in live)
        return min(link.other for link in live if _begin(link) == latest)
    if had or not mine:
        return None
    first = min(_begin(link) for link in mine)
    if first > time + wait and identity[0] != "customer":
        return None
    return min(link.other for link in mine if _begin(link) == first)


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
