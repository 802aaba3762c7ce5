"""Detectors of friction, one family a file; importing the package registers them all."""

from rejse.transforms.scoring.friction import (
    conflicts,
    contacts,
    dead_ends,
    handoffs,
    internal_work,
    outreach,
    transfers,
    waiting,
)
from rejse.transforms.scoring.friction.evidence import KINDS

__all__ = [
    "KINDS", "conflicts", "contacts", "dead_ends", "links", "passing", "pushing", "time", "work",
]  # fmt: skip
