"""Choose the finding that heads the report, by rule from the figures."""

from __future__ import annotations

from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.runtime.text_safety import clean

Row = dict[str, Any]
#: Share of all friction from which a pair of owners is worth the headline.
WORTH_NAMING = 0.1


def headline(totals: Row, kinds: list[Row], edges: list[Row]) -> str:
    """Return where most friction is: between two owners, else the kind with most hazard."""
    if not totals["n_journeys"]:
        return "No journeys yet"
    if not totals["n_scored"]:
        return "Too little was logged to see friction"
    if not kinds:
        return f"No friction was found in {wording.plural(totals['n_journeys'], 'journey')}"
    whole = kinds[0]["all_hazard"]
    pairs = [edge for edge in edges if edge["owner"] != edge["owner_to"]]
    if pairs and pairs[0]["hazard"] >= WORTH_NAMING * whole:
        pair, part = pairs[0], wording.share(pairs[0]["hazard"] / whole)
        giver, taker = clean(pair["owner"], 32), clean(pair["owner_to"], 32)
        return f"{part} of all friction lies between {giver} and {taker}"
    part = wording.share(kinds[0]["hazard"] / whole)
    return f"{part} of all friction: the customer {wording.kind_story(kinds[0]['kind'])}"
