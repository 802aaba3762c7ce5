"""Scores: friction, cost, health, and the rows that are published."""
