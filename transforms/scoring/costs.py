"""Cost of friction: minutes of the customer and of the company, and money.

A minute is measured where the events log it, else assumed from `cost_rates`
(docs/reference/friction.md#costs): the row of the kind that holds when the friction happens, else
the row of kind `default`. Measured are the customer's minutes where the detector measures them
(waiting), and the company's where the evidence is itself work done again: `agent_s` of the event
that proves it, else its handle time (talk + hold + wrap). Such an event's time is divided among the
incidents that it proves something of, so that no second counts twice.

The pieces of an incident (a step with the edge into it) are one problem seen in several ways, so
its minutes count once: the piece with the largest measured minutes, else with the largest assumed
ones, keeps them, and the other pieces with known minutes get 0. So sums over pieces, kinds, owners
and journeys agree.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Groups, distinct
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.validity import AsOf
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.schema.parameters import WEIGHTS
from rejse.transforms.scoring.friction.evidence import Evidence

SECONDS_A_MINUTE = 60
DEFAULT = "default"
MEASURED, ASSUMED = range(2)
#: Kinds whose proving event is work that the friction made necessary.
WORKED_AGAIN = (
    "reasked_info", "repeat_contact", "channel_fallback", "reopened", "rework", "transfer",
)  # fmt: skip
CURRENCY = re.compile("[A-Z]{3}")
AMOUNTS = ("minutes_customer", "minutes_company", "rate_customer", "rate_company")


@dataclass(frozen=True)
class Costs:
    """Cost of each piece of evidence; NaN and -1 where it is not known.

    A piece has two halves, the customer's and the company's: what is known of one is its cost as
    far as known, and `n_priced` says how many halves are in it.
    """

    minutes_customer: Reals
    minutes_company: Reals
    basis_customer: Ints
    basis_company: Ints
    cost: Reals
    currency: Categorical
    n_priced: Ints

    @property
    def n_timed(self) -> Ints:
        """Halves of each piece whose minutes are known: 0, 1 or 2."""
        timed = [~np.isnan(half) for half in (self.minutes_customer, self.minutes_company)]
        return np.asarray(np.sum(timed, axis=0))

    @property
    def minutes(self) -> Reals:
        """Minutes of both together, as far as known."""
        return np.nan_to_num(self.minutes_customer) + np.nan_to_num(self.minutes_company)

    @property
    def minutes_measured(self) -> Reals:
        """The measured part of `minutes`."""
        customer = np.where(self.basis_customer == MEASURED, self.minutes_customer, 0.0)
        company = np.where(self.basis_company == MEASURED, self.minutes_company, 0.0)
        return customer + company


def valid_rates(table: pa.Table) -> None:
    """Check the rows of `cost_rates`. Raises ValueError, naming the row."""
    for number, row in enumerate(table.to_pylist(), start=1):
        if row["kind"] != DEFAULT and row["kind"] not in WEIGHTS:
            close = difflib.get_close_matches(row["kind"], WEIGHTS, n=1)
            raise ValueError(
                f"row {number}: expected a kind of friction or {DEFAULT}, came {row['kind']!r};"
                + (f" did you mean {close[0]}?" if close else f" known are {', '.join(WEIGHTS)}")
            )
        for name in AMOUNTS:
            if row[name] is not None and not 0 <= row[name] < float("inf"):
                raise ValueError(f"row {number}: expected {name} of 0 or more, came {row[name]}")
        if row["currency"] is None and (row["rate_customer"] or row["rate_company"]):
            raise ValueError(
                f"row {number}: expected a currency beside a rate, came none; add the column"
                " currency, such as DKK"
            )
        if row["currency"] is not None and not CURRENCY.fullmatch(row["currency"]):
            raise ValueError(
                f"row {number}: expected a currency of ISO 4217 such as DKK, came"
                f" {row['currency']!r}"
            )


def costs(ctx: JourneyContext, kinds: Categorical, evidence: Evidence) -> Costs:
    """Return minutes and money of each piece of evidence.

    Without `cost_rates` only the minutes that detectors measure are known.
    """
    rates = ctx.data.rates
    waited = ~np.isnan(evidence.minutes)
    if not rates.table.num_rows:
        none, unknown = np.full(len(evidence), np.nan), np.full(len(evidence), NULL)
        basis = np.where(waited, MEASURED, NULL)
        no_currency = Categorical.nulls(len(evidence))
        minutes = _once(evidence.minutes, waited, evidence.step)
        return Costs(
            minutes, none, basis, unknown, none, no_currency, np.zeros(len(evidence), np.int64)
        )
    row = rates.rows(kinds, evidence.time)
    usual = rates.rows(Categorical.named(np.zeros(len(evidence)), [DEFAULT]), evidence.time)
    row = np.where(row == NULL, usual, row)
    amounts = {name: _real(rates, name, row) for name in AMOUNTS}
    worked = _worked(ctx.sessionised.events, kinds, evidence)
    customer = np.where(waited, evidence.minutes, amounts["minutes_customer"])
    customer = _once(customer, waited, evidence.step)
    company = np.where(np.isnan(worked), amounts["minutes_company"], worked)
    company = _once(company, ~np.isnan(worked), evidence.step)
    money = np.stack([customer * amounts["rate_customer"], company * amounts["rate_company"]])
    priced = ~np.isnan(money).all(axis=0)
    cost = np.where(priced, np.nan_to_num(money).sum(axis=0), np.nan)
    currency = rates.text("currency", row)
    return Costs(
        customer,
        company,
        _basis(customer, waited),
        _basis(company, ~np.isnan(worked)),
        cost,
        currency.recode(np.where(priced, currency.codes, NULL)),
        (~np.isnan(money)).sum(axis=0),
    )


def _real(rates: AsOf, name: str, row: Ints) -> Reals:
    value, known = rates.number(name, row)
    return np.where(known, value, np.nan)


def _basis(minutes: Reals, measured: Bools) -> Ints:
    return np.where(np.isnan(minutes), NULL, np.where(measured, MEASURED, ASSUMED))


def _worked(events: Events, kinds: Categorical, evidence: Evidence) -> Reals:
    """Return the company's measured minutes for each piece that is work done again, else NaN."""
    again = np.flatnonzero(kinds.of_names(WORKED_AGAIN))
    spent = agent_seconds(events)
    out = np.full(len(evidence), np.nan)
    if len(again):
        proof, incident = evidence.row[again], evidence.step[again]
        pairs = distinct(proof * (int(incident.max()) + 1) + incident)
        shared = np.bincount(pairs // (int(incident.max()) + 1), minlength=events.n)
        out[again] = spent[proof] / shared[proof] / SECONDS_A_MINUTE
    return out


def _once(minutes: Reals, measured: Bools, incident: Ints) -> Reals:
    """Keep the minutes of one piece of each incident; the others with known minutes get 0.

    Kept are measured minutes before assumed ones, then the most, then those of the first rank.
    """
    rows = np.flatnonzero(~np.isnan(minutes))
    rows = rows[sorted_by(incident[rows], ~measured[rows], -minutes[rows], rows)]
    first = rows[Groups.of(incident[rows]).starts] if len(rows) else rows
    out = np.where(np.isnan(minutes), np.nan, 0.0)
    out[first] = minutes[first]
    return out


def agent_seconds(events: Events) -> Reals:
    """Return the employees' seconds logged with each event, NaN where there are none.

    `agent_s`, else talk + hold + wrap where talk is logged.
    """
    agent, logged = events.number("agent_s")
    parts = [events.number(name) for name in ("talk_s", "hold_s", "wrap_s")]
    handled = sum((np.where(known, value, 0).astype(float) for value, known in parts))
    return np.where(logged, agent, np.where(parts[0][1], handled, np.nan)).astype(float)
