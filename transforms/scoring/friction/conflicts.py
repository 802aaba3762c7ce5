"""Friction of contradicting information: conflicting answers and claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, valid, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.features.field_requests import GIVEN, OBSERVED, entry_keys
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema import contract
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import kind


@kind(
    "edge",
    "conflicts",
    {"info"},
    label="Conflicting answers",
    story="is on record with two answers to one question",
    launch=False,
)
def info_conflict(ctx: JourneyContext) -> Evidence:
    """Field given with another hash than its last in this journey for no other product or order, in
    a later step; from the step that got the last value to that which got another
    (docs/reference/friction.md#fields-asked-again).
    """
    entries, step_of = ctx.field_requests.entries, ctx.sessionised.steps.ids
    gave = (entries.basis == OBSERVED) & (entries.op == GIVEN) & entries.value.known
    if not gave.any():
        return no_evidence(ctx, "info_conflict")
    answers = entries.rows(np.flatnonzero(gave))
    key = entry_keys(ctx.sessionised, answers)
    order = sorted_by(key)
    answers, key = answers.rows(order), key[order]
    value, step = answers.value.codes, step_of[answers.row]
    last = _last_of_need(ctx, answers.row, key)
    other = (last >= 0) & (value != pick(value, last)) & (step != pick(step, last))
    new = np.flatnonzero(other)
    last = last[new]
    return make_evidence(
        ctx,
        "info_conflict",
        step[new],
        answers.row[new],
        previous=step[last],
        earlier=answers.row[last],
        detail=answers.field.rows(new),
    )


def _last_of_need(ctx: JourneyContext, row: Ints, key: Ints) -> Ints:
    """Return the last earlier answer of the same key and need, -1 if none.

    Answers are sorted by key.
    """
    groups = Groups.of(key) if len(key) else Groups(key, 0)
    place = np.arange(len(key))
    last = groups.before(place)
    asking = np.flatnonzero(last >= 0)
    while len(asking):
        asking = asking[ctx.needs.others(row[asking], row[last[asking]])]
        begins = groups.begins[last[asking]]
        last[asking] = np.where(begins, NULL, last[asking] - 1)
        asking = asking[~begins]
    return last


@dataclass(frozen=True)
class _Claims:
    """Claims of non-customers, sorted by customer, topic and total order, one an event."""

    row: Ints
    customer: Ints
    topic: Categorical
    value: Categorical
    until: Ints  # FAR where the claim has no end


@kind(
    "edge",
    "contradictions",
    {"claims"},
    label="Contradiction",
    story="was told one thing, and then another",
    launch=False,
)
def contradiction(ctx: JourneyContext) -> Evidence:
    """Claim of a non-customer with another value than the last earlier one of a non-customer to
    this customer on its topic, in any journey, while that one was valid; not where the event
    moves a promise (docs/reference/friction.md#claims).
    """
    sessionised = ctx.sessionised
    claims = _claims(sessionised)
    if claims is None:
        return no_evidence(ctx, "contradiction")
    topic, value = claims.topic.codes, claims.value.codes
    same = (claims.customer[1:] == claims.customer[:-1]) & (topic[1:] == topic[:-1])
    valid_still = sessionised.events.time[claims.row[1:]] < claims.until[:-1]
    moved = _moves(sessionised)[claims.row[1:]]
    last = np.flatnonzero(same & (value[1:] != value[:-1]) & valid_still & ~moved)
    row, earlier = claims.row[last + 1], claims.row[last]
    step, before = sessionised.steps.ids[row], sessionised.steps.ids[earlier]
    return make_evidence(
        ctx,
        "contradiction",
        step,
        row,
        previous=np.where(before == step, NULL, before),
        earlier=earlier,
        detail=claims.topic.rows(last + 1),
    )


def _claims(sessionised: SessionisedEvents) -> _Claims | None:
    """Return claims with topic and value; the first of several of one event on a topic."""
    events = sessionised.events
    if not events.has("claims") or not events.carries("claims").any():
        return None
    column = events.column("claims")
    row = values(pc.list_parent_indices(column)).astype(np.int64)
    items = pc.list_flatten(column)
    topic, value = (
        Categorical.of(pc.struct_field(items, part)) for part in ("topic", "value_hmac")
    )
    until = pc.struct_field(items, "valid_to")
    until = np.where(valid(until), values(until), FAR)
    company = ~events.is_any("actor_type", "customer")[row]
    kept = np.flatnonzero(company & topic.known & value.known)
    customer = events.coded(contract.CUSTOMER_KEY).codes[row]
    order = kept[sorted_by(customer[kept], topic.codes[kept], sessionised.rank[row[kept]])]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (row[order[1:]] != row[order[:-1]]) | (
        topic.codes[order[1:]] != topic.codes[order[:-1]]
    )
    order = order[first]
    return _Claims(
        row[order],
        customer[order].astype(np.int64),
        topic.rows(order),
        value.rows(order),
        until[order],
    )


def _moves(sessionised: SessionisedEvents) -> Bools:
    """Return the events that move a promise."""
    if not sessionised.events.has("promise"):
        return np.zeros(sessionised.events.n, dtype=bool)
    op = Categorical.of(pc.struct_field(sessionised.events.column("promise"), "op"))
    return op.of_names(("moved",))
