"""Alerts: what rules match, and what became of it."""
