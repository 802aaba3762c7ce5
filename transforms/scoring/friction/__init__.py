"""Detectors of friction, one family a file. Importing the package registers all of them.

Kinds are listed in the order of these imports.
"""

# ruff: noqa: I001
from rejse.transforms.scoring.friction import conflicts, contacts, dead_ends, handoffs, transfers
from rejse.transforms.scoring.friction import outreach, waiting, internal_work
from rejse.transforms.scoring.friction.kinds import KINDS

__all__ = [
    "KINDS", "conflicts", "contacts", "dead_ends", "handoffs", "internal_work", "outreach",
    "transfers", "waiting",
]  # fmt: skip
