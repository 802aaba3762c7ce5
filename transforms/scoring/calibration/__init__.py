"""Propose weights of friction from the ends of journeys; nothing is applied."""
