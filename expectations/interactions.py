"""Make the expectations of `events`: the contract's row rules, on the written rows.

Each rule that refuses rows (`transforms.ingest.validate.RULES`) is a mask there and SQL here. A
test shows that both refuse the same rows.
"""

from __future__ import annotations

import great_expectations.expectations as gxe
import pyarrow as pa

from rejse.expectations import declared
from rejse.transforms.ingest import validate
from rejse.transforms.schema import contract as schema
from rejse.transforms.schema.registry import Column

TABLE = "events"


def contract() -> list[Column]:
    """Return the fields of an accepted event as columns; the rules decide which are required."""
    pseudonym = Column(
        schema.CUSTOMER_KEY, schema.TEXT, "Keyed pseudonym of the customer.", nullable=False
    )
    bucket = Column(schema.BUCKET, pa.int16(), "Virtual bucket.", low=0, high=4095, nullable=False)
    fields = [
        Column(field.name, field.type, field.description, field.unit, values=field.values)
        for field in schema.INTERACTION
        if field.name not in schema.IDENTITY_FIELDS
    ]
    return [pseudonym, bucket, *fields]


def rules() -> list[gxe.Expectation]:
    """Make the row rules that written rows can break; raw identities are never written."""
    return [
        declared.query(
            rule.name, rule.says, f"select source, id from {TABLE} where not ({rule.sql})"
        )
        for rule in validate.RULES
        if not set(rule.columns) & set(schema.IDENTITY_FIELDS)
    ]
