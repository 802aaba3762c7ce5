"""Explain one journey: what happened, what it cost, what would have helped."""
