"""Friction of time: waiting, promises not kept, re-opened problems."""

from __future__ import annotations

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import numbered, pick
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.features.promises import BROKEN, LATE, STATUS
from rejse.transforms.features.slas import BREACHED, is_late, promised
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.needs import occurs, pairs
from rejse.transforms.schema.parameters import SECOND
from rejse.transforms.scoring.friction.evidence import Evidence, concat_evidence, make_evidence
from rejse.transforms.scoring.friction.kinds import kind

SECONDS_A_MINUTE = 60


@kind(
    "node",
    "s/s",
    {"wait_s", "touchpoint", "@touchpoints"},
    label="Customer waiting",
    story="waited longer than expected",
    circular_with={"bad_end": "leaving ends the wait: an abandoned call logs none, or a short one"},
)
def customer_wait(ctx: JourneyContext) -> Evidence:
    """Waiting beyond the touchpoint's expected wait: x = (wait_s - expected) / max(expected, 1 s),
    g = 1 - exp(-x); without an expected wait it is not measurable
    (docs/reference/friction.md#waiting).
    """
    sessionised = ctx.sessionised
    waited, logged = sessionised.events.number("wait_s")
    expected, known = ctx.data.touchpoints.number("expected_wait_s", sessionised.place)
    rows = np.flatnonzero(logged & known & (waited > expected))
    wait, usual = waited[rows].astype(float), expected[rows].astype(float)
    excess = (wait - usual) / np.maximum(usual, 1.0)
    return make_evidence(
        ctx,
        "customer_wait",
        sessionised.steps.ids[rows],
        rows,
        raw=excess,
        expected=usual,
        intensity=-np.expm1(-excess),
        minutes=wait / SECONDS_A_MINUTE,
    )


@kind(
    "node",
    "promises",
    {"promise"},
    label="Promise not kept",
    story="was promised something that came late or never",
    circular_with={
        "bad_end": "an order that is cancelled or left unsolved is not delivered",
        "repeat_contact": "what follows decides whether it is late, broken or cancelled",
    },
)
def promise_broken(ctx: JourneyContext) -> Evidence:
    """Promise broken, or (weight .25) late: not delivered by its due time once the watermark has
    passed it; anchored at the step in which it was made; owned by `promise.owner`, else the type's
    owner, else the step's (docs/reference/friction.md#promises). A breached SLA is one too, made at
    the first need-driven step, unless an event promises that level itself (`slas`).
    """
    return concat_evidence(_broken_promises(ctx), _breached_levels(ctx))


def _broken_promises(ctx: JourneyContext) -> Evidence:
    """Return the evidence of promises that events made."""
    promises = ctx.promises
    broken = np.flatnonzero((promises.status == BROKEN) | (promises.status == LATE))
    late = promises.status[broken] == LATE
    weight = np.where(late, ctx.rules.late_promise_weight, ctx.rules.weights["promise_broken"])
    row, due = promises.made[broken], promises.due[broken]
    delivered = promises.delivered[broken]
    at = pick(ctx.sessionised.events.time, delivered, FAR)
    known = (at < FAR) & (due < FAR)
    late_days = np.where(known, (at - due) / (86_400 * SECOND), np.nan)
    dated = due < FAR
    return make_evidence(
        ctx,
        "promise_broken",
        ctx.sessionised.steps.ids[row],
        row,
        weight=weight,
        time=np.where(dated, due, ctx.sessionised.events.time[row]),
        expected=np.where(known, late_days, np.nan),
        detail=Categorical.named(promises.status[broken], STATUS),
        owner=ctx.owed_by(row, promises.owner.rows(broken)),
    )


