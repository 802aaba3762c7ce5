"""Detectors of friction, one family a file."""
