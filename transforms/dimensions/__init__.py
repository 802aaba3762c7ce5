"""Operational tables: touchpoints, records, campaigns, validity, calendar."""
