"""Publish staged tables: audit, commit, catalogue; query what is published."""
