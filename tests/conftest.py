"""Fixtures for all tests, and the one rule by which a test may be skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def absent(reason: str) -> None:
    """Skip the test, or fail it where REJSE_STRICT=1 forbids skipping."""
    if os.environ.get("REJSE_STRICT") == "1":
        pytest.fail(f"{reason} (REJSE_STRICT=1: nothing is skipped)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real logs and hostile files, named by REJSE_DATA."""
    named = os.environ.get("REJSE_DATA")
    if not named:
        absent("REJSE_DATA names no folder with the real data")
    folder = Path(named or "")
    if not folder.is_dir():
        absent(f"REJSE_DATA: expected a folder, {folder} is none")
    return folder.resolve()
