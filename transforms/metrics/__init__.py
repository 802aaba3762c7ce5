"""Metrics, one family a file; importing the package declares them all."""

from rejse.transforms.metrics import process, contacts, links, friction, health, steps  # noqa: I001

__all__ = ["contacts", "friction", "health", "links", "process", "steps"]
