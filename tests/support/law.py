"""How many examples a law is tried on, by REJSE_SAMPLE: `small` in `make check`, `soak` in
`make soak`, else half of the stated number. These and fewer are the same in every run.
"""

import os

SAMPLE = os.environ.get("REJSE_SAMPLE", "usual")
SOAK = SAMPLE == "soak"
#: Times as many examples as are stated.
TIMES = {"small": 0.1, "usual": 0.5, "soak": 25}[SAMPLE]


def examples(stated: int) -> int:
    """The number of examples where this one is stated; at least one."""
    return max(1, round(stated * TIMES))
