"""A new need is a new journey: core and oracle over customers who buy and ask again and again."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

from tests.support import builders, strategies
from tests.support.core import score_transcript
from tests.support.law import examples
from tests.support.oracle_agreement import mismatches, smallest_mismatch
from tests.support.strategies import Pick
from tests.support.transcript import Transcript

DAY = 86_400
SILENCES = (0, 0, 60, 600, 1800, 1801, 3600, DAY, 2 * DAY, 5 * DAY, 7 * DAY, 14 * DAY,
            14 * DAY + 1, 90 * DAY + 1)  # fmt: skip


def event(pick: Pick, now: int) -> dict[str, Any]:
    """An event that ends, states a need or tells an answer more often than not."""

    def often(*values: Any) -> Any:
        return pick((None, None, *values))

    channel = pick(("web", "web", "phone", "app", "internal", "email"))
    direction = pick(("inbound", "inbound", "inbound", "outbound"))
    row = {
        "time": now,
        "source": pick(("crm", "web")),
        "channel": channel,
        "direction": "internal" if channel == "internal" else direction,
        "actor_type": pick(("customer", "human", "system")),
        "activity": pick(("contact", "contact", "enquiry", "settled")),
        "journey_type": often("claim", "purchase"),
        "case_id": often(None, "c1", "c2"),
        "outcome": often(
            "resolved", "sold", "sold", "unresolved", "declined", "abandoned", "partly"
        ),
        "intent": often("bill", "move"),
        "product_id": often("p", "q"),
        "objects": often(None, *strategies.OBJECTS),
        "info": strategies.info(pick),
        "lifecycle": often(None, None, None, "resume"),
    }
    if row["direction"] == "outbound":
        row["message_kind"] = often("marketing", "service")
        row["relevance_basis"] = often("due")
    return {name: value for name, value in row.items() if value is not None}


def customers(seed: int, n: int) -> Transcript:
    """A seeded log of such customers, with rows of the tables of cases."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    known: dict[str, tuple[Any, ...]] = {}
    for number in range(n):
        customer, now, mine = f"c{number:03d}", 0, []
        for place in range(chance.randint(2, 12)):
            now += chance.choice(SILENCES)
            ident = f"{chance.choice((0, 1))}{place:02d}{customer}"
            mine.append({**event(chance.choice, now), "id": ident, "customer": customer})
        rows += mine
        for kind, some in strategies.known(chance.choice, mine).items():
            known[kind] = known.get(kind, ()) + some
    return dataclasses.replace(strategies.in_a_company(chance.choice, rows), records=known)


@pytest.mark.parametrize("seed", range(1, 1 + examples(2)))
def test_the_oracle_agrees_on_needs(seed: int) -> None:
    whole = customers(seed, 120)
    scored = score_transcript(whole, builders.table(whole.events))
    reasons = set(scored["journeys"].column("close_reason").to_pylist())
    assert reasons >= {"new need", "start rule", "end rule", "silence", "cap"}
    assert set(scored["journeys"].column("outcome_basis").to_pylist()) >= {"recorded", "assumed"}
    if different := mismatches(whole):
        smallest = smallest_mismatch(whole)
        story = "\n".join(map(str, (*smallest.events, smallest.frontier, *mismatches(smallest))))
        pytest.fail(f"{len(different)} differences; the smallest customer:\n{story}")
