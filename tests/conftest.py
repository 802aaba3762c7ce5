"""Fixtures for all tests, and the one rule by which a test may be skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import company
from tests.support.company import Told
from tests.support.law import FACTOR

# No test is timed: on a busy machine an example may take long. Examples are the same in every run;
# the soak looks for new ones.
settings.register_profile("rejse", deadline=None, derandomize=FACTOR == 1)
settings.load_profile("rejse")


# What tests write, such as keys, nobody else can read; tests of modes set their own mask.
os.umask(0o077)


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


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The synthetic company with its stories, run once for all tests that look at it."""
    folder = tmp_path_factory.mktemp("stories") / "company"
    with company.running(folder, company.company(folder)) as found:
        yield found
