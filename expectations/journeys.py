"""What must hold of `journeys`, final and live."""

from __future__ import annotations

import great_expectations.expectations as gxe

from rejse.expectations import declared
from rejse.transforms.scoring.output_tables import tables

TABLE = "journeys"
KEY = ("journey_id",)


def suite() -> list[gxe.Expectation]:
    """The declarations, and the laws of journeys."""
    table = tables()[TABLE]
    return [*declared.columns(table.columns), declared.key(table.key), *declared.laws(TABLE)]
