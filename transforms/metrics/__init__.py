"""Metrics, one family a file; importing the package declares them all."""

from rejse.transforms.metrics import process, contacts, links, friction, health, steps, experience  # noqa: I001

__all__ = ["contacts", "experience", "friction", "health", "links", "process", "steps"]
