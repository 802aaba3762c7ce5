"""What must hold of `experience`, final and live."""

from __future__ import annotations

import great_expectations.expectations as gxe

from rejse.expectations import declared
from rejse.transforms.feedback.output_tables import tables

TABLE = "experience"
KEY = ("customer_key", "x_id")


def suite() -> list[gxe.Expectation]:
    """The declarations, and the laws of X-records."""
    table = tables()[TABLE]
    return [*declared.columns(table.columns), declared.key(table.key), *declared.laws(TABLE)]
