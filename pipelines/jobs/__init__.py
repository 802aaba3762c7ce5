"""Runs: the increment, the Beam graph, the loop that runs again and again."""
