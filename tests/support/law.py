"""How many examples a law is tried on, by REJSE_SAMPLE: `small` in `make check`, `soak` in
`make soak`, else the usual number. The usual ones and fewer are the same in every run.
"""

import os

SAMPLE = os.environ.get("REJSE_SAMPLE", "usual")
SOAK = SAMPLE == "soak"
#: Times as many examples as usual.
TIMES = {"small": 0.1, "usual": 1, "soak": 25}[SAMPLE]


def examples(usual: int) -> int:
    """The number of examples where it is usually this one; at least one."""
    return max(1, round(usual * TIMES))
