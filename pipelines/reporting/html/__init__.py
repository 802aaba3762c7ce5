"""The HTML report: queries, templates, drawings."""
