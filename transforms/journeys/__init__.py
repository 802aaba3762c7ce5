"""Journeys: assign events to cases, split, sessionise, say when they are final."""
