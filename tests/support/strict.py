"""The one rule by which a test may be skipped."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """Skip the test, or fail it where REJSE_STRICT=1 forbids skipping."""
    if os.environ.get("REJSE_STRICT") == "1":
        pytest.fail(f"{reason} (REJSE_STRICT=1: nothing is skipped)")
    pytest.skip(reason)
