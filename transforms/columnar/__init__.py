"""Columns: arrays, groups, sorts, the event table. No rule of the domain."""
