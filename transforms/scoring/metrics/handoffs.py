"""What happens between the departments of a journey: hand-offs, re-asks, promises."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.groups import distinct
from rejse.transforms.features.field_requests import (
    DECLARED,
    INFERRED,
    OBSERVED,
    VERIFY,
    entry_keys,
    given_since,
)
from rejse.transforms.features.handoffs import FULL, NO_CONTEXT, PART, UNKNOWN
from rejse.transforms.features.promises import BROKEN, KEPT, LATE, OPEN
from rejse.transforms.schema.registry import lower_count, metric
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.assess import ScoredJourneys

INT, REAL = pa.int32(), pa.float64()


def _per_journey(a: ScoredJourneys, journey: Ints) -> Ints:
    return np.bincount(journey, minlength=len(a.ctx.journeys))


@lower_count(inputs=["owner"])
def n_handoffs(a: ScoredJourneys) -> Ints:
    """Changes of owner or team between consecutive steps with a known owner
    (docs/reference/friction.md#hand-offs).
    """
    return _per_journey(a, a.ctx.steps.journey[a.ctx.handoffs.receiver])


def _of_context(a: ScoredJourneys, context: int) -> Ints:
    seen = a.ctx.handoffs
    return _per_journey(a, a.ctx.steps.journey[seen.receiver[seen.context == context]])


@metric(
    "journey",
    INT,
    unit="1",
    low=0,
    direction="higher_is_better",
    inputs=KINDS["handoff_without_context"].inputs,
)
def n_handoffs_full(a: ScoredJourneys) -> Ints:
    """Hand-offs with full context: passed = known."""
    return _of_context(a, FULL)


@lower_count(inputs=KINDS["handoff_without_context"].inputs)
def n_handoffs_part(a: ScoredJourneys) -> Ints:
    """Hand-offs with part of the context."""
    return _of_context(a, PART)


@lower_count(inputs=KINDS["handoff_without_context"].inputs)
def n_handoffs_none(a: ScoredJourneys) -> Ints:
    """Hand-offs without any of the known context."""
    return _of_context(a, NO_CONTEXT)


@metric("journey", INT, unit="1", low=0, inputs=["owner"])
def n_handoffs_unknown(a: ScoredJourneys) -> Ints:
    """Hand-offs whose context is not measurable: nothing known, or passing is not logged."""
    return _of_context(a, UNKNOWN)


@lower_count(inputs=KINDS["handoff_dropped"].inputs)
def n_handoffs_dropped(a: ScoredJourneys) -> Ints:
    """Hand-offs asked for that nobody took up by their due time, as far as the frontier proves."""
    asked = a.ctx.asked
    return _per_journey(a, a.ctx.journeys.ids[asked.row[asked.is_dropped]])


@lower_count(inputs=KINDS["ping_pong"].inputs)
def n_ping_pong(a: ScoredJourneys) -> Ints:
    """Hand-offs back to the owner before last, not known to be solved in between
    (docs/reference/friction.md#ping-pong).
    """
    seen = a.ctx.handoffs
    return _per_journey(a, a.ctx.steps.journey[seen.receiver[seen.is_ping_pong]])


def _reasked(a: ScoredJourneys, basis: int) -> Ints:
    requests = a.ctx.told.requests
    rows = requests.is_reask & (requests.basis == basis)
    return _per_journey(a, a.ctx.steps.journey[requests.step[rows]])


@metric("journey", INT, unit="fields", low=0, direction="lower_is_better", inputs=["info"])
def n_reasked_observed(a: ScoredJourneys) -> Ints:
    """Fields asked again, one a step and field, seen in the events."""
    return _reasked(a, OBSERVED)


@metric(
    "journey",
    INT,
    unit="fields",
    low=0,
    direction="lower_is_better",
    inputs=[{"touchpoint", "@touchpoint_fields"}],
)
def n_reasked_declared(a: ScoredJourneys) -> Ints:
    """Fields asked again as `touchpoint_fields` declares."""
    return _reasked(a, DECLARED)


@metric("journey", INT, unit="fields", low=0, direction="lower_is_better", nullable=False)
def n_reasked_inferred(a: ScoredJourneys) -> Ints:
    """Question activities that came again in a later step, where no field is known."""
    return _reasked(a, INFERRED)


@lower_count(inputs=KINDS["info_conflict"].inputs)
def n_info_conflicts(a: ScoredJourneys) -> Ints:
    """Fields given in a step with another value than the last one given before
    (docs/reference/friction.md#fields-asked-again).
    """
    return a.of_kind("info_conflict")


@metric("journey", INT, unit="fields", low=0, inputs=["info"])
def n_fields_known(a: ScoredJourneys) -> Ints:
    """Distinct fields that the customer gave, seen in the events."""
    row, _ = a.ctx.told.given(a.ctx.sessionised, declared=False)
    return _per_journey(a, a.ctx.journeys.ids[row])


@metric("journey", REAL, unit="1", low=0, high=1, direction="higher_is_better", inputs=["info"])
def data_continuity(a: ScoredJourneys) -> Reals:
    """1 - distinct fields asked again / distinct fields given before that were asked, passed or
    shown afterwards; observed only; null without such fields
    (docs/reference/friction.md#fields-asked-again).
    """
    needed, again = _continuity(a)
    share = np.divide(again, needed, out=np.full(len(needed), np.nan), where=needed > 0)
    return np.asarray(1.0 - share)


def _continuity(a: ScoredJourneys) -> tuple[Ints, Ints]:
    """Distinct fields needed again after they were given, and those of them asked again."""
    sessionised, told = a.ctx.sessionised, a.ctx.told
    seen = (told.entries.basis == OBSERVED) & (told.entries.op != VERIFY)
    entries = told.entries.rows(np.flatnonzero(seen))
    row, field = told.given(sessionised, declared=False)
    width = len(entries.field.names) + 1
    after = entries.row > given_since(sessionised, entries, row, field.codes)
    needed = distinct(entry_keys(sessionised, entries)[after])
    requests = told.requests
    asked = requests.is_reask & (requests.basis == OBSERVED)
    journey = a.ctx.steps.journey[requests.step[asked]]
    again = distinct(journey * width + requests.field.codes[asked])
    needed = distinct(np.concatenate([needed, again]))
    return _per_journey(a, needed // width), _per_journey(a, again // width)


def _promised(a: ScoredJourneys, *status: int) -> Ints:
    made = a.ctx.promises
    chosen: Bools = np.isin(made.status, status) if status else np.ones(len(made.status), bool)
    return _per_journey(a, a.ctx.journeys.ids[made.made[chosen]])


@metric("journey", INT, unit="1", low=0, inputs=KINDS["promise_broken"].inputs)
def n_promises(a: ScoredJourneys) -> Ints:
    """Promises made in the journey."""
    return _promised(a)


@metric(
    "journey",
    INT,
    unit="1",
    low=0,
    direction="higher_is_better",
    inputs=KINDS["promise_broken"].inputs,
)
def n_promises_kept(a: ScoredJourneys) -> Ints:
    """Promises delivered by their due time."""
    return _promised(a, KEPT)


@lower_count(inputs=KINDS["promise_broken"].inputs)
def n_promises_late(a: ScoredJourneys) -> Ints:
    """Promises delivered late, or overdue and not given up yet."""
    return _promised(a, LATE)


@lower_count(inputs=KINDS["promise_broken"].inputs)
def n_promises_broken(a: ScoredJourneys) -> Ints:
    """Promises not delivered within the give-up time, or withdrawn by the company."""
    return _promised(a, BROKEN)


@metric("journey", INT, unit="1", low=0, inputs=KINDS["promise_broken"].inputs)
def n_promises_open(a: ScoredJourneys) -> Ints:
    """Promises whose due time the frontier has not passed, or that have none."""
    return _promised(a, OPEN)
