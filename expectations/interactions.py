"""What must hold of `events`: the row rules of the contract, once more, on what was written.

The rules that refuse rows (`transforms.contracts`) are masks; these are SQL. A test shows that
both refuse the same rows.
"""

from __future__ import annotations

import great_expectations.expectations as gxe

from rejse.expectations import declared
from rejse.transforms import schema
from rejse.transforms.registry import Column

TABLE = "events"
KEY = ("source", "id")


def contract() -> list[Column]:
    """The fields of an accepted event as declared columns."""
    pseudonym = Column(
        schema.CUSTOMER_KEY, schema.TEXT, "Keyed pseudonym of the customer.", nullable=False
    )
    bucket = Column(
        schema.BUCKET, schema.TEXT, "Virtual bucket.", low=0, high=4095, nullable=False
    )  # fmt: skip
    fields = [
        Column(field.name, field.type, field.description, field.unit,
               nullable=field.need != "R", values=field.values)
        for field in schema.INTERACTION
        if field.name not in schema.IDENTITY_FIELDS
    ]  # fmt: skip
    return [pseudonym, bucket, *fields]


def suite() -> list[gxe.Expectation]:
    """The contract's fields, its key, and the laws of events."""
    return [*declared.columns(contract()), declared.key(KEY), *declared.laws(TABLE)]
