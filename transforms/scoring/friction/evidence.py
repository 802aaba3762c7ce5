"""Evidence, and the register of the kinds of friction with their detectors."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.schema.registry import Needs

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
class Evidence:
    """Evidence of one kind, one row each; steps and rows are indices, -1 for none.

    `step` is the anchor, `previous` the step before it on an edge, `row` the event that proves it
    and `earlier` the event it contradicts. severity = weight * intensity * confidence.
    """

    step: Ints
    previous: Ints
    row: Ints
    earlier: Ints
    time: Ints
    raw: Reals
    expected: Reals
    weight: Reals
    intensity: Reals
    confidence: Reals
    minutes: Reals
    basis: Ints
    detail: Categorical
    owner: Categorical
    owner_to: Categorical

    def __len__(self) -> int:
        return len(self.step)


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


def no_evidence(ctx: JourneyContext, name: str) -> Evidence:
    """Return no evidence, for a detector whose fields do not occur."""
    none = np.zeros(0, dtype=np.int64)
    return make_evidence(ctx, name, none, none)


def make_evidence(
    ctx: JourneyContext,
    name: str,
    step: Ints,
    row: Ints,
    *,
    previous: Ints | None = None,
    earlier: Ints | None = None,
    time: Ints | None = None,
    raw: Reals | None = None,
    expected: Reals | None = None,
    weight: Reals | None = None,
    intensity: Reals | None = None,
    confidence: Reals | None = None,
    minutes: Reals | None = None,
    basis: Ints | None = None,
    detail: Categorical | None = None,
    owner: Categorical | None = None,
    owner_to: Categorical | None = None,
) -> Evidence:
    """Make evidence with the defaults of a single event: x = 1, g = 1, confidence 1, observed.

    The owner defaults to that of the step before, `owner_to` on an edge to that of the step.
    """
    n = len(step)
    ones, unknown = np.ones(n), np.full(n, np.nan)
    none = np.full(n, NULL, dtype=np.int64)
    later = ctx.steps.owner.rows(step)
    prior = none if previous is None else previous
    giver = ctx.steps.owner.rows(np.where(prior >= 0, prior, step))
    return Evidence(
        step=step,
        previous=prior,
        row=row,
        earlier=none if earlier is None else earlier,
        time=ctx.sessionised.events.time[row] if time is None else time,
        raw=ones if raw is None else raw,
        expected=unknown if expected is None else expected,
        weight=ones * ctx.rules.weights[name] if weight is None else weight,
        intensity=ones if intensity is None else intensity,
        confidence=ones if confidence is None else confidence,
        minutes=unknown if minutes is None else minutes,
        basis=np.zeros(n, dtype=np.int64) if basis is None else basis,
        detail=Categorical.nulls(n) if detail is None else detail,
        owner=giver if owner is None else owner,
        owner_to=later.recode(np.where(prior >= 0, later.codes, NULL))
        if owner_to is None
        else owner_to,
    )


def concat_evidence(*parts: Evidence) -> Evidence:
    """Concatenate evidence."""
    columns = {
        name: _stacked([getattr(part, name) for part in parts])
        for name in Evidence.__dataclass_fields__
    }
    return Evidence(**columns)


def _stacked(columns: list[Any]) -> Any:
    if isinstance(columns[0], Categorical):
        return Categorical.of(pa.chunked_array([c.arrow() for c in columns]))
    return np.concatenate(columns)
