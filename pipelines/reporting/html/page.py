"""Render the report: one HTML page that contains everything it needs and runs no script."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.html import cards, drawings, explanation, queries
from rejse.pipelines.reporting.html.emotion_curve import emotion_curve
from rejse.pipelines.reporting.html.headline import headline
from rejse.pipelines.reporting.html.queries import Figures, Row
from rejse.pipelines.reporting.output_file import replacing
from rejse.pipelines.runtime.text_safety import DASH, clean

FOLDER = Path(__file__).resolve().parent
#: Fonts by the characters they hold; the second is only read where such a letter occurs.
FONTS = (
    ("inter-latin.woff2", "U+0-FF, U+2013-2014, U+2018-2026, U+2032, U+2192, U+2212"),
    ("inter-latin-ext.woff2", "U+100-17F, U+2190-2191, U+2193, U+2264-2265"),
)


def write(con: Any, out: Path, title: str = "Journey report", mode: int = 0o600) -> Path:
    """Write the report of a catalogue session to `out`, a file of this mode, and return the path.

    The file is replaced as a whole, so that no reader sees half a page.

    Raises:
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `out` is a folder.
    """
    with replacing(out, mode, "report", "report.html") as unfinished:
        unfinished.write_text(render(queries.read(con), title), encoding="utf-8")
    return out


def render(figures: Figures, title: str) -> str:
    """Render the page as HTML text; the template engine escapes every value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": wording.amount, "clean": clean, "count": wording.count,
        "duration": wording.duration, "share": wording.share,
    }  # fmt: skip
    sheet = style()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return str(
        environment.get_template("template.html.jinja").render(
            **contents(figures),
            title=clean(title, 80),
            style=Markup(sheet),
            style_hash=Markup(f"sha256-{digest}"),
        )
    )


def style() -> str:
    """Return the style sheet with its fonts inside."""
    faces = [
        "@font-face{font-family:Inter;font-weight:400 700;src:url(data:font/woff2;base64,"
        f"{base64.b64encode((FOLDER / name).read_bytes()).decode()}) format('woff2');"
        f"unicode-range:{letters}}}"
        for name, letters in FONTS
    ]
    return "".join(faces) + (FOLDER / "style.css").read_text(encoding="utf-8")


def contents(figures: Figures) -> dict[str, Any]:
    """Return the variables of the template, worded and laid out."""
    totals = figures.totals
    plan = drawings.journey_map(figures.places, figures.moves)
    return {
        "headline": headline(totals, figures.kinds, figures.edges),
        "subtitle": cards.subtitle(totals),
        "cards": cards.head_figures(totals, figures.felt_totals),
        "map": plan,
        "map_type": clean(figures.map_type, 40),
        "curve": emotion_curve(figures.emotions, plan),
        "felt": [_banded(row, bool(row["health"])) for row in figures.felt_types],
        "felt_said": cards.felt(totals, figures.felt_totals),
        "places": _places(figures.places, plan),
        "types": [_banded(row, bool(row["health_ops"])) for row in figures.types],
        "types_left": _left(figures),
        "kinds": _kinds(figures.kinds),
        "has_owners": bool(totals["n_of_known_owner"]),
        "matrix": drawings.matrix(figures.edges, totals["hazard"] or 0.0),
        "worst": [explanation.shorten(journey) for journey in figures.worst],
        "worst_note": figures.worst_note if totals["n_journeys"] else "There are no journeys yet.",
        "stability": cards.stability(figures.stability),
        "coverage": figures.coverage,
        "not_measured": [
            *cards.cost(figures.cost),
            *cards.not_measured(totals, figures.felt_totals),
        ],
        "stamp": cards.stamp(figures.stamp),
    }


def _banded(row: Row, has_health: bool) -> Row:
    """Add the word to show where a median is of too few journeys for a band."""
    return {**row, "band": row["band"] or ("too few" if has_health else "not measured")}


def _places(rows: list[Row], plan: drawings.Map | None) -> list[Row]:
    """Return the places for the table, the marked ones first, by their numbers."""
    if plan is None:
        return []
    whole = sum(row["hazard"] for row in rows)
    places = []
    for row in rows:
        hurts = row["hazard"] > 0
        places.append(
            {
                **row,
                "mark": plan.marks.get(row["place"]),
                "happens": wording.kind_name(row["worst_kind"]) if hurts else DASH,
                "met": row["n_with_friction"] / row["n_visits"],
                "portion": row["hazard"] / whole if whole else None,
            }
        )
    return sorted(places, key=lambda row: (row["mark"] or 99, -row["hazard"], -row["n_visits"]))


def _kinds(rows: list[Row]) -> list[Row]:
    widest = max((row["hazard"] for row in rows), default=1.0)
    return [
        {
            **row,
            "name": wording.kind_name(row["kind"]),
            "story": wording.kind_story(row["kind"]),
            "portion": row["hazard"] / row["all_hazard"],
            "widest": widest,
        }
        for row in rows
    ]


def _left(figures: Figures) -> str:
    left = figures.totals["n_journeys"] - sum(row["n_journeys"] for row in figures.types)
    return f"{wording.plural(left, 'journey')} of smaller groups not listed." if left else ""
