"""The store: Delta tables, staged files, indexes, errors of damage."""
