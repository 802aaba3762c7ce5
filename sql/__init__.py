"""SQL served to analysts: views, macros, checks, questions, worked mappings."""
