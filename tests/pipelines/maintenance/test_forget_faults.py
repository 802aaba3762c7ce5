"""An erasure killed anywhere is finished by the next or by a run, and never half called done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rejse.pipelines.config import settings
from tests.support.law import SOAK
from tests.support.paths import ROOT


def killed(folder: Path, at: Callable[[list[str]], Iterable[int]]) -> list[dict[str, Any]]:
    """What the harness tells: the undisturbed erasure, then each that died at a boundary."""
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    command = [sys.executable, "-m", "tests.support.erasing_faults", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as process:
        assert process.stdin and process.stdout
        whole = json.loads(process.stdout.readline())
        process.stdin.write(" ".join(map(str, at(whole["boundaries"]))))
        process.stdin.close()
        reports = [whole, *map(json.loads, process.stdout)]
    assert process.returncode == 0
    return reports


def boundaries(passed: list[str]) -> list[int]:
    """All under soak; else those around the request and the commits, and some between."""
    asked, draft, n = passed.index("replace"), passed.index("_written"), len(passed)
    some = {asked, asked + 1, passed.index("transact"), draft + 1, n - 1}
    return list(range(n)) if SOAK else sorted(some)


def test_a_killed_erasure_is_finished_by_the_next_one_or_by_a_run(tmp_path: Path) -> None:
    whole, *reports = killed(tmp_path, boundaries)
    assert (whole["left"], whole["waits"]) == ([], False)
    asked = whole["boundaries"].index("replace")
    assert len(reports) >= 5
    for report in reports:
        assert report["waited"] == (report["kill"] > asked), "nothing was begun, or it is known"
        assert (report["left"], report["waits"]) == ([], False), report
        assert report["others"] == whole["others"]
        assert report["publications"] == whole["publications"], "it is published once"
