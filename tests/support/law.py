"""How many examples a law is tried on: a seeded sample in `make test`, many more in `make soak`."""

import os

#: Times as many examples in the soak.
FACTOR = 25 if os.environ.get("REJSE_SOAK") == "1" else 1
