"""A Checkpoint that is run and forgotten: nothing of it is kept in a store.

Great Expectations asks its stores before, within and after a run, five times a suite, whether what
it runs is what it has stored, and stores each result as text; here the stores are memory of this
process, and the suite was made a moment ago. That took two fifths of an audit of few rows.
"""

from __future__ import annotations

from typing import Any

import great_expectations as gx
from great_expectations.core.freshness_diagnostics import (
    CheckpointFreshnessDiagnostics,
    ValidationDefinitionFreshnessDiagnostics,
)
from great_expectations.data_context.store import ValidationResultsStore


class ValidationDefinition(gx.ValidationDefinition):  # type: ignore[misc]
    """A suite and what it is tried on, as they are here."""

    def is_fresh(self) -> ValidationDefinitionFreshnessDiagnostics:
        """Say so: there is no other."""
        return ValidationDefinitionFreshnessDiagnostics(errors=[])


class Checkpoint(gx.Checkpoint):  # type: ignore[misc]
    """Validation definitions to be run, as they are here."""

    def is_fresh(self) -> CheckpointFreshnessDiagnostics:
        """Say so: there is no other."""
        return CheckpointFreshnessDiagnostics(errors=[])


class Results(ValidationResultsStore):  # type: ignore[misc]
    """Keeps no result: who runs a Checkpoint is given them."""

    def set(self, key: Any, value: Any, **given: Any) -> bool:
        """Keep nothing."""
        return True


def context() -> Any:
    """A context without results of earlier runs, progress bars and files."""
    made = gx.get_context(mode="ephemeral")
    made.variables.progress_bars = {"globally": False}
    made.stores[made.validation_results_store_name] = Results()
    return made
