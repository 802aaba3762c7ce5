"""What a journey carries: the inputs of kinds of friction and of metrics.

Nothing logged is not nothing wrong. A company that logs more sees more, so owners are compared
only at equal coverage, and a count whose inputs a journey does not carry is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Reals
from rejse.transforms.columnar.event_table import Coded
from rejse.transforms.features.context import Scene
from rejse.transforms.schema.contract import LOGGED_WHEN_PRESENT, REQUIRED
from rejse.transforms.schema.registry import Needs
from rejse.transforms.scoring.friction import KINDS

#: Kind -> alternatives of columns and tables, any one of which suffices (`rejse check`).
NEEDS: Mapping[str, Needs] = {kind.name: kind.needs for kind in KINDS.values()}
LAUNCH = tuple(kind.name for kind in KINDS.values() if kind.is_launch)


@dataclass(frozen=True)
class Carried:
    """Which journeys of a scene carry which inputs; each is looked up once.

    A journey carries a field where one of its events has it. Of fields of what happens now and
    then (`LOGGED_WHEN_PRESENT`) it is enough that one of its sources maps them: absent means that
    it did not happen. `owner`, `team`, `silo` and `stage` are also those that the tables tell,
    `end` is one that an outcome or an activity makes, `unsold_end` one that is not only sales,
    `case` that of the journey, and `question` a question activity.
    """

    scene: Scene
    _seen: dict[str, Bools] = field(default_factory=dict)

    def any(self, needs: Needs) -> Bools:
        """Journeys that carry all of one of the alternatives."""
        out = np.zeros(len(self.scene.journeys), dtype=bool)
        for names in needs:
            out |= np.logical_and.reduce([self.one(name) for name in sorted(names)])
        return out

    def one(self, name: str) -> Bools:
        """Journeys that carry one input."""
        if name not in self._seen:
            self._seen[name] = self._look(name)
        return self._seen[name]

    def _look(self, name: str) -> Bools:
        scene, size = self.scene, len(self.scene.journeys)
        if name in REQUIRED:
            return np.ones(size, dtype=bool)
        if name.startswith("@"):
            return np.full(size, scene.data.has(name.removeprefix("@")))
        if name == "end":
            return self.one("outcome") | scene.journeys.any(scene.is_end)
        if name == "unsold_end":
            sold = scene.is_end & scene.spine.events.is_one("outcome", "sold")
            others = scene.journeys.any(scene.is_end & ~sold)
            return others | (self.one("end") & ~scene.journeys.any(sold))
        if name == "case":
            return scene.spine.journey_case.known
        if name in ("silo", "stage"):
            told: Coded = getattr(scene.steps, name)
            return scene.spine.journey_steps.any(told.known)
        return scene.journeys.any(self._events(name))

    def _events(self, name: str) -> Bools:
        """Events that carry a field, or whose source says that it would log it."""
        scene, events = self.scene, self.scene.spine.events
        if name == "question":
            return events.is_one("activity", *scene.rules.windows.question_activities)
        if name in ("owner", "team"):
            effective: Coded = getattr(scene.spine, name)
            return effective.known
        return events.logs(name, scene.rules.sources if name in LOGGED_WHEN_PRESENT else {})


def evidence_coverage(scene: Scene, carried: Carried | None = None) -> Reals:
    """Launch kinds whose inputs the journey carries, over all launch kinds
    (docs/reference/friction.md#coverage).
    """
    carried = carried or Carried(scene)
    covered = np.zeros(len(scene.journeys))
    for name in LAUNCH:
        covered += carried.any(KINDS[name].inputs)
    return covered / len(LAUNCH)
