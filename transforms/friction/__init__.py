"""Detectors of friction, one family a file; importing the package registers them all."""

from rejse.transforms.friction import (
    conflicts,
    contacts,
    dead_ends,
    links,
    passing,
    pushing,
    time,
    work,
)
from rejse.transforms.friction.evidence import KINDS

__all__ = [
    "KINDS", "conflicts", "contacts", "dead_ends", "links", "passing", "pushing", "time", "work",
]  # fmt: skip
