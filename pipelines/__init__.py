"""Programs: the Beam edge, the store and the command line."""
