"""Metrics, one family a file; importing the package declares them all.

Columns are published in the order of these imports.
"""

# ruff: noqa: I001
from rejse.transforms.scoring.metrics import process, contacts, handoffs, friction, cost, health
from rejse.transforms.scoring.metrics import steps

__all__ = [
    "contacts", "cost", "friction", "handoffs", "health", "process", "steps",
]  # fmt: skip
