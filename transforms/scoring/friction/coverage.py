"""Inputs of kinds and metrics that a journey carries, and the evidence coverage they give.

Missing logs are not missing friction. A company that logs more sees more, so owners are compared
only at equal coverage, and a count whose inputs a journey does not carry is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.schema.contract import LOGGED_WHEN_PRESENT, REQUIRED
from rejse.transforms.schema.registry import Needs
from rejse.transforms.scoring.friction import KINDS

#: Kind -> alternatives of columns and tables, any one of which suffices (`rejse check`).
NEEDS: Mapping[str, Needs] = {kind.name: kind.needs for kind in KINDS.values()}
LAUNCH = tuple(kind.name for kind in KINDS.values() if kind.is_launch)


@dataclass(frozen=True)
class CarriedInputs:
    """Inputs that each journey carries; each input is looked up once.

    A journey carries a field if one of its events has it. A field that is only logged when present
    (`LOGGED_WHEN_PRESENT`) is also carried if one of the journey's sources maps it. `owner`,
    `team`, `silo` and `stage` may come from tables, `end` from an outcome or an activity.
    `unsold_end` is an end other than a sale, `case` a case of the journey, `question` a question
    activity.
    """

    ctx: JourneyContext
    _seen: dict[str, Bools] = field(default_factory=dict)

    def any(self, needs: Needs) -> Bools:
        """Return the journeys that carry all inputs of one of the alternatives."""
        out = np.zeros(len(self.ctx.journeys), dtype=bool)
        for names in needs:
            out |= np.logical_and.reduce([self.input(name) for name in sorted(names)])
        return out

    def input(self, name: str) -> Bools:
        """Return the journeys that carry one input."""
        if name not in self._seen:
            self._seen[name] = self._look(name)
        return self._seen[name]

    def _look(self, name: str) -> Bools:
        ctx, size = self.ctx, len(self.ctx.journeys)
        if name in REQUIRED:
            return np.ones(size, dtype=bool)
        if name.startswith("@"):
            return np.full(size, ctx.data.has(name.removeprefix("@")))
        if name == "end":
            return self.input("outcome") | ctx.journeys.any(ctx.is_end)
        if name == "unsold_end":
            sold = ctx.is_end & ctx.sessionised.events.is_any("outcome", "sold")
            others = ctx.journeys.any(ctx.is_end & ~sold)
            return others | (self.input("end") & ~ctx.journeys.any(sold))
        if name == "case":
            return ctx.sessionised.journey_case.known
        if name in ("silo", "stage"):
            derived: Categorical = getattr(ctx.steps, name)
            return ctx.sessionised.journey_steps.any(derived.known)
        return ctx.journeys.any(self._events(name))

    def _events(self, name: str) -> Bools:
        """Return the events that carry a field, or whose source declares that it logs it."""
        ctx, events = self.ctx, self.ctx.sessionised.events
        if name == "question":
            return events.is_any("activity", *ctx.rules.windows.question_activities)
        if name in ("owner", "team"):
            effective: Categorical = getattr(ctx.sessionised, name)
            return effective.known
        return events.logs(name, ctx.rules.sources if name in LOGGED_WHEN_PRESENT else {})


def evidence_coverage(ctx: JourneyContext, carried: CarriedInputs | None = None) -> Reals:
    """Return the share of launch kinds whose inputs each journey carries
    (docs/reference/friction.md#coverage).
    """
    carried = carried or CarriedInputs(ctx)
    covered = np.zeros(len(ctx.journeys))
    for name in LAUNCH:
        covered += carried.any(KINDS[name].inputs)
    return covered / len(LAUNCH)