def _breached_levels(ctx: JourneyContext) -> Evidence:
    """Return the evidence of breached service levels that no event promises itself."""
    levels = ctx.slas
    bad = np.flatnonzero(
        (levels.status == BREACHED) & ~promised(levels, ctx.promises, ctx.journeys)
    )
    late = is_late(
        levels,
        ctx.sessionised.events.time,
        give_up=ctx.rules.windows.promise_give_up,
        watermark=ctx.watermark,
        lateness=ctx.rules.windows.lateness,
    )[bad]
    weight = np.where(late, ctx.rules.late_promise_weight, ctx.rules.weights["promise_broken"])
    row, due = levels.row[bad], levels.due[bad]
    met = pick(ctx.sessionised.events.time, levels.met[bad], FAR)
    late_days = np.where(met < FAR, (met - due) / (86_400 * SECOND), np.nan)
    return make_evidence(
        ctx, "promise_broken", ctx.sessionised.steps.ids[row], row, weight=weight, time=due,
        expected=late_days, detail=levels.sla.rows(bad), owner=ctx.owed_by(row),
    )  # fmt: skip


@kind(
    "node",
    "re-openings",
    {"unsold_end"},
    {"end", "intent"},
    {"end", "objects"},
    {"case", "end", "lifecycle"},
    label="Re-opened",
    story="had to come back after it counted as solved",
    circular_with={
        "bad_end": "it takes a good end away",
        "repeat_contact": "its confidence hangs on a later outcome",
    },
)
def reopened(ctx: JourneyContext) -> Evidence:
    """Inbound event of an intent that its journey had before the last end, or of an unknown one,
    of no other product or order, more than the session gap and at most the re-open window after
    that end, in another session, that is no end itself. After a sale an unknown intent does not
    agree: it takes a known one that the journey had, or its object (order). Confidence 1 if a
    later event that is not outbound has a mapped outcome or the case was resumed, else .5
    (docs/reference/journeys.md#re-opening).
    """
    row, end, sure = reopenings(ctx)
    return make_evidence(
        ctx, "reopened", ctx.sessionised.steps.ids[row], row, earlier=end, confidence=sure
    )


def reopenings(ctx: JourneyContext) -> tuple[Ints, Ints, Reals]:
    """Return the first re-opening event after each end, that end, and the confidence."""
    sessionised, windows = ctx.sessionised, ctx.rules.windows
    events, journeys = sessionised.events, ctx.journeys
    in_time, moment = sessionised.by_time, sessionised.moment
    end = pick(in_time, journeys.last_row_before(ctx.is_end[in_time])[moment])
    since = events.time - pick(events.time, end, 0)
    window = event_flags.by_type(sessionised.kind, ctx.rules, lambda of: of.reopen_window)
    resumed = events.is_any("lifecycle", "resume") & sessionised.case.known
    comes = events.is_any("direction", "inbound") | resumed
    comes &= (end >= 0) & (since > windows.session_gap) & (since <= window) & ~ctx.is_end
    comes &= sessionised.session != pick(sessionised.session, end)
    rows = in_time[np.flatnonzero(comes[in_time])]
    until = moment[end[rows]]
    alike = _comes_back(ctx, rows, end[rows], until)
    alike = (alike & events.is_any("direction", "inbound")[rows]) | resumed[rows]
    rows = rows[alike & ~ctx.needs.others_before(rows, journeys.ids, moment, until)]
    rows = rows[np.sort(numbered(end[rows])[1])]
    mapped = ~np.isnan(ctx.value) & ~events.is_any("direction", "outbound")
    fell = journeys.next_row_after(mapped[in_time])[moment[end[rows]]] >= 0
    sure = np.where(fell | resumed[rows], 1.0, 0.5)
    return rows, end[rows], sure


def _comes_back(ctx: JourneyContext, rows: Ints, end: Ints, until: Ints) -> Bools:
    """Return whether the intent of each event is among those of its journey up to the end.

    Also where either is unknown, except after a sale. After a sale an object that the journey
    stated is enough too.
    """
    events, journey = ctx.sessionised.events, ctx.journeys.ids
    intent, moment = events.coded("intent"), ctx.sessionised.moment
    known, sold = np.flatnonzero(intent.known), events.is_any("outcome", "sold")[end]
    keys = pairs(journey, intent.codes.astype(np.int64))
    same = occurs(keys[known], moment[known], keys[rows], until)
    any_known = occurs(journey[known], moment[known], journey[rows], until)
    of_object = ctx.needs.objects_before(rows, journey, moment, until)
    return same | np.where(sold, of_object, ~any_known | ~intent.known[rows])
