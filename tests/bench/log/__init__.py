"""The log of the benchmark: events of the synthetic company, cases, answers, levels, rates."""
