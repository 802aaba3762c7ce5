"""Compute the geometry of the drawings from rows of the queries; the template draws them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.runtime.text_safety import clean

Row = dict[str, Any]
STAGES = ("before", "during", "after", None)
GUTTER, GAP, PAPER = 116, 6, 1164
BASELINE, BAR_HEIGHT = 236, 70
#: Room under the baseline for ways back, and without any.
DEEP, SHALLOW = 92, 30
#: Mean friction of a visit from which a bar is amber, and red; the scale ends there at least.
AMBER, RED = 0.1, 0.25
MARKED, LABELLED = 5, 8


@dataclass(frozen=True)
class Place:
    """A column of the map: a touchpoint with its figures."""

    x: float
    name: list[str]
    about: str
    title: str
    radius: float
    level: str
    friction: str
    here: float
    on_the_way: float
    wait: str
    journeys: str
    mark: int | None
    caption: list[str]


@dataclass(frozen=True)
class Band:
    """A stage of the journey behind its places."""

    x: float
    width: float
    stage: str
    label: str


@dataclass(frozen=True)
class Way:
    """An arc between two places: wide for many moves, red for much friction."""

    path: str
    is_back: bool
    width: float
    level: str
    title: str
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Map:
    """The journey map: bands, places, ways, in one view box."""

    width: float
    mark_y: float
    bar_y: float
    height: float
    has_way_back: bool
    bands: list[Band]
    places: list[Place]
    ways: list[Way]
    marks: dict[str, int]
    xs: dict[str, float]


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix of owners: share of all friction, shaded from 0 to 5."""

    value: float | None
    shade: int
    title: str


@dataclass(frozen=True)
class Matrix:
    """Friction from owner (row) to owner (column)."""

    owners: list[str]
    cells: list[list[Cell]]
    is_folded: bool


def level(portion: float) -> str:
    """Return the colour class of a mean friction of 0 to 1."""
    return "red" if portion >= RED else "amber" if portion >= AMBER else "calm"


def journey_map(rows: list[Row], moves: list[Row]) -> Map | None:
    """Lay out the places in their stages, in the order in which journeys reach them."""
    if not rows:
        return None
    ordered = sorted(rows, key=lambda r: (STAGES.index(r["main_stage"]), r["progress"], r["place"]))
    column = min(190.0, PAPER / len(ordered))
    stages = [row["main_stage"] for row in ordered]
    gaps = accumulate([0, *(a != b for a, b in pairwise(stages))])
    xs = [GUTTER + i * column + gap * GAP + column / 2 for i, gap in enumerate(gaps)]
    marks = _marks(ordered)
    most = max(row["n_visits"] for row in ordered)
    tall = max(RED, *(row["friction01"] for row in ordered))
    places = [
        _place(row, x, column, most, tall, marks.get(row["place"]))
        for row, x in zip(ordered, xs, strict=True)
    ]
    at = {row["place"]: x for row, x in zip(ordered, xs, strict=True)}
    ways = _ways(moves, at, column)
    back = any(way.is_back for way in ways)
    mark_y = BASELINE + (DEEP if back else SHALLOW) + 14
    bar_y = mark_y + (BAR_HEIGHT + 74 if marks else BAR_HEIGHT + 6)
    return Map(
        width=round(xs[-1] + column / 2 + 4, 1),
        mark_y=mark_y,
        bar_y=bar_y,
        height=bar_y + 66,
        has_way_back=back,
        bands=_bands(stages, xs, column),
        places=places,
        ways=ways,
        marks=marks,
        xs=at,
    )


def _marks(rows: list[Row]) -> dict[str, int]:
    worst = sorted((r for r in rows if r["hazard"] > 0), key=lambda r: (-r["hazard"], r["place"]))
    return {row["place"]: number for number, row in enumerate(worst[:MARKED], 1)}


def _place(row: Row, x: float, column: float, most: int, tall: float, mark: int | None) -> Place:
    visits, portion = row["n_visits"], row["friction01"]
    height = BAR_HEIGHT * portion / tall
    on_the_way = height * row["edge_hazard"] / row["hazard"] if row["hazard"] else 0.0
    about = row["main_owner"] or row["main_channel"]
    letters = max(10, int(column / 7.4))
    kind = wording.kind_name(row["worst_kind"]) if mark else ""
    name = clean(row["place"], 60)
    return Place(
        x=round(x, 1),
        name=_wrapped(name.replace("_", " "), letters, 2),
        about=clean(about, letters + 2) if about else "",
        title=f"{name}: {wording.plural(visits, 'visit')}, mean friction {wording.share(portion)}",
        radius=round(4 + 7 * (visits / most) ** 0.5, 1),
        level=level(portion),
        friction=wording.share(portion),
        here=round(height - on_the_way, 1),
        on_the_way=round(on_the_way, 1),
        wait=wording.duration(row["queue_s"]),
        journeys=wording.count(row["n_journeys"]),
        mark=mark,
        caption=_wrapped(kind, letters, 3) if mark else [],
    )


