"""The claim's story, played as it was and once more by somebody who had read the card."""

from __future__ import annotations

from typing import Any

from rejse.pipelines.reporting.card import sentences
from tests.support.builders import moment
from tests.support.cards import card_at, tables_at
from tests.support.transcript import Transcript

FIELDS = ["plate", "damage_date", "phone", "bank_account", "police_report"]
CLAIM: dict[str, Any] = {"journey_type": "claim", "case_id": "CL", "intent": "claim"}
PAGE = {**CLAIM, "source": "web", "touchpoint": "web_claim_form", "channel": "web",
        "system": "web"}  # fmt: skip
CALL = {**CLAIM, "source": "back_office", "touchpoint": "claims_assessor", "channel": "phone",
        "direction": "outbound", "actor_type": "human", "system": "back_office",
        "activity": "assessor_called", "time": "2025-03-04T10:30"}  # fmt: skip
DESK = {**CLAIM, "source": "back_office", "touchpoint": "claims_desk", "channel": "internal",
        "actor_type": "human", "activity": "claim_settled", "outcome": "resolved",
        "time": "2025-03-06T09:00"}  # fmt: skip
EVENING = (
    {**PAGE, "time": "2025-03-03T19:02", "activity": "form_opened"},
    {**PAGE, "time": "2025-03-03T19:05", "activity": "damage_described",
     "info": {"given": FIELDS[:2]}},
    {**PAGE, "time": "2025-03-03T19:11", "activity": "claim_submitted", "outcome": "informed",
     "info": {"given": FIELDS[2:]}},
)  # fmt: skip
#: As it was: the assessor's system does not talk to the web's, and she asks.
ASKS = {**CALL, "info": {"asked": FIELDS, "given": FIELDS}}
#: As it can be: the card names the fields, she has them shown and asks for none.
READS = {**CALL, "info": {"shown": FIELDS}}
CONFIG = {
    "types": {"claim": {"owner": "claims", "is_problem": True}},
    "sources": {"web": ["info"], "back_office": ["info"]},
    "touchpoints": [
        {"touchpoint": "web_claim_form", "owner": "web", "silo": "digital", "channel": "web"},
        {"touchpoint": "claims_assessor", "owner": "claims", "silo": "claims", "channel": "phone"},
        {"touchpoint": "claims_desk", "owner": "claims", "silo": "claims", "channel": "internal"},
    ],
}


def story(*next_morning: dict[str, Any]) -> Transcript:
    return Transcript(
        "the claim", (*EVENING, *next_morning), {}, {"all": "2025-07-01T00:00"}, CONFIG
    )


def scores(*next_morning: dict[str, Any]) -> tuple[float, float]:
    (journey,) = tables_at(story(*next_morning), moment("2025-07-01T00:00"))["journeys"].to_pylist()
    return round(journey["friction_score"], 1), round(journey["health_ops"], 1)


def test_the_assessor_sees_next_morning_what_the_page_has() -> None:
    card = card_at(story(), moment("2025-03-04T08:00"))
    (known,) = card.known
    assert known.fields == tuple(sorted(FIELDS))
    assert (known.system, known.since) == ("web", moment("2025-03-03T19:02"))
    assert known.evidence.events == ("web/e002", "web/e003")
    text = sentences.text(card)
    assert (
        "Said already\n  bank_account, damage_date, phone, plate, police_report; web has them"
        " since 3 Mar 2025 19:02 [journey " in text
    )
    assert "ask for bank_account, damage_date, phone, plate, police_report: web has them" in text
    assert "offer or sell anything: a problem is open" in text
    assert (
        "claim of claims, since 3 Mar 2025 19:02; last 3 Mar 2025 19:11 at web_claim_form" in text
    )


def test_who_has_read_the_card_spares_the_customer_the_friction() -> None:
    asked, read = scores(ASKS, DESK), scores(READS, DESK)
    print(f"friction and health_ops of the claim: {asked} as it was, {read} with the card's advice")
    assert (asked, read) == ((43.2, 71.1), (0.0, 100.0))


def test_what_was_shown_to_a_system_it_has_too() -> None:
    (known,) = card_at(story(READS), moment("2025-03-05T08:00")).known
    assert (known.system, known.also) == ("web", ("back_office",))
