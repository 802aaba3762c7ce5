"""Metrics, one family a file; importing the package declares them all."""

from rejse.transforms.feedback.metrics import experience, responses
from rejse.transforms.scoring.metrics import (
    contacts,
    cost,
    friction,
    handoffs,
    health,
    process,
    steps,
)  # noqa: I001

__all__ = [
    "contacts",
    "cost",
    "experience",
    "friction",
    "health",
    "links",
    "process",
    "responses",
    "steps",
]
