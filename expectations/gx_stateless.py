"""Run Great Expectations without a store, and serialise each rule once.

Great Expectations compares a suite five times with its stored version, and stores each result as
text. Here the stores are in memory and the suite is new, so both are useless; they took two fifths
of an audit of few rows.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import great_expectations as gx
from great_expectations.compatibility.pydantic import PrivateAttr
from great_expectations.core.freshness_diagnostics import (
    CheckpointFreshnessDiagnostics,
    ValidationDefinitionFreshnessDiagnostics,
)
from great_expectations.data_context.store import ValidationResultsStore


class ValidationDefinition(gx.ValidationDefinition):  # type: ignore[misc]
    """A suite and its batch, never compared with a stored version."""

    def is_fresh(self) -> ValidationDefinitionFreshnessDiagnostics:
        """Report no difference: there is no stored version."""
        return ValidationDefinitionFreshnessDiagnostics(errors=[])


class Checkpoint(gx.Checkpoint):  # type: ignore[misc]
    """Validation definitions to run, never compared with stored versions."""

    def is_fresh(self) -> CheckpointFreshnessDiagnostics:
        """Report no difference: there is no stored version."""
        return CheckpointFreshnessDiagnostics(errors=[])


class Results(ValidationResultsStore):  # type: ignore[misc]
    """A store that keeps no result: a Checkpoint returns its results."""

    def set(self, key: Any, value: Any, **given: Any) -> bool:
        """Keep nothing."""
        return True


def context() -> Any:
    """Make a context without results of earlier runs, progress bars and files."""
    made = gx.get_context(mode="ephemeral")
    made.variables.progress_bars = {"globally": False}
    made.stores[made.validation_results_store_name] = Results()
    return made


@cache
def serialised_once(kind: Any) -> Any:
    """Subclass a kind of expectation so that an instance serialises itself once.

    A validation reads `configuration` dozens of times for each rule, and the base class makes it
    again every time: a quarter of an audit of few rows. Instances must not change after that.
    """

    def configuration(rule: Any) -> Any:
        if rule._configuration is None:
            rule._configuration = kind.configuration.fget(rule)
        return rule._configuration

    members = {
        "__module__": __name__,
        "__doc__": kind.__doc__,
        "_configuration": PrivateAttr(None),
        "configuration": property(configuration),
    }
    return type(kind)(f"{kind.__name__}SerialisedOnce", (kind,), members)
