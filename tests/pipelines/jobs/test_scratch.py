"""The progress of a run: what all its processes have said, wherever they work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rejse.pipelines.jobs import scratch

CHILD = """\
import pathlib, sys
from rejse.pipelines.jobs import scratch
scratch.report(pathlib.Path(sys.argv[1]), "read", 5)
"""


def test_processes_are_added_up(tmp_path: Path) -> None:
    scratch.report(tmp_path, "read", 1_000)
    scratch.report(tmp_path, "scored", 7)
    scratch.report(tmp_path, "read", 30)
    for _ in range(2):
        subprocess.run([sys.executable, "-c", CHILD, tmp_path], check=True)
    assert scratch._so_far(tmp_path, 0) == "1,040 rows read, 7 events scored"


def test_a_run_that_has_ended_takes_no_report(tmp_path: Path) -> None:
    """A job of a cluster that outlives its run ends by it."""
    folder = tmp_path / "run"
    folder.mkdir()
    scratch.report(folder, "read", 1)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        scratch.report(folder, "read", 1)
