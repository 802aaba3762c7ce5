"""Evidence coverage: did the data carry the fields that the detectors need?

Nothing logged is not nothing wrong: a company that logs more sees more, so owners are compared
only at equal coverage.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rejse.transforms.arrays import Bools, Reals
from rejse.transforms.friction import KINDS
from rejse.transforms.friction.evidence import Needs
from rejse.transforms.scene import Scene

#: Kind -> alternatives of fields, any one of which suffices; `@name` is not a field of the event.
NEEDS: Mapping[str, Needs] = {kind.name: kind.needs for kind in KINDS.values()}
LAUNCH = tuple(kind.name for kind in KINDS.values() if kind.is_launch)


def evidence_coverage(scene: Scene) -> Reals:
    """Launch kinds whose fields an event of the journey carries or one of its sources declares,
    over all launch kinds (3-scores).
    """
    covered = np.zeros(len(scene.journeys))
    carried: dict[str, Bools] = {}
    for name in LAUNCH:
        covered += _measurable(scene, NEEDS[name], carried)
    return covered / len(LAUNCH)


def _measurable(scene: Scene, needs: Needs, carried: dict[str, Bools]) -> Bools:
    out = np.zeros(len(scene.journeys), dtype=bool)
    for fields in needs:
        if not all(_has_table(scene, name) for name in fields if name.startswith("@")):
            continue
        here = np.ones(len(out), dtype=bool)
        for name in sorted(f for f in fields if not f.startswith("@")):
            if name not in carried:
                carried[name] = _carries(scene, name)
            here &= carried[name]
        out |= here
    return out


def _has_table(scene: Scene, name: str) -> bool:
    return scene.data.has(name.removeprefix("@"))


def _carries(scene: Scene, name: str) -> Bools:
    """Does an event of the journey carry the field, or one of its sources declare it?"""
    events, journeys = scene.spine.events, scene.journeys
    declared = scene.rules.sources
    source = events.coded("source")
    says = [name in declared.get(s, ()) for s in source.names.to_pylist()]
    if all(says) and len(says):
        return np.ones(len(journeys), dtype=bool)
    rows = source.lookup(says, False)
    if events.has(name):
        rows = rows | events.carries(name)
    return journeys.any(rows)
