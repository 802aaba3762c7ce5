"""The core against the oracle on the same transcript."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rejse.transforms.scoring.output_tables import tables
from tests.support import builders, oracle, strategies
from tests.support.core import score_transcript
from tests.support.transcript import Transcript


def mismatches(t: Transcript) -> list[str]:
    """Where core and oracle differ, over all columns that both have."""
    con, found = oracle.compute(strategies.case(t)), score_transcript(t, builders.table(t.events))
    out: list[str] = []
    for name in tables():
        mine = oracle.rows(con, f"select * from o_{name}")
        out += oracle.compare(name, mine, found[name].to_pylist())
    return out


def smallest_mismatch(t: Transcript) -> Transcript:
    """The customer with the fewest events of those on whom core and oracle differ."""
    by_customer: dict[str, list[Mapping[str, Any]]] = {}
    for event in t.events:
        by_customer.setdefault(event["customer"], []).append(event)
    for events in sorted(by_customer.values(), key=len):
        one = dataclasses.replace(t, events=tuple(events))
        if mismatches(one):
            return one
    return t
