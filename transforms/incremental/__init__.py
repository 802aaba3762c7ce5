"""Increments: deduplicate, merge with stored rows, revise what is published."""