def _wrapped(text: str, letters: int, most: int) -> list[str]:
    return textwrap.wrap(text, letters, max_lines=most, placeholder="…") or [text[:letters]]


def _bands(stages: list[str | None], xs: list[float], column: float) -> list[Band]:
    bands = []
    for stage in dict.fromkeys(stages):
        inside = [x for x, own in zip(xs, stages, strict=True) if own == stage]
        label = stage or ("no stage" if len(set(stages)) > 1 else "steps")
        left = inside[0] - column / 2
        right = inside[-1] + column / 2
        bands.append(Band(round(left, 1), round(right - left, 1), stage or "none", label))
    return bands


def _ways(moves: list[Row], at: dict[str, float], column: float) -> list[Way]:
    shown = [m for m in moves if m["earlier"] in at and m["place"] in at]
    most = max((move["n_moves"] for move in shown), default=1)
    hurts = sorted(
        shown, key=lambda m: (-m["n_moves"] * m["friction01"], m["earlier"], m["place"])
    )[:LABELLED]
    return [_way(move, at, column, most, move in hurts) for move in reversed(shown)]


def _way(move: Row, at: dict[str, float], column: float, most: int, named: bool) -> Way:
    start, end = at[move["earlier"]], at[move["place"]]
    side = -1 if end > start else 1
    rise = min(104.0 if side < 0 else 70.0, 16 + 20 * abs(end - start) / column)
    middle, top = (start + end) / 2, BASELINE + side * 2 * rise
    hurt, times = move["friction01"], wording.plural(move["n_moves"], "time")
    names = f"{clean(move['earlier'], 40)} to {clean(move['place'], 40)}"
    return Way(
        path=f"M{start:.1f} {BASELINE}Q{middle:.1f} {top:.1f} {end:.1f} {BASELINE}",
        is_back=side > 0,
        width=round(1.2 + 7 * move["n_moves"] / most, 1),
        level=level(hurt),
        title=f"{names}: {times}, mean friction {wording.share(hurt)}",
        label=wording.share(hurt) if named and hurt >= AMBER else "",
        label_x=round(middle, 1),
        label_y=round(BASELINE + side * rise + (-7 if side < 0 else 16), 1),
    )


OTHERS = "Others"


def matrix(edges: list[Row], all_hazard: float, most: int = 9) -> Matrix | None:
    """Return the share of all friction from owner to owner; the smallest owners are folded."""
    if not edges or not all_hazard:
        return None
    weight: dict[str, float] = {}
    for edge in edges:
        for owner in (edge["owner"], edge["owner_to"]):
            weight[owner] = weight.get(owner, 0.0) + edge["hazard"]
    ranked = sorted(weight, key=lambda owner: (-weight[owner], owner))
    is_folded = len(ranked) > most
    owners = [*ranked[: most - 1], OTHERS] if is_folded else ranked
    by_pair: dict[tuple[str, str], list[Row]] = {}
    for edge in edges:
        giver, taker = (o if o in owners else OTHERS for o in (edge["owner"], edge["owner_to"]))
        by_pair.setdefault((giver, taker), []).append(edge)
    peak = max(sum(edge["hazard"] for edge in inside) for inside in by_pair.values()) / all_hazard
    cells = [
        [_cell(by_pair.get((a, b), []), a, b, all_hazard, peak) for b in owners] for a in owners
    ]
    return Matrix([clean(owner, 22) for owner in owners], cells, is_folded)


def _cell(inside: list[Row], giver: str, taker: str, all_hazard: float, peak: float) -> Cell:
    if not inside:
        return Cell(None, 0, "")
    value = sum(edge["hazard"] for edge in inside) / all_hazard
    names = f"{clean(giver, 30)} to {clean(taker, 30)}"
    pieces = wording.plural(int(sum(edge["n_pieces"] for edge in inside)), "piece")
    worst = max(inside, key=lambda edge: edge["hazard"])["worst_kind"]
    shade = 1 + min(4, int(5 * (value / peak) ** 0.7 - 1e-9)) if peak else 1
    return Cell(value, shade, f"{names}: {pieces} of evidence, mostly {wording.kind_name(worst)}")
