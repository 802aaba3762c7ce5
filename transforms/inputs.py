"""The kinds of input, each with its contract and row rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rejse.transforms import contracts, operational_tables, records
from rejse.transforms.experience import contract as x_contract
from rejse.transforms.experience.schema import EXPERIENCE
from rejse.transforms.registry import Table
from rejse.transforms.schema import INTERACTIONS, Contract


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
    "interaction": Input(INTERACTIONS, contracts.accept, happened=True),
    "experience": Input(EXPERIENCE, x_contract.accept, happened=True),
    **{kind: Input(one, records.ACCEPT[kind]) for kind, one in records.CONTRACTS.items()},
}


def joined() -> dict[str, Table]:
    """Published tables of what is joined to the events, as it came: records, then O-data."""
    return {**records.tables(), **operational_tables.tables()}
