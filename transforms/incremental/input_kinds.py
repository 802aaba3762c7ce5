"""The kinds of input, each with its contract and row rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rejse.transforms.dimensions import customer_records, published
from rejse.transforms.feedback import validate as x_contract
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.ingest import validate
from rejse.transforms.schema.contract import INTERACTIONS, Contract
from rejse.transforms.schema.registry import Table


@dataclass(frozen=True)
class Input:
    """What rows of one kind must keep; `accept` parts them into accepted and rejected ones.

    `happened`: the time of a row is when something happened, and not from when on something holds,
    so that none can lie in the future.
    """

    contract: Contract
    accept: Callable[..., Any]
    happened: bool = False


INPUTS: Mapping[str, Input] = {
    "interaction": Input(INTERACTIONS, validate.accept, happened=True),
    "experience": Input(EXPERIENCE, x_contract.accept, happened=True),
    **{
        kind: Input(one, customer_records.ACCEPT[kind])
        for kind, one in customer_records.CONTRACTS.items()
    },
}


def joined() -> dict[str, Table]:
    """Published tables of what is joined to the events, as it came: records, then O-data."""
    return {**customer_records.tables(), **published.tables()}
