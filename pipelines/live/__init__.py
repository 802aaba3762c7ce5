"""The live side: a warm process beside the runs, its provisional rows, and what acts on them."""
