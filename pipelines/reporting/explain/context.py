"""Describe the context of a journey: drivers of its contacts, cost of friction, broken service
levels, owned products, the next journey.

The next journey follows in time; no cause is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import lookup
from rejse.pipelines.runtime.text_safety import clean
from rejse.transforms.schema.parameters import OUTCOME_MAP

#: Outcomes of a contact that solved the matter; the talk of all others was in vain.
SOLVED = [name for name, value in OUTCOME_MAP.items() if value == 1.0]


@dataclass(frozen=True)
class Owned:
    """A product that the customer owns, and since when."""

    product_id: str
    valid_from: datetime


@dataclass(frozen=True)
class Breach:
    """A breached service level; `met_at` is null where it was never met."""

    sla: str
    kind: str
    due_at: datetime | None
    met_at: datetime | None


@dataclass(frozen=True)
class Cost:
    """Cost of friction: minutes, the share of them that was measured, and money."""

    customer: float | None
    company: float | None
    measured_share: float | None
    amount: float | None
    currency: str | None
    known_share: float | None = None  # of the halves, customer and company, in the amount


@dataclass(frozen=True)
class JourneyContext:
    """Contacts by driver, talk in vain, owned products, and the customer's next journey."""

    started_at: datetime
    ended_at: datetime
    n_need_driven: int | None
    n_company_driven: int | None
    vain_talk_s: float | None
    next_type: str | None
    next_touchpoint: str | None
    next_channel: str | None
    next_at: datetime | None
    cost: Cost | None = None
    breaches: tuple[Breach, ...] = ()
    owned: tuple[Owned, ...] = ()


_AROUND = """
    with firsts as (
        select journey_id, touchpoint, channel from v_steps where seq = 1
    ),

    in_vain as (
        select journey_id, sum(talk_s) as talk_s
        from v_sessions
        where is_contact and not list_contains($2, outcome)
        group by journey_id
    ),

    customers as (
        select distinct customer_key from v_journeys where list_contains($1, journey_id)
    ),

    followed as (
        select
            *,
            lead(journey_id) over customer as next_id,
            lead(journey_type) over customer as next_type,
            lead(started_at) over customer as next_at
        from v_journeys
        where customer_key in (select customer_key from customers)
        window customer as (partition by customer_key order by started_at, journey_id)
    )

    select
        followed.journey_id, followed.started_at, followed.ended_at,
        followed.n_need_driven, followed.n_company_driven, in_vain.talk_s as vain_talk_s,
        followed.next_type, firsts.touchpoint as next_touchpoint,
        firsts.channel as next_channel, followed.next_at
    from followed
    left join in_vain on followed.journey_id = in_vain.journey_id
    left join firsts on followed.next_id = firsts.journey_id
    where list_contains($1, followed.journey_id)
"""
_OWNED = """
    select j.journey_id, o.product_id, min(o.valid_from) as valid_from
    from v_journeys as j
    inner join owned_products as o on j.customer_key = o.customer_key
    where list_contains($1, j.journey_id)
        and (o.valid_to is null or o.valid_to > j.started_at)
    group by j.journey_id, o.product_id
    order by valid_from, o.product_id
"""
_COST = """
    select
        journey_id, friction_minutes_customer as customer, friction_minutes_company as company,
        friction_minutes_measured_share as measured_share, friction_cost as amount,
        friction_currency as currency, friction_cost_known_share as known_share
    from v_journeys
    where list_contains($1, journey_id)
"""
_BREACHES = """
    select journey_id, sla, kind, due_at, met_at
    from v_sla_results
    where status = 'breached' and list_contains($1, journey_id)
    order by due_at, sla
"""


def contexts(con: Any, journey_ids: list[str]) -> dict[str, JourneyContext]:
    """Return the contexts of journeys, by journey id."""
    owned = _by_journey(con, _OWNED, journey_ids, Owned)
    costs = _by_journey(con, _COST, journey_ids, Cost)
    breaches = _by_journey(con, _BREACHES, journey_ids, Breach)
    by_journey = {}
    for row in lookup.rows(con, _AROUND, [journey_ids, SOLVED]):
        journey_id = row.pop("journey_id")
        by_journey[journey_id] = replace(
            JourneyContext(**row),
            cost=costs[journey_id][0],
            breaches=tuple(breaches.get(journey_id, ())),
            owned=tuple(owned.get(journey_id, ())),
        )
    return by_journey


def _by_journey(
    con: Any, query: str, journey_ids: list[str], kind: type[Any]
) -> dict[str, list[Any]]:
    """Return the rows of a query by journey id, as objects of `kind`."""
    by_journey: dict[str, list[Any]] = {}
    for row in lookup.rows(con, query, [journey_ids]):
        by_journey.setdefault(row.pop("journey_id"), []).append(kind(**row))
    return by_journey


def lines(context: JourneyContext) -> Iterator[str]:
    """Yield sentences on the context of a journey; none where nothing is known."""
    if context.n_need_driven is not None and context.n_company_driven:
        contacts = wording.plural(context.n_need_driven + context.n_company_driven, "contact")
        yield (
            f"{context.n_need_driven} of {contacts} driven by the customer's need,"
            f" {context.n_company_driven} by the company's"
        )
    if context.vain_talk_s:
        yield (
            f"the company talked {wording.duration(context.vain_talk_s)} in contacts that solved"
            " nothing, as far as talk was logged"
        )
    yield from _cost(context.cost)
    yield from _breaches(context.breaches)
    yield from _owned(context)
    if context.next_at is not None:
        kind = clean(context.next_type or "other", 40)
        where = clean(context.next_touchpoint or context.next_channel, 40)
        channel = clean(context.next_channel, 20)
        yield f"next journey: {kind}, {_later(context, context.next_at)}, at {where} ({channel})"


def _cost(cost: Cost | None) -> Iterator[str]:
    if cost is None or not (cost.customer or cost.company):
        return
    minutes = (("the customer", cost.customer), ("the company", cost.company))
    spent = wording.listing([f"{payer} {wording.amount(n, 0)} min" for payer, n in minutes if n])
    money = f"{wording.amount(cost.amount, 0)} {clean(cost.currency, 8)}"
    least = "at least " if cost.known_share is not None and cost.known_share < 1 else ""
    total = "" if cost.amount is None else f", {least}{money} in all"
    yield f"its friction cost {spent} ({wording.share(cost.measured_share)} of it measured){total}"


def _breaches(breaches: tuple[Breach, ...]) -> Iterator[str]:
    for breach in breaches:
        late = (
            "never met" if breach.met_at is None else f"met {_late(breach.met_at, breach.due_at)}"
        )
        due = wording.minute(breach.due_at)
        yield f"service level broken: {clean(breach.sla, 40)} ({breach.kind}), due {due}, {late}"


def _late(met: datetime, due: datetime | None) -> str:
    # The service level's clock may pause in between, so this is no delay on that clock.
    return f"{wording.duration((met - due).total_seconds())} later" if due else "later"


def _owned(context: JourneyContext) -> Iterator[str]:
    before = [_product(o) for o in context.owned if o.valid_from <= context.started_at]
    if before:
        yield f"owned then: {wording.listing(before)}"
    for product in context.owned:
        if product.valid_from > context.ended_at:
            yield f"bought {_product(product)} {_later(context, product.valid_from)}"


def _product(product: Owned) -> str:
    return clean(product.product_id, 40)


def _later(context: JourneyContext, at: datetime) -> str:
    seconds = (at - context.ended_at).total_seconds()
    # A campaign's message may end a journey after the next has begun.
    return f"{wording.duration(seconds)} after its end" if seconds >= 0 else "begun before its end"
