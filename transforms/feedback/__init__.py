"""Feedback: survey answers, reviews and texts, joined to scored journeys.

The field calls it X-data, as opposed to the O-data of operations; hence the `x_` of columns.
"""
