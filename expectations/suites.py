"""List the suites: one entry a table, its expectations made from its declaration and laws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import great_expectations.expectations as gxe

from rejse.expectations import declared, interactions
from rejse.transforms.published_tables import TABLES
from rejse.transforms.schema.contract import CUSTOMER_KEY


@dataclass(frozen=True)
class Suite:
    """What must hold of `table`; `row` are the columns by which a report names a row.

    Optional tables are filled by some installations only: empty ones are not audited.
    """

    table: str
    row: tuple[str, ...]
    is_optional: bool = False

    @property
    def published(self) -> tuple[str, ...]:
        """Tables that hold the rows: the final ones, and those that may still change."""
        return TABLES[self.table].stored

    @property
    def view(self) -> str:
        """Return the view of all the rows."""
        return self.table if len(self.published) == 1 else f"v_{self.table}"

    def expectations(self) -> list[gxe.Expectation]:
        """Make the expectations: declared columns and key, row rules of the contract, laws."""
        table, rows = TABLES[self.table], []
        columns = list(table.columns)
        if self.table == interactions.TABLE:
            columns, rows = interactions.contract(), interactions.rules()
        laws = declared.laws(self.table)
        return [*declared.columns(columns), *rows, declared.key(table.key), *laws]


SUITES = (
    Suite(interactions.TABLE, ("source", "id")),
    Suite("journeys", ("journey_id",)),
    Suite("steps", ("step_id", "journey_id")),
    Suite("friction_evidence", ("evidence_id", "journey_id")),
    Suite("experience", (CUSTOMER_KEY, "x_id"), is_optional=True),
    Suite("journey_experience", ("journey_id",), is_optional=True),
)


def chosen(rows: Mapping[str, int]) -> list[Suite]:
    """Choose the suites of a publication with so many `rows` by table."""
    return [
        suite
        for suite in SUITES
        if not suite.is_optional or any(rows.get(name, 0) for name in suite.published)
    ]
