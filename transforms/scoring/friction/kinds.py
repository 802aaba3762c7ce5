"""The register of the kinds of friction with their detectors."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rejse.transforms.features.context import JourneyContext
from rejse.transforms.schema.registry import Needs
from rejse.transforms.scoring.friction.evidence import Evidence

Locus = Literal["node", "edge"]
#: Inputs that events need not log themselves -> the columns and tables that provide them.
PROVIDED_BY: Mapping[str, tuple[frozenset[str], ...]] = {
    "owner": (
        frozenset({"owner"}), frozenset({"touchpoint", "@touchpoints"}),
        frozenset({"team", "@teams"}),
    ),
    "team": (
        frozenset({"team"}), frozenset({"actor_id", "@agents"}),
        frozenset({"touchpoint", "@touchpoints"}),
    ),
    "end": (frozenset({"outcome"}),), "unsold_end": (frozenset({"outcome"}),),
    "case": (frozenset({"case_id"}),),
}  # fmt: skip
#: Tests of the score, by what friction is compared with: bad ends, repeated first contacts, answers
#: on effort, experience.
TESTS = ("bad_end", "repeat_contact", "ces", "experience")


@dataclass(frozen=True)
class Kind:
    """A kind of friction: its names, locus, unit of the amount, inputs and detector.

    `label` names it for people; `story` says what it means for the customer. `inputs` are what a
    journey must carry for it to be measured, `needs` the columns and tables that provide them.

    `circular_with` maps each test of the score that must leave the kind out to the reason: there
    the evidence depends by rule on what friction is compared with.
    """

    name: str
    label: str
    story: str
    locus: Locus
    unit: str
    inputs: Needs
    needs: Needs
    is_launch: bool
    description: str
    detect: Callable[[JourneyContext], Evidence]
    circular_with: Mapping[str, str] = field(default_factory=dict)


Detector = Callable[[JourneyContext], Evidence]

KINDS: dict[str, Kind] = {}


def kind(
    locus: Locus,
    unit: str,
    *inputs: set[str],
    label: str,
    story: str,
    launch: bool = True,
    circular_with: Mapping[str, str] | None = None,
) -> Callable[[Detector], Detector]:
    """Register the decorated detector under its own name.

    Args:
        locus: within a step (node) or between two steps (edge).
        unit: unit of the amount x.
        inputs: alternatives of what a journey must carry, any one of which suffices.
        label: name for people, unique among the kinds.
        story: what it means for the customer, as a clause without subject.
        launch: whether `evidence_coverage` is measured over this kind.
        circular_with: tests of the score that leave the kind out, each with the reason.

    Raises:
        ValueError: the docstring is missing, the name or label is taken, label or story are empty,
            or `circular_with` names no test or gives no reason.
    """
    reasons = dict(circular_with or {})

    def register(detect: Detector) -> Detector:
        name = detect.__name__
        description = " ".join((inspect.getdoc(detect) or "").split())
        if not description or name in KINDS:
            raise ValueError(f"kind {name}: expected one detector with a docstring")
        if not label or not story or label in {other.label for other in KINDS.values()}:
            raise ValueError(
                f"kind {name}: expected a label of its own and a story, came {label!r}"
            )
        if not set(reasons) <= set(TESTS) or not all(reasons.values()):
            raise ValueError(f"kind {name}: expected a reason for each of {TESTS}, came {reasons}")
        alternatives = tuple(frozenset(fields) for fields in inputs)
        needs = tuple(
            dict.fromkeys(columns for fields in alternatives for columns in _columns(fields))
        )
        KINDS[name] = Kind(
            name=name,
            label=label,
            story=story,
            locus=locus,
            unit=unit,
            inputs=alternatives,
            needs=needs,
            is_launch=launch,
            description=description,
            detect=detect,
            circular_with=reasons,
        )
        return detect

    return register


def _columns(made: frozenset[str]) -> list[frozenset[str]]:
    """Return the sets of columns and tables, each of which provides all of some inputs."""
    ways = [PROVIDED_BY.get(name, (frozenset({name}),)) for name in sorted(made)]
    return [frozenset().union(*way) for way in itertools.product(*ways)]
