"""Great Expectations for one audit: nothing is stored, and each rule is serialised once.

Before, within and after a run Great Expectations asks its stores, five times a suite, whether what
it runs is what it has stored, and stores each result as text; here the stores are memory of this
process, and the suite was made a moment ago. That took two fifths of an audit of few rows.
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
    """A suite and the batch it is validated on, as they are here."""

    def is_fresh(self) -> ValidationDefinitionFreshnessDiagnostics:
        """Report no difference: there is no stored version."""
        return ValidationDefinitionFreshnessDiagnostics(errors=[])


class Checkpoint(gx.Checkpoint):  # type: ignore[misc]
    """Validation definitions to be run, as they are here."""

    def is_fresh(self) -> CheckpointFreshnessDiagnostics:
        """Report no difference: there is no stored version."""
        return CheckpointFreshnessDiagnostics(errors=[])


class Results(ValidationResultsStore):  # type: ignore[misc]
    """A store that keeps no result: a Checkpoint returns them."""

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

    A validation asks for `configuration` dozens of times a rule, and the base class makes it anew
    each time: a quarter of an audit of few rows. Instances must not be changed after that.
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
