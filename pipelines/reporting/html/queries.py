"""Run the report's queries in a catalogue session: a fixed set, each with a bounded result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.reporting.explain import lookup
from rejse.pipelines.reporting.explain.journey import Explanation, explain_all

FOLDER = Path(__file__).resolve().parent
#: Journeys that are explained.
WORST = 10
Row = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """All figures of the page, as rows of the queries beside this file."""

    totals: Row
    stamp: Row | None
    types: list[Row]
    kinds: list[Row]
    edges: list[Row]
    map_type: str | None
    places: list[Row]
    moves: list[Row]
    coverage: list[Row]
    cost: list[Row]
    stability: Row
    felt_totals: Row
    felt_types: list[Row]
    emotions: list[Row]
    worst: list[Explanation]
    worst_note: str


def read(con: Any) -> Figures:
    """Read everything that the page shows; `con` is a catalogue session."""
    biggest = ask(con, "biggest_type")
    map_type = biggest[0]["journey_type"] if biggest else None
    worst = lookup.ranking(con, WORST)
    return Figures(
        totals=ask(con, "totals")[0],
        stamp=next(iter(ask(con, "stamp")), None),
        types=ask(con, "types"),
        kinds=ask(con, "kinds"),
        edges=ask(con, "edges"),
        map_type=map_type,
        places=ask(con, "places", map_type) if biggest else [],
        moves=ask(con, "moves", map_type) if biggest else [],
        coverage=ask(con, "coverage"),
        cost=ask(con, "cost"),
        stability=ask(con, "rank_stability")[0],
        felt_totals=ask(con, "felt_totals")[0],
        felt_types=ask(con, "felt_types"),
        emotions=ask(con, "emotions", map_type) if biggest else [],
        worst=explain_all(con, [journey.journey_id for journey in worst.journeys]),
        worst_note=worst.note(len(worst.journeys)),
    )


def ask(con: Any, name: str, *given: Any) -> list[Row]:
    """Run the query `<name>.sql` beside this file; return its rows."""
    query = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return lookup.rows(con, query, list(given))
