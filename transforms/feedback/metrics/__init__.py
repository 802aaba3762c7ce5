"""Metrics of feedback, one family a file; importing the package declares them all."""

from rejse.transforms.feedback.metrics import experience, responses

__all__ = ["experience", "responses"]
