"""Run all detectors, rank their evidence and sum its hazards by journey."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rejse.transforms.columnar.arrays import Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys.journey_times import JourneyTimes
from rejse.transforms.scoring.costs import Costs, costs
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.coverage import CarriedInputs, evidence_coverage
from rejse.transforms.scoring.friction.evidence import Evidence, concat_evidence
from rejse.transforms.scoring.friction.score import Hazards, rank_hazards, severity, total

LOW, HIGH = 0.5, 1.5


@dataclass(frozen=True)
class ScoredJourneys:
    """Evidence sorted by step and rank, and the hazard H of each journey (never NaN)."""

    ctx: JourneyContext
    kind: Ints  # place in the sorted names of KINDS
    evidence: Evidence
    hazards: Hazards
    low: Reals  # H of each journey at all weights * .5
    high: Reals  # H of each journey at all weights * 1.5

    @property
    def kinds(self) -> Categorical:
        """Kind of each piece of evidence."""
        return Categorical.named(self.kind, sorted(KINDS))

    @cached_property
    def is_edge(self) -> Array:
        """Evidence between two steps."""
        return np.array([KINDS[name].locus == "edge" for name in sorted(KINDS)])[self.kind]

    @cached_property
    def journey(self) -> Ints:
        """Journey of each piece of evidence."""
        return self.ctx.sessionised.step_journey[self.evidence.step]

    @cached_property
    def hazard(self) -> Reals:
        """H of each journey."""
        return total(self.hazards.hazard, self.journey, len(self.ctx.journeys))

    @cached_property
    def step_hazard(self) -> Reals:
        """Hazard of each step with the edge that leads into it."""
        return total(self.hazards.hazard, self.evidence.step, len(self.ctx.sessionised.steps))

    @cached_property
    def n_evidence(self) -> Ints:
        """Pieces of evidence of each journey."""
        return np.bincount(self.journey, minlength=len(self.ctx.journeys))

    @cached_property
    def carried(self) -> CarriedInputs:
        """Inputs that the journeys carry."""
        return CarriedInputs(self.ctx)

    @cached_property
    def coverage(self) -> Reals:
        """Evidence coverage of each journey."""
        return evidence_coverage(self.ctx, self.carried)

    @cached_property
    def costs(self) -> Costs:
        """Minutes and money of each piece of evidence."""
        return costs(self.ctx, self.kinds, self.evidence)

    @cached_property
    def is_scored(self) -> Array:
        """Journeys with evidence, or with coverage of at least the floor."""
        floor = self.ctx.rules.windows.coverage_floor
        return (self.n_evidence > 0) | (self.coverage >= floor)

    @cached_property
    def journey_times(self) -> JourneyTimes:
        """Start, end and busy time of each journey."""
        return self.ctx.journey_times

    def of_kind(self, name: str) -> Ints:
        """Count the pieces of evidence of one kind in each journey."""
        code = sorted(KINDS).index(name)
        return np.bincount(self.journey[self.kind == code], minlength=len(self.ctx.journeys))


def assess(ctx: JourneyContext) -> ScoredJourneys:
    """Run every registered detector and rank the evidence."""
    kinds, evidence = _detect_all(ctx)
    ties: tuple[Array, ...] = (
        kinds,
        evidence.time,
        ctx.sessionised.rank[evidence.row],
        _text_rank(evidence.detail),
        evidence.basis,
        pick(ctx.sessionised.rank, evidence.earlier),
    )
    plain = _ranked(evidence, 1.0, ties)
    order = sorted_by(evidence.step, plain.rank)
    evidence, kinds = _rows(evidence, order), kinds[order]
    ties = tuple(t[order] for t in ties)
    plain = Hazards(plain.severity[order], plain.rank[order], plain.hazard[order])
    journey, size = ctx.sessionised.step_journey[evidence.step], len(ctx.journeys)
    low, high = (
        total(_ranked(evidence, scale, ties).hazard, journey, size) for scale in (LOW, HIGH)
    )
    return ScoredJourneys(ctx, kinds, evidence, plain, low, high)


def _ranked(evidence: Evidence, scale: float, ties: tuple[Array, ...]) -> Hazards:
    severities = severity(evidence.weight, evidence.intensity, evidence.confidence, scale)
    return rank_hazards(severities, evidence.step, *ties)


def _detect_all(ctx: JourneyContext) -> tuple[Ints, Evidence]:
    """Detect the evidence of all kinds; pieces without severity are left out."""
    kinds, parts = [], []
    for code, name in enumerate(sorted(KINDS)):
        part = KINDS[name].detect(ctx)
        real = severity(part.weight, part.intensity, part.confidence) > 0
        parts.append(part if real.all() else _rows(part, np.flatnonzero(real)))
        kinds.append(np.full(len(parts[-1]), code))
    return np.concatenate(kinds), concat_evidence(*parts)


def _rows(evidence: Evidence, rows: Ints) -> Evidence:
    def pick(column: Any) -> Any:
        return column.rows(rows) if isinstance(column, Categorical) else column[rows]

    return Evidence(
        **{name: pick(getattr(evidence, name)) for name in Evidence.__dataclass_fields__}
    )


def _text_rank(texts: Categorical) -> Ints:
    """Return codes in the order of their texts, so that ties do not depend on dictionaries."""
    names = texts.names.to_pylist()
    rank = {name: place for place, name in enumerate(sorted(names))}
    return texts.lookup([rank[name] for name in names], -1)
