"""Folders of the repository that tests look into, and its files."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
#: What is installed, as `rejse.<folder>`.
FOLDERS = ("pipelines", "transforms", "expectations", "sql")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TEST_MODULES = sorted(TESTS.rglob("*.py"))
SQL = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.sql"))


def name_of(path: Path) -> str:
    """A file's path from the root of the repository, as tests are called by it."""
    return path.relative_to(ROOT).as_posix()
