"""Care of a store: compact, vacuum, erase, verify, compare publications."""
