"""Metrics between the departments of a journey: hand-offs, fields asked again, promises."""

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


def _per_journey(scored: ScoredJourneys, journey: Ints) -> Ints:
    return np.bincount(journey, minlength=len(scored.ctx.journeys))


@lower_count(label="Hand-offs", inputs=["owner"])
def n_handoffs(scored: ScoredJourneys) -> Ints:
    """Changes of owner or team between consecutive steps with a known owner
    (docs/reference/friction.md#hand-offs).
    """
    return _per_journey(scored, scored.ctx.steps.journey[scored.ctx.handoffs.receiver])


def _of_context(scored: ScoredJourneys, context: int) -> Ints:
    handoffs = scored.ctx.handoffs
    return _per_journey(
        scored, scored.ctx.steps.journey[handoffs.receiver[handoffs.context == context]]
    )


@metric(
    "journey",
    INT,
    label="Hand-offs with full context",
    unit="1",
    low=0,
    direction="higher_is_better",
    inputs=KINDS["handoff_without_context"].inputs,
)
def n_handoffs_full(scored: ScoredJourneys) -> Ints:
    """Hand-offs with full context: passed = known."""
    return _of_context(scored, FULL)


@lower_count(
    label="Hand-offs with part of the context", inputs=KINDS["handoff_without_context"].inputs
)
def n_handoffs_part(scored: ScoredJourneys) -> Ints:
    """Hand-offs with part of the context."""
    return _of_context(scored, PART)


@lower_count(label="Hand-offs without context", inputs=KINDS["handoff_without_context"].inputs)
def n_handoffs_none(scored: ScoredJourneys) -> Ints:
    """Hand-offs without any of the known context."""
    return _of_context(scored, NO_CONTEXT)


@metric("journey", INT, label="Hand-offs of unknown context", unit="1", low=0, inputs=["owner"])
def n_handoffs_unknown(scored: ScoredJourneys) -> Ints:
    """Hand-offs whose context is not measurable: nothing known, or passing is not logged."""
    return _of_context(scored, UNKNOWN)


@lower_count(label="Dropped hand-offs", inputs=KINDS["handoff_dropped"].inputs)
def n_handoffs_dropped(scored: ScoredJourneys) -> Ints:
    """Requested hand-offs not taken up by their due time, once the watermark has passed it."""
    requests = scored.ctx.handoff_requests
    return _per_journey(scored, scored.ctx.journeys.ids[requests.row[requests.is_dropped]])


@lower_count(label="Ping-pong", inputs=KINDS["ping_pong"].inputs)
def n_ping_pong(scored: ScoredJourneys) -> Ints:
    """Hand-offs back to the owner before last, not known to be solved in between
    (docs/reference/friction.md#ping-pong).
    """
    handoffs = scored.ctx.handoffs
    return _per_journey(scored, scored.ctx.steps.journey[handoffs.receiver[handoffs.is_ping_pong]])


def _reasked(scored: ScoredJourneys, basis: int) -> Ints:
    requests = scored.ctx.field_requests.requests
    rows = requests.is_reask & (requests.basis == basis)
    return _per_journey(scored, scored.ctx.steps.journey[requests.step[rows]])


@metric(
    "journey",
    INT,
    label="Fields asked again",
    unit="fields",
    low=0,
    direction="lower_is_better",
    inputs=["info"],
)
def n_reasked_observed(scored: ScoredJourneys) -> Ints:
    """Fields asked again, one a step and field, seen in the events."""
    return _reasked(scored, OBSERVED)


@metric(
    "journey",
    INT,
    label="Fields asked again, declared",
    unit="fields",
    low=0,
    direction="lower_is_better",
    inputs=[{"touchpoint", "@touchpoint_fields"}],
)
def n_reasked_declared(scored: ScoredJourneys) -> Ints:
    """Fields asked again as `touchpoint_fields` declares."""
    return _reasked(scored, DECLARED)


@metric(
    "journey",
    INT,
    label="Questions repeated",
    unit="fields",
    low=0,
    direction="lower_is_better",
    nullable=False,
)
def n_reasked_inferred(scored: ScoredJourneys) -> Ints:
    """Question activities that came again in a later step, where no field is known."""
    return _reasked(scored, INFERRED)


