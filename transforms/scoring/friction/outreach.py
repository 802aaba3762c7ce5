"""Friction of outreach: selling during a problem, too many messages."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, take
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Groups, numbered
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema import contract
from rejse.transforms.scoring.friction.evidence import Evidence, make_evidence, no_evidence
from rejse.transforms.scoring.friction.kinds import kind


@kind(
    "node",
    "upsells",
    {"message_kind"},
    label="Selling at the wrong time",
    story="was to buy more before they were helped",
    launch=False,
    circular_with={"bad_end": "after a good end it is none, after a bad one it is"},
)
def upsell_in_problem(ctx: JourneyContext) -> Evidence:
    """Upsell after the first inbound event and before the first end, or while a problem is open
    (the type is one and has not ended, or an outcome since the last end left it open), or against a
    stated quick need (intent of its contact among `quick_intents`)
    (docs/reference/friction.md#outreach).
    """
    sessionised, events, journeys = ctx.sessionised, ctx.sessionised.events, ctx.journeys
    rows = np.flatnonzero(events.is_any("message_kind", "upsell"))
    if not len(rows):
        return no_evidence(ctx, "upsell_in_problem")

    def last_before(mask: Bools) -> Ints:
        return journeys.last_row_before(mask[sessionised.by_time])[sessionised.moment[rows]]

    end = last_before(ctx.is_end)
    has_inbound = last_before(events.is_any("direction", "inbound")) >= 0
    left_open = last_before(events.is_any("outcome", *event_flags.LEAVES_OPEN))
    problem = event_flags.by_type(sessionised.journey_kind, ctx.rules, lambda of: of.is_problem)
    problem = problem.astype(bool)[journeys.ids[rows]]
    intent = ctx.contacts.intent.of_names(ctx.rules.windows.quick_intents)
    wrong = has_inbound & (end < 0) & ~ctx.is_end[rows]
    wrong |= (problem & (end < 0)) | (left_open > end) | intent[sessionised.session[rows]]
    rows = rows[wrong]
    return make_evidence(ctx, "upsell_in_problem", sessionised.steps.ids[rows], rows)


@kind(
    "node",
    "n/n",
    {"message_kind"},
    label="Too many messages",
    story="got more messages than anybody needs",
    launch=False,
)
def over_pressure(ctx: JourneyContext) -> Evidence:
    """Outbound message without relevance basis, once per message_id, that makes more than the cap
    of such messages to this customer in the window (t - 7 d, t]; x = n/cap - 1, g = 1 - exp(-x)
    (docs/reference/friction.md#outreach).
    """
    sessionised, events, windows = ctx.sessionised, ctx.sessionised.events, ctx.rules.windows
    sent = events.is_any("direction", "outbound") & events.coded("message_kind").known
    sent &= ~events.is_any("relevance_basis", *event_flags.RELEVANT)
    if sent.sum() <= windows.pressure_cap:
        return no_evidence(ctx, "over_pressure")
    rows = np.flatnonzero(sent)
    customer = events.coded(contract.CUSTOMER_KEY).codes
    rows = rows[sorted_by(customer[rows], sessionised.rank[rows])]
    if events.has("message_id"):
        rows = rows[_first_of_ids(ctx, rows, customer[rows])]
    n = in_window(customer[rows], events.time[rows], windows.pressure_window)
    over = np.flatnonzero(n > windows.pressure_cap)
    row, excess = rows[over], n[over] / windows.pressure_cap - 1.0
    return make_evidence(
        ctx,
        "over_pressure",
        sessionised.steps.ids[row],
        row,
        raw=excess,
        expected=np.full(len(row), float(windows.pressure_cap)),
        intensity=-np.expm1(-excess),
    )


def _first_of_ids(ctx: JourneyContext, rows: Ints, customer: Ints) -> Bools:
    """Return the rows that are the first of their message_id, or have none; rows in total order."""
    ident = Categorical.of(take(ctx.sessionised.events.column("message_id"), rows))
    named = np.flatnonzero(ident.known)
    key = customer[named].astype(np.int64) * (len(ident.names) + 1) + ident.codes[named]
    first = ~ident.known
    first[named[numbered(key)[1]]] = True
    return first


def in_window(customer: Ints, time: Ints, window: int) -> Ints:
    """Count the rows of the same customer in (t - window, t]; sorted by customer and time."""
    # Ranks of times, not times: customers x microseconds would exceed 64 bits.
    moments = np.unique(time)
    customers = Groups.of(customer).ids * (len(moments) + 1)
    stamp = customers + np.searchsorted(moments, time, side="right")
    expired = customers + np.searchsorted(moments, time - window, side="right")
    before = np.searchsorted(stamp, expired, side="right")
    return np.asarray(np.searchsorted(stamp, stamp, side="right") - before)
