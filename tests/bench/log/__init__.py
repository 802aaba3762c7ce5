"""The log of the benchmark: events of the made company, cases, answers, levels, rates."""
