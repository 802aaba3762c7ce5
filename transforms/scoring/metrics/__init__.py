"""Metrics, one family a file; importing the package declares them all."""

from rejse.transforms.scoring.metrics import (
    process,
    contacts,
    handoffs,
    friction,
    cost,
    health,
    steps,
)  # noqa: E501, I001
from rejse.transforms.feedback.metrics import experience, responses

__all__ = [
    "contacts",
    "cost",
    "experience",
    "friction",
    "handoffs",
    "health",
    "process",
    "responses",
    "steps",
]
