"""Raw rows to contract rows: mapping, types, spelling, rejects."""
