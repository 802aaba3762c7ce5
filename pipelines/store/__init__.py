"""Store: Delta tables, staged files, indexes, errors of damaged files."""
