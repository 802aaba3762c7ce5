"""The core: events of whole customers in, scored journeys out. Composition only."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from rejse.transforms.dimensions.campaigns import with_purpose
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.context import Scene
from rejse.transforms.journeys.sessionise import sessionise
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.friction.assess import assess
from rejse.transforms.scoring.output_rows import rows
from rejse.transforms.scoring.pending import PENDING, of_journeys


def advance(
    events: pa.Table, data: Operational, rules: Rules, frontiers: Mapping[str, int]
) -> dict[str, pa.Table]:
    """Score the journeys of whole customers.

    `events` has the columns of `schema.event_schema` (absent optional ones are null), each event
    once, in any order; `frontiers` says for each live source up to which time (microseconds) it
    is complete. Returns the tables of `tables.tables()`, with `is_final` on every row, and
    `pending`: no result depends on the order, the chunks or the neighbours of a customer's events.
    """
    return judged(told(events, data, rules, frontiers))


def told(events: pa.Table, data: Operational, rules: Rules, frontiers: Mapping[str, int]) -> Scene:
    """The journeys of `advance`, with all that judges them."""
    spine = sessionise(with_purpose(events, data), data, rules)
    return Scene(spine, data, rules, frontiers)


def judged(scene: Scene) -> dict[str, pa.Table]:
    """The tables of `advance`."""
    return rows(assess(scene)) | {PENDING.name: of_journeys(scene)}
