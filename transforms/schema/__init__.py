"""Contracts, declarations of tables and metrics, parameters of the rules."""
