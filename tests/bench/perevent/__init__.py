"""The per-event rival's rules: one customer's events, walked over one by one (9-rules)."""
