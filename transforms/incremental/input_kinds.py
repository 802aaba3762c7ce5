"""The kinds of input, each with its contract and row rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rejse.transforms.dimensions import customer_records, output_tables
from rejse.transforms.feedback import validate as x_contract
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.ingest import validate
from rejse.transforms.journeys.watermarks import Delivery, Watermarks
from rejse.transforms.schema.contract import INTERACTIONS, Contract
from rejse.transforms.schema.registry import Table


@dataclass(frozen=True)
class Input:
    """A kind of input: its contract, and `accept`, which splits rows into accepted and rejected.

    `happened`: the time of a row says when an event happened, so that it cannot be in the future;
    else from when on the row holds.
    """

    contract: Contract
    accept: Callable[..., Any]
    happened: bool = False


INPUTS: Mapping[str, Input] = {
    "interaction": Input(INTERACTIONS, validate.accept, happened=True),
    "experience": Input(EXPERIENCE, x_contract.accept, happened=True),
    **{
        kind: Input(contract, customer_records.ACCEPT[kind])
        for kind, contract in customer_records.CONTRACTS.items()
    },
}


def joined() -> dict[str, Table]:
    """Return the published tables that are joined to events, by name: records, then O-data."""
    return {**customer_records.tables(), **output_tables.tables()}


#: Latest event time, microseconds, by kind of input and (configured source, delivered name).
LatestTimes = Mapping[tuple[str, Delivery], int]


@dataclass(frozen=True)
class InputWatermarks:
    """How watermarks of interactions and of answers follow from latest times."""

    events: Watermarks
    answers: Watermarks

    def of(self, latest: LatestTimes) -> tuple[dict[str, int], dict[str, int]]:
        """Return the watermarks, microseconds by source, of interactions and of answers."""
        events, answers = (
            {delivery: time for (kind, delivery), time in latest.items() if kind == wanted}
            for wanted in ("interaction", "experience")
        )
        return self.events.of(events), self.answers.of_all(answers)
