"""What must hold of `journey_experience`, final and live."""

from __future__ import annotations

import great_expectations.expectations as gxe

from rejse.expectations import declared
from rejse.transforms.feedback.output_tables import tables

TABLE = "journey_experience"
KEY = ("journey_id",)


def suite() -> list[gxe.Expectation]:
    """The declarations, and the laws of journeys with X-records."""
    table = tables()[TABLE]
    return [*declared.columns(table.columns), declared.key(table.key), *declared.laws(TABLE)]
