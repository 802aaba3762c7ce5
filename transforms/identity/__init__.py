"""Identities: pseudonyms, links, owners as of a time, erasure."""
