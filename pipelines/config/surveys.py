"""Settings `[surveys]`: the scale of a measure, and the least answer of a satisfied customer."""

from __future__ import annotations

import math
from typing import Self

from pydantic import model_validator

from rejse.pipelines.config.field_types import Frozen, Views


class Csat(Frozen):
    """Customer satisfaction: the share of answers from `satisfied_from` on, of those on `scale`."""

    #: Least and greatest answer.
    scale: Views[tuple[float, float]] = (1, 5)
    #: Least answer of a satisfied customer.
    satisfied_from: Views[float] = 4

    @model_validator(mode="after")
    def _on_scale(self) -> Self:
        least, most = self.scale
        if not (math.isfinite(most - least) and least < most):
            raise ValueError(
                "expected scale from a least to a greatest answer such as [1, 5], "
                f"came [{least:g}, {most:g}]"
            )
        if not least < self.satisfied_from <= most:
            raise ValueError(
                f"expected satisfied_from on its scale, above {least:g} and at most {most:g}, "
                f"came {self.satisfied_from:g}"
            )
        return self


class SurveySettings(Frozen):
    """Settings `[surveys]`, a table for each measure."""

    csat: Csat = Csat()

    def thresholds(self) -> dict[str, float]:
        """Return the thresholds of the served views by name, in points of the answers' scale."""
        least, most = self.csat.scale
        return {
            "csat.scale_min": least,
            "csat.scale_max": most,
            "csat.satisfied_from": self.csat.satisfied_from,
        }
