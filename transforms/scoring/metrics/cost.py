"""Metrics of cost: minutes and money of a journey's friction (docs/reference/friction.md#costs)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals, share, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.schema.registry import metric
from rejse.transforms.scoring.friction.assess import ScoredJourneys
from rejse.transforms.scoring.friction.score import total

REAL, TEXT = pa.float64(), pa.string()


@metric(
    "journey",
    REAL,
    label="Friction minutes of the customer",
    unit="min",
    low=0,
    direction="lower_is_better",
)
def friction_minutes_customer(scored: ScoredJourneys) -> Reals:
    """Sum of the customer's minutes over the evidence, measured or assumed from `cost_rates`; null
    where none are known, or no friction can be measured (docs/reference/friction.md#costs).
    """
    return _summed(scored, scored.costs.minutes_customer)


@metric(
    "journey",
    REAL,
    label="Friction minutes of the company",
    unit="min",
    low=0,
    direction="lower_is_better",
)
def friction_minutes_company(scored: ScoredJourneys) -> Reals:
    """Sum of the company's minutes over the evidence, measured or assumed from `cost_rates`; null
    where none are known, or no friction can be measured (docs/reference/friction.md#costs).
    """
    return _summed(scored, scored.costs.minutes_company)


@metric("journey", REAL, label="Measured share of friction minutes", unit="1", low=0, high=1)
def friction_minutes_measured_share(scored: ScoredJourneys) -> Reals:
    """Measured minutes of customer and company / all of them; the rest is assumed; null without
    minutes (docs/reference/friction.md#costs).
    """
    whole, measured = (
        _total(scored, scored.costs.minutes),
        _total(scored, scored.costs.minutes_measured),
    )
    return np.asarray(np.minimum(share(measured, whole), 1.0))


@metric("journey", REAL, label="Evidence with known minutes", unit="1", low=0, high=1)
def friction_minutes_known_share(scored: ScoredJourneys) -> Reals:
    """Halves of the evidence (each piece has the customer's and the company's) whose minutes are
    measured or assumed / all halves; the others are unknown, and in no sum; null without evidence
    (docs/reference/friction.md#costs).
    """
    return _share_of_halves(scored, scored.costs.n_timed)


@metric("journey", REAL, label="Evidence with known cost", unit="1", low=0, high=1)
def friction_cost_known_share(scored: ScoredJourneys) -> Reals:
    """Halves of the evidence (each piece has the customer's and the company's) whose minutes and
    rate are both known / all halves; friction_cost is without the others; null without evidence
    or without `cost_rates` (docs/reference/friction.md#costs).
    """
    known = _share_of_halves(scored, scored.costs.n_priced)
    return known if scored.ctx.data.has("cost_rates") else np.full(len(known), np.nan)


@metric(
    "journey", REAL, label="Cost of friction", unit="currency", low=0, direction="lower_is_better"
)
def friction_cost(scored: ScoredJourneys) -> Reals:
    """Sum of minutes times rates over the evidence, in friction_currency; null where currencies
    mix, none is priced, or no friction can be measured (docs/reference/friction.md#costs).
    """
    _, mixed = _one_name(scored.costs.currency, scored.journey, len(scored.hazard))
    return np.where(mixed, np.nan, _summed(scored, scored.costs.cost))


@metric("journey", TEXT, label="Currency of the cost of friction", unit="")
def friction_currency(scored: ScoredJourneys) -> Categorical:
    """Currency of friction_cost (ISO 4217); null where nothing is priced or currencies mix."""
    code, _ = _one_name(scored.costs.currency, scored.journey, len(scored.hazard))
    return scored.costs.currency.recode(code)


@metric("journey", REAL, label="Logged cost", unit="currency", inputs=[{"cost_amount", "currency"}])
def logged_cost(scored: ScoredJourneys) -> Reals:
    """Sum of the `cost_amount` that the events log, friction or not, in logged_currency; null where
    none is logged, one is without currency, or currencies mix
    (docs/reference/contract.md#interaction).
    """
    code, amount, known = _logged(scored)
    journeys = scored.ctx.journeys
    return np.where(code == NULL, np.nan, journeys.sum(np.where(known, amount, 0.0)))


@metric(
    "journey",
    TEXT,
    label="Currency of the logged cost",
    unit="",
    inputs=[{"cost_amount", "currency"}],
)
def logged_currency(scored: ScoredJourneys) -> Categorical:
    """Currency of logged_cost (ISO 4217); null where logged_cost is."""
    return scored.ctx.sessionised.events.coded("currency").recode(_logged(scored)[0])


def _logged(scored: ScoredJourneys) -> tuple[Ints, Reals, Bools]:
    """Return the currency of each journey's logged costs (-1: none or several), and the amounts."""
    events, journeys = scored.ctx.sessionised.events, scored.ctx.journeys
    known = events.carries("cost_amount") if events.has("cost_amount") else None
    if known is None or not known.any():
        none = np.zeros(events.n)
        return np.full(len(journeys), NULL), none, none.astype(bool)
    amount = values(pc.cast(events.column("cost_amount"), REAL))
    rows = np.flatnonzero(known)
    currency = events.coded("currency").rows(rows)
    code, _ = _one_name(currency, journeys.ids[rows], len(journeys))
    unnamed = np.bincount(journeys.ids[rows[~currency.known]], minlength=len(journeys)) > 0
    return np.where(unnamed, NULL, code), amount, known


def _one_name(names: Categorical, journey: Ints, size: int) -> tuple[Ints, Bools]:
    """Return the only name of each journey (-1: none or several), and whether it has several."""
    known = names.known
    least, most = np.full(size, len(names.names)), np.full(size, NULL)
    np.minimum.at(least, journey[known], names.codes[known])
    np.maximum.at(most, journey[known], names.codes[known])
    mixed = (most != NULL) & (least != most)
    return np.where(mixed, NULL, most), mixed


def _total(scored: ScoredJourneys, amount: Reals) -> Reals:
    return total(np.nan_to_num(amount), scored.journey, len(scored.hazard))


def _share_of_halves(scored: ScoredJourneys, halves: Ints) -> Reals:
    return share(_total(scored, halves.astype(float)), 2 * scored.n_evidence)


def _summed(scored: ScoredJourneys, amount: Reals) -> Reals:
    """Sum the known amounts; 0 where friction was measured, could be priced and is none."""
    some = np.bincount(scored.journey[~np.isnan(amount)], minlength=len(scored.hazard)) > 0
    could = scored.is_scored & (scored.n_evidence == 0) & scored.ctx.data.has("cost_rates")
    return np.where(some | could, _total(scored, amount), np.nan)
