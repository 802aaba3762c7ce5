"""Metrics of health: outcome, delivery, health (docs/reference/scores.md#health)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array
from rejse.transforms.schema.parameters import COMPONENT_FLOOR, HEALTH_WEIGHTS
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.friction.assess import ScoredJourneys

BELOW_100 = float(np.nextafter(100.0, 0.0))
COMPONENTS = tuple(HEALTH_WEIGHTS)


def friction_of(hazard: Reals) -> Reals:
    """Return F = 100 * (1 - e^-H), at most the largest number below 100
    (docs/reference/friction.md#friction-score).
    """
    return np.minimum(0.0 - 100.0 * np.expm1(-hazard), BELOW_100)


def delivery_of(hazard: Reals) -> Reals:
    """Return D = e^-H = 1 - F / 100: the chance that no step spoils the journey
    (docs/reference/scores.md#delivery).
    """
    return np.exp(-hazard)


def health_of(**components: Reals) -> Reals:
    """Return the weighted harmonic mean of the components, floored at .10, times 100
    (docs/reference/scores.md#health).

    Components are named `outcome`, `delivery`, `experience`; NaN where one is not measured, which
    makes the result NaN.
    """
    weight = sum(HEALTH_WEIGHTS[name] for name in components)
    lost = sum(
        HEALTH_WEIGHTS[name] / np.maximum(c, COMPONENT_FLOOR) for name, c in components.items()
    )
    return np.asarray(100.0 * weight / lost)


def losses(**components: Reals) -> Array:
    """Return each component's share of the lost health, one row a component: w(1/C - 1) / sum."""
    lost = np.stack(
        [
            HEALTH_WEIGHTS[name] * (1.0 / np.maximum(c, COMPONENT_FLOOR) - 1.0)
            for name, c in components.items()
        ]
    )
    whole = lost.sum(axis=0)
    return np.asarray(np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0))


def _expects(scored: ScoredJourneys) -> Array:
    """Return journeys whose type expects an outcome; by default those with a case."""
    sessionised, rules = scored.ctx.sessionised, scored.ctx.rules
    kind = sessionised.journey_kind
    declared = [rules.type_of(name).expects_outcome for name in kind.names.to_pylist()]
    codes = [NOT_DECLARED if expects is None else int(expects) for expects in declared]
    default = rules.type_of(None).expects_outcome
    of_type = kind.lookup(codes, NOT_DECLARED if default is None else int(default))
    return np.where(of_type == NOT_DECLARED, sessionised.journey_case.known, of_type == 1)


NOT_DECLARED = 2


@metric(
    "journey",
    pa.string(),
    label="Outcome",
    unit="",
    when_empty="null while open, or where none is expected",
)
def outcome(scored: ScoredJourneys) -> Categorical:
    """What came of it: the last end if held, else the last mapped outcome (after an end only of
    events that are not outbound), else `unresolved` for types that expect one
    (docs/reference/scores.md#outcome).
    """
    row = scored.ctx.deciding
    logged = scored.ctx.sessionised.events.coded("outcome").rows(row)
    ended = (row >= 0) & scored.ctx.is_end[row]
    stand_in = np.where(ended, 0, np.where(_expects(scored) & (row < 0), 1, -1))
    named = logged.fallback(Categorical.named(stand_in, ["resolved", "unresolved"]))
    return named.recode(np.where(scored.ctx.closed, named.codes, -1))


@metric(
    "journey",
    pa.string(),
    label="Basis of the outcome",
    unit="",
    when_empty="null where there is no outcome",
)
def outcome_basis(scored: ScoredJourneys) -> Categorical:
    """Whether the outcome is recorded (by an end, or as the last but for messages that the company
    drives) or assumed: later events logged none, or no event did
    (docs/reference/scores.md#outcome).
    """
    basis = Categorical.named(np.where(scored.ctx.is_recorded, 0, 1), ["recorded", "assumed"])
    return basis.recode(np.where(outcome(scored).known, basis.codes, -1))


@metric(
    "journey",
    pa.float64(),
    label="Outcome value",
    unit="1",
    low=0,
    high=1,
    direction="higher_is_better",
)
def outcome01(scored: ScoredJourneys) -> Reals:
    """O, value of the outcome by the journey type's map: resolved, sold, informed 1; partly,
    declined .5; unresolved, abandoned, error, no_result 0 (docs/reference/scores.md#outcome).
    """
    row = scored.ctx.deciding
    value = scored.ctx.value[row] if len(scored.ctx.value) else np.zeros(len(row))
    ended = (row >= 0) & scored.ctx.is_end[row]
    value = np.where(ended & np.isnan(value), 1.0, value)
    value = np.where(row >= 0, value, np.where(_expects(scored), 0.0, np.nan))
    return np.where(scored.ctx.closed, value, np.nan)


@metric(
    "journey", pa.float64(), label="Delivery", unit="1", low=0, high=1, direction="higher_is_better"
)
def delivery01(scored: ScoredJourneys) -> Reals:
    """D = e^-H: the chance that no step spoils the journey; null below the coverage floor without
    evidence (docs/reference/scores.md#delivery).
    """
    return np.where(scored.is_scored, delivery_of(scored.hazard), np.nan)


@metric(
    "journey",
    pa.float64(),
    label="Operational health",
    unit="points of 100",
    low=0,
    high=100,
    direction="higher_is_better",
)
def health_ops(scored: ScoredJourneys) -> Reals:
    """Health from outcome and delivery only: weighted harmonic mean of O (.35) and D (.40),
    floored at .10, times 100; of closed journeys with both (docs/reference/scores.md#health).
    """
    return health_of(outcome=outcome01(scored), delivery=delivery01(scored))


@metric(
    "journey",
    pa.float64(),
    label="Operational health at one and a half weights",
    unit="points of 100",
    low=0,
    high=100,
    direction="higher_is_better",
)
def health_ops_lo(scored: ScoredJourneys) -> Reals:
    """Health_ops with all weights of friction times 1.5 (docs/reference/scores.md#health)."""
    delivery = np.where(scored.is_scored, delivery_of(scored.high), np.nan)
    return health_of(outcome=outcome01(scored), delivery=delivery)


@metric(
    "journey",
    pa.float64(),
    label="Operational health at half weights",
    unit="points of 100",
    low=0,
    high=100,
    direction="higher_is_better",
)
def health_ops_hi(scored: ScoredJourneys) -> Reals:
    """Health_ops with all weights of friction times .5 (docs/reference/scores.md#health)."""
    delivery = np.where(scored.is_scored, delivery_of(scored.low), np.nan)
    return health_of(outcome=outcome01(scored), delivery=delivery)


@metric("journey", pa.string(), label="Limiting component", unit="")
def limiting_component(scored: ScoredJourneys) -> Categorical:
    """Component with the largest share of the lost health; null where nothing is lost or health
    is not measured (docs/reference/scores.md#health).
    """
    lost = losses(outcome=outcome01(scored), delivery=delivery01(scored))
    measured = ~np.isnan(lost).any(axis=0) & (lost.sum(axis=0) > 0)
    return Categorical.named(np.where(measured, np.argmax(lost, axis=0), -1), COMPONENTS[:2])
