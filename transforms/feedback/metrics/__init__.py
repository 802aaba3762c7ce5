"""Metrics of feedback, one family a file."""
