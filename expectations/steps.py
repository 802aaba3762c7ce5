"""What must hold of `steps`, final and live."""

from __future__ import annotations

import great_expectations.expectations as gxe

from rejse.expectations import declared
from rejse.transforms.scoring.output_tables import tables

TABLE = "steps"
KEY = ("step_id", "journey_id")


def suite() -> list[gxe.Expectation]:
    """The declarations, and the laws of steps."""
    table = tables()[TABLE]
    return [*declared.columns(table.columns), declared.key(table.key), *declared.laws(TABLE)]
