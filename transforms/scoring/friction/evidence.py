"""Evidence of friction: one row for each time that a detector saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.features.context import JourneyContext


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
