"""The operational tables as published: what the core joined, beside what it computed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from rejse.transforms.dimensions.tables import TABLES, Declared
from rejse.transforms.schema.registry import Column, Table

#: Description and unit of each column, the same in all tables.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "touchpoint": ("Place of contact.", ""),
    "owner": ("Responsible department.", ""),
    "team": ("Team within the owner.", ""),
    "silo": ("Silo that it belongs to.", ""),
    "channel": ("Medium of the contact.", ""),
    "stage": ("Before, during or after the service.", ""),
    "expected_wait_s": ("Wait that a customer expects there.", "s"),
    "expected_latency_s": ("Time that an internal task may wait there.", "s"),
    "is_moment_of_truth": ("Whether much is decided there.", ""),
    "journey_type": ("Kind of journey.", ""),
    "system": ("System that asks or holds the information.", ""),
    "field": ("Field of information.", ""),
    "op": ("asks, knows or passes.", ""),
    "gap": ("Silence that ends the journey, where it has no case.", ""),
    "case_gap": ("Silence that closes a case without an end.", ""),
    "reopen_window": ("Time after an end in which it may be opened again.", ""),
    "cap": ("Longest life of the journey.", ""),
    "handoff_due": ("Time in which a hand-off is to be taken up.", ""),
    "start_activities": ("Activities that begin a new one, separated by ;.", ""),
    "end_activities": ("Activities that end it, separated by ;.", ""),
    "end_outcomes": ("Outcomes that end it, separated by ;.", ""),
    "weak_end_outcomes": (
        "Bad outcomes that end it unless the customer comes back, separated by ;.",
        "",
    ),
    "is_problem": ("Whether such a journey is a problem of the customer.", ""),
    "expects_outcome": ("Whether one without an outcome counts as unresolved.", ""),
    "horizon": ("Age at which a journey is judged: resolved by then, or not.", ""),
    "actor_id": ("Employee, as a keyed pseudonym.", ""),
    "tier": ("Tier of support; a greater one is escalated to.", "1"),
    "weekday": ("Day of the week, 1 = Monday; none: the row is of a date.", "1"),
    "date": ("Date; it overrides the weekday.", ""),
    "opens": ("When work begins, local time; none: no work.", ""),
    "closes": ("When work ends, local time.", ""),
    "tz": ("Time zone (IANA).", ""),
    "site_id": ("Site.", ""),
    "weather": ("Weather in words.", ""),
    "temperature_c": ("Temperature.", "degrees Celsius"),
    "sla": ("Name of the service level.", ""),
    "kind": ("What it is about: of a service level, or a kind of friction.", ""),
    "due": ("Time that it allows.", ""),
    "to_owner": ("Receiving owner.", ""),
    "is_working_time": ("Whether only working time counts.", ""),
    "minutes_customer": ("Minutes that it takes the customer, where none are measured.", "min"),
    "minutes_company": ("Minutes that it takes the company, where none are measured.", "min"),
    "rate_customer": ("What a minute of the customer is worth.", "currency/min"),
    "rate_company": ("What a minute of the company costs.", "currency/min"),
    "currency": ("Currency (ISO 4217).", ""),
    "product_id": ("Product.", ""),
    "name": ("Its name.", ""),
    "is_addon": ("Whether it is added to another product.", ""),
    "price": ("Its price.", "currency"),
    "campaign_id": ("Campaign.", ""),
    "message_kind": ("What kind of message it sends.", ""),
    "purpose": ("Purpose that consent is needed for.", ""),
    "topic": ("What its claim is about.", ""),
    "claim": ("What it promises.", ""),
    "previous_key": ("Identity that is linked, as a keyed pseudonym.", ""),
    "previous_type": ("What kind of identity that is.", ""),
    "identity_key": ("Identity that owns it, as a keyed pseudonym.", ""),
    "identity_type": ("What kind of identity this is.", ""),
    "method": (
        "Origin: table (identity_links), event (its previousidentity) or case (its customer).",
        "",
    ),
    "precedence": ("Place among links of one identity that begin at once; the least holds.", "1"),
    "valid_from": ("The row is valid from then on; none: always.", "UTC"),
    "valid_to": ("The row is valid until then; none: it still is.", "UTC"),
}


@cache
def tables() -> dict[str, Table]:
    """Return the published tables by name. Raises KeyError where a column has no description."""
    return {name: _table(name, declared) for name, declared in TABLES.items()}


def _table(name: str, declared: Declared) -> Table:
    columns = tuple(
        Column(
            field.name, field.type, *COLUMNS[field.name], nullable=field.name not in declared.needed
        )
        for field in declared.schema
    )
    return Table(name, declared.about, (*declared.needed, "valid_from"), columns)