@lower_count(label="Conflicting answers", inputs=KINDS["info_conflict"].inputs)
def n_info_conflicts(scored: ScoredJourneys) -> Ints:
    """Fields given in a step with another value than the last one given before
    (docs/reference/friction.md#fields-asked-again).
    """
    return scored.of_kind("info_conflict")


@metric("journey", INT, label="Fields known", unit="fields", low=0, inputs=["info"])
def n_fields_known(scored: ScoredJourneys) -> Ints:
    """Distinct fields that the customer gave, seen in the events."""
    row, _ = scored.ctx.field_requests.given(scored.ctx.sessionised, declared=False)
    return _per_journey(scored, scored.ctx.journeys.ids[row])


@metric(
    "journey",
    REAL,
    label="Data continuity",
    unit="1",
    low=0,
    high=1,
    direction="higher_is_better",
    inputs=["info"],
)
def data_continuity(scored: ScoredJourneys) -> Reals:
    """1 - distinct fields asked again / distinct fields given before that were asked, passed or
    shown afterwards; observed only; null without such fields
    (docs/reference/friction.md#fields-asked-again).
    """
    needed, again = _continuity(scored)
    share = np.divide(again, needed, out=np.full(len(needed), np.nan), where=needed > 0)
    return np.asarray(1.0 - share)


def _continuity(scored: ScoredJourneys) -> tuple[Ints, Ints]:
    """Return the distinct fields needed again after they were given, and those asked again."""
    sessionised, field_requests = scored.ctx.sessionised, scored.ctx.field_requests
    is_observed = (field_requests.entries.basis == OBSERVED) & (field_requests.entries.op != VERIFY)
    entries = field_requests.entries.rows(np.flatnonzero(is_observed))
    row, field = field_requests.given(sessionised, declared=False)
    width = len(entries.field.names) + 1
    after = entries.row > given_since(sessionised, entries, row, field.codes)
    needed = distinct(entry_keys(sessionised, entries)[after])
    requests = field_requests.requests
    reasked = requests.is_reask & (requests.basis == OBSERVED)
    journey = scored.ctx.steps.journey[requests.step[reasked]]
    again = distinct(journey * width + requests.field.codes[reasked])
    needed = distinct(np.concatenate([needed, again]))
    return _per_journey(scored, needed // width), _per_journey(scored, again // width)


def _promised(scored: ScoredJourneys, *status: int) -> Ints:
    promises = scored.ctx.promises
    chosen: Bools = (
        np.isin(promises.status, status) if status else np.ones(len(promises.status), bool)
    )
    return _per_journey(scored, scored.ctx.journeys.ids[promises.made[chosen]])


@metric("journey", INT, label="Promises", unit="1", low=0, inputs=KINDS["promise_broken"].inputs)
def n_promises(scored: ScoredJourneys) -> Ints:
    """Promises made in the journey."""
    return _promised(scored)


@metric(
    "journey",
    INT,
    label="Promises kept",
    unit="1",
    low=0,
    direction="higher_is_better",
    inputs=KINDS["promise_broken"].inputs,
)
def n_promises_kept(scored: ScoredJourneys) -> Ints:
    """Promises delivered by their due time."""
    return _promised(scored, KEPT)


@lower_count(label="Promises late", inputs=KINDS["promise_broken"].inputs)
def n_promises_late(scored: ScoredJourneys) -> Ints:
    """Promises delivered late, or overdue and not given up yet."""
    return _promised(scored, LATE)


@lower_count(label="Promises broken", inputs=KINDS["promise_broken"].inputs)
def n_promises_broken(scored: ScoredJourneys) -> Ints:
    """Promises not delivered within the give-up time, or withdrawn by the company."""
    return _promised(scored, BROKEN)


@metric(
    "journey", INT, label="Promises open", unit="1", low=0, inputs=KINDS["promise_broken"].inputs
)
def n_promises_open(scored: ScoredJourneys) -> Ints:
    """Promises whose due time the watermark has not passed, or that have none."""
    return _promised(scored, OPEN)
