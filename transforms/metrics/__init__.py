"""Metrics, one family a file; importing the package declares them all."""

from rejse.transforms.metrics import process, contacts, links, friction, cost, health, steps  # noqa: I001
from rejse.transforms.metrics import experience, responses

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
