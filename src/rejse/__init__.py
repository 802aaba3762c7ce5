"""Interaction logs of every channel turned into scored customer journeys."""
