"""Compute the geometry of the emotion curve under the places of the map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.html.drawings import Map
from rejse.pipelines.runtime.text_safety import clean

Row = dict[str, Any]
#: Heights of the best and of the worst emotion.
TOP, BOTTOM = 34.0, 174.0
LABELS = 74.0


@dataclass(frozen=True)
class Point:
    """A place with answers: the mean emotion, its interval, and the number of its visits."""

    x: float
    y: float
    low: float
    high: float
    value: str
    n: str
    is_asked: bool
    title: str


@dataclass(frozen=True)
class Stretch:
    """The line to the next place with answers; dashed where it skips places without."""

    path: str
    leaps: bool


@dataclass(frozen=True)
class Curve:
    """The emotion curve of the largest journey type, as wide as its map."""

    width: float
    height: float
    points: list[Point]
    stretches: list[Stretch]
    levels: list[tuple[float, str]]
    names: list[tuple[float, list[str]]]
    left_out: str


def emotion_curve(rows: list[Row], plan: Map | None) -> Curve | None:
    """Lay out the curve under the places of the map; None where no place has answers."""
    if plan is None:
        return None
    by_place = {row["place"]: row for row in rows}
    shown = [(place, x) for place, x in plan.xs.items() if place in by_place]
    if not shown:
        return None
    places = list(plan.xs)
    return Curve(
        width=plan.width,
        height=BOTTOM + LABELS,
        points=[_point(by_place[place], x) for place, x in shown],
        stretches=[
            _stretch(by_place[a], x, by_place[b], to, places.index(b) - places.index(a) > 1)
            for (a, x), (b, to) in pairwise(shown)
        ],
        levels=[
            (_height(u), label) for u, label in ((1.0, "best"), (0.5, "middle"), (0.0, "worst"))
        ],
        names=[(place.x, place.name) for place in plan.places],
        left_out=_left_out([row for row in rows if row["place"] not in plan.xs]),
    )


def _height(u: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * u, 1)


def _point(row: Row, x: float) -> Point:
    mean, half, n = row["emotion01"], row["emotion_half"], row["n_steps"]
    spread = half or 0.0
    unasked = "" if row["n_asked"] else ", only said unasked"
    name = clean(row["place"], 60)
    return Point(
        x=round(x, 1),
        y=_height(mean),
        low=_height(max(0.0, mean - spread)),
        high=min(_height(min(1.0, mean + spread)), _height(mean) - 6),
        value=wording.amount(mean, 2),
        n=wording.count(n),
        is_asked=bool(row["n_asked"]),
        title=f"{name}: mean {wording.amount(mean, 2)} of {wording.plural(n, 'visit')}{unasked}",
    )


def _stretch(start: Row, x: float, end: Row, to: float, leaps: bool) -> Stretch:
    path = f"M{x:.1f} {_height(start['emotion01'])}L{to:.1f} {_height(end['emotion01'])}"
    return Stretch(path, leaps)


def _left_out(rows: list[Row]) -> str:
    if not rows:
        return ""
    visits, are = sum(row["n_steps"] for row in rows), "is" if len(rows) == 1 else "are"
    named = (
        f"{wording.plural(len(rows), 'place')} with answers on {wording.plural(visits, 'visit')}"
    )
    return f"{named} {are} not on the map."
