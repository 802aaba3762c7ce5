"""Metrics, one family a file; importing the package declares them all.

Columns are published in the order of these imports.
"""

# ruff: noqa: I001
from rejse.transforms.scoring.metrics import process, contacts, handoffs, friction, cost, health
from rejse.transforms.scoring.metrics import steps
from rejse.transforms.feedback.metrics import experience, responses

__all__ = [
    "contacts", "cost", "experience", "friction", "handoffs", "health", "process", "responses",
    "steps",
]  # fmt: skip
