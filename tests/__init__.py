"""Tests, in processes whose matrices are too small for more than one thread."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported
