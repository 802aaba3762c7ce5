"""An erasure killed anywhere is finished by the next or by a run, and never half called done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rejse.pipelines.config import settings
from tests.support.law import SOAK
from tests.support.paths import ROOT


def killed(folder: Path, *boundaries: int) -> Iterator[dict[str, Any]]:
    """What the harness tells: the undisturbed erasure, then each that died."""
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    command = [
        sys.executable,
        "-m",
        "tests.support.erasing_faults",
        str(folder),
        *map(str, boundaries),
    ]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        yield from map(json.loads, process.stdout or ())
    assert process.returncode == 0


def test_a_killed_erasure_is_finished_by_the_next_one_or_by_a_run(tmp_path: Path) -> None:
    """All boundaries under soak; else those around the commits, and some between."""
    for name in ("look", "kill"):
        (tmp_path / name).mkdir()
    (whole,) = killed(tmp_path / "look")
    assert (whole["left"], whole["waits"]) == ([], False)
    passed = whole["boundaries"]
    asked, draft, n = passed.index("replace"), passed.index("_written"), len(passed)
    some = {
        0,
        asked,
        asked + 1,
        passed.index("transact"),
        draft,
        draft + 1,
        draft + 2,
        n - 30,
        n - 1,
    }
    reports = killed(tmp_path / "kill", *(range(n) if SOAK else sorted(some)))
    assert next(reports)["others"] == whole["others"]
    for report in reports:
        assert report["waited"] == (report["kill"] > asked), "nothing was begun, or it is known"
        assert (report["left"], report["waits"]) == ([], False), report
        assert report["others"] == whole["others"]
        assert report["publications"] == whole["publications"], "it is published once"
