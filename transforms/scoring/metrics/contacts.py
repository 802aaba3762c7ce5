"""Metrics of contacts: number, driver, channel switches, repeats, failures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Ints, Reals
from rejse.transforms.journeys import event_flags
from rejse.transforms.schema.registry import lower_count, metric
from rejse.transforms.scoring.friction import KINDS
from rejse.transforms.scoring.friction.assess import ScoredJourneys
from rejse.transforms.scoring.friction.contacts import switches

INT, REAL = pa.int32(), pa.float64()


@metric(
    "journey",
    REAL,
    label="Need-driven share",
    unit="1",
    low=0,
    high=1,
    direction="higher_is_better",
)
def need_driven_share(scored: ScoredJourneys) -> Reals:
    """Need-driven contacts / (need-driven + company-driven) contacts
    (docs/reference/journeys.md#company-driven-messages).
    """
    need, company = n_need_driven(scored), n_company_driven(scored)
    whole = need + company
    share = np.divide(need, whole, out=np.full(len(need), np.nan), where=whole > 0)
    return np.asarray(share)


@metric("journey", INT, label="Contacts", unit="1", low=0, nullable=False)
def n_contacts(scored: ScoredJourneys) -> Ints:
    """Sessions with an event that is not internal, and messages."""
    return scored.ctx.sessionised.journey_sessions.count(scored.ctx.contacts.is_contact)


@metric("journey", INT, label="Need-driven contacts", unit="1", low=0, nullable=False)
def n_need_driven(scored: ScoredJourneys) -> Ints:
    """Contacts that are inbound, or outbound with a relevance basis and consent."""
    return scored.ctx.sessionised.journey_sessions.count(scored.ctx.contacts.is_need_driven)


@metric("journey", INT, label="Company-driven contacts", unit="1", low=0, nullable=False)
def n_company_driven(scored: ScoredJourneys) -> Ints:
    """Other contacts, and outbound marketing or upsell inside inbound sessions
    (docs/reference/journeys.md#company-driven-messages).
    """
    contacts, events = scored.ctx.contacts, scored.ctx.sessionised.events
    sold = events.is_any("direction", "outbound") & events.is_any(
        "message_kind", "marketing", "upsell"
    )
    inside = (
        sold & contacts.inbound[scored.ctx.sessionised.session] & ~event_flags.is_message(events)
    )
    others = scored.ctx.sessionised.journey_sessions.count(
        contacts.is_contact & ~contacts.is_need_driven
    )
    return others + scored.ctx.journeys.count(inside)


@metric(
    "journey",
    INT,
    label="Channel switches",
    unit="1",
    low=0,
    direction="lower_is_better",
    nullable=False,
)
def n_channel_switches(scored: ScoredJourneys) -> Ints:
    """Consecutive inbound contacts of different channel families and of the same or unknown intent,
    the earlier of which did not end resolved, sold or informed
    (docs/reference/friction.md#contacts).
    """
    _, later = switches(scored.ctx)
    journey = scored.ctx.contacts.journey[later]
    return np.bincount(journey, minlength=len(scored.ctx.journeys))


@lower_count(label="Repeat contacts", inputs=["intent"])
def n_repeat_contacts(scored: ScoredJourneys) -> Ints:
    """Inbound contacts with an earlier one of the same customer and intent within W
    (docs/reference/rates.md#repeats).
    """
    return scored.ctx.sessionised.journey_sessions.count(scored.ctx.repeats >= 0)


@lower_count(label="Digital to human", inputs=KINDS["channel_fallback"].inputs)
def n_fallbacks(scored: ScoredJourneys) -> Ints:
    """Times the customer had to fall back from self-service to a human
    (docs/reference/friction.md#contacts).
    """
    return scored.of_kind("channel_fallback")


@lower_count(label="Transfers", inputs=KINDS["transfer"].inputs)
def n_transfers(scored: ScoredJourneys) -> Ints:
    """Events that passed the customer on, escalated ones apart
    (docs/reference/friction.md#transfers-and-escalations).
    """
    return scored.of_kind("transfer")


@lower_count(label="Escalations", inputs=KINDS["escalation"].inputs)
def n_escalations(scored: ScoredJourneys) -> Ints:
    """Events with the outcome `escalated`, and work passed on to a team of a higher tier
    (docs/reference/friction.md#transfers-and-escalations).
    """
    return scored.of_kind("escalation")


@lower_count(label="Dead ends", inputs=KINDS["dead_end"].inputs)
def n_dead_ends(scored: ScoredJourneys) -> Ints:
    """Inbound contacts that failed, after which the customer went to another channel or gave up
    (docs/reference/friction.md#contacts).
    """
    return scored.of_kind("dead_end")


@lower_count(label="Abandoned contacts", inputs=KINDS["abandonment"].inputs)
def n_abandoned(scored: ScoredJourneys) -> Ints:
    """Contacts abandoned after the short-abandon threshold or an unknown wait
    (docs/reference/friction.md#contacts).
    """
    return scored.of_kind("abandonment")


@lower_count(label="Re-openings", inputs=KINDS["reopened"].inputs)
def n_reopens(scored: ScoredJourneys) -> Ints:
    """Times the customer came back after an end within the re-open window
    (docs/reference/journeys.md#re-opening).
    """
    return scored.of_kind("reopened")
