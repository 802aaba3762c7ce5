"""A run killed anywhere: readers keep the old publication, the next run ends as if nothing was."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from tests.support.installation import installation, lines, row
from tests.support.law import SOAK
from tests.support.paths import ROOT

MOMENTS = 200 if SOAK else 4
RECOVERY_S = 180


def kills(folder: Path, *wanted: str) -> Iterator[dict[str, Any]]:
    """What the harness tells: the undisturbed run, then each kill."""
    first = [row(n) for n in range(24)]
    then = [row(n, time=f"2026-02-{1 + n % 20:02d}T09:00:00Z") for n in range(24, 60)]
    installation(folder, {"a.jsonl": lines(first), "b.later": lines(then)})
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    command = [sys.executable, "-m", "tests.support.faults", str(folder), *wanted]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        yield from map(json.loads, process.stdout or ())
    assert process.returncode == 0


def judge(whole: dict[str, Any], killed: dict[str, Any]) -> bool:
    """Whether the killed run had published already; every promise is held."""
    assert killed["tables"] == whole["tables"], f"kill at {killed['kill']}: other tables"
    assert killed["before"] in (whole["first"], whole["tables"]), "readers see one or the other"
    assert (killed["orphans"], killed["left"]) == (0, [])
    assert killed["seconds"] < RECOVERY_S
    return bool(killed["before"] == whole["tables"])


def test_a_run_killed_at_boundaries_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    """All boundaries under soak; else the first ones, the last ones, and some between."""
    for name in ("look", "kill"):
        (tmp_path / name).mkdir()
    (whole,) = kills(tmp_path / "look")
    n = len(whole["boundaries"])
    boundaries = list(range(n))
    some = sorted({0, *random.Random(7).sample(boundaries[1:-3], 2), n - 3, n - 1})
    reports = kills(tmp_path / "kill", *map(str, boundaries if SOAK else some))
    whole = next(reports)
    published = [(report["died"], judge(whole, report)) for report in reports]
    assert all(died for died, _ in published)
    assert published[0] == (True, False), "nothing was there yet"
    assert published[-1] == (True, True), "only the pointer was to be moved"


def test_a_run_killed_at_some_moment_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    draw = random.Random(11)
    moments = [f"{draw.uniform(0, 1.05):.4f}" for _ in range(MOMENTS)]
    reports = kills(tmp_path, *moments)
    whole = next(reports)
    verdicts = [(report["died"], judge(whole, report)) for report in reports]
    assert len(verdicts) == MOMENTS
    assert any(died for died, _ in verdicts)


def test_the_harness_sees_a_run_that_is_not_whole(tmp_path: Path) -> None:
    """Broken on purpose: were a table lost, the comparison would say so."""
    (whole,) = kills(tmp_path)
    assert {"journeys", "steps", "events", "runs", "publications"} <= set(whole["tables"])
    assert whole["first"] != whole["tables"]
    spoilt = {"kill": "0", "before": whole["first"], "tables": {**whole["tables"], "steps": ""}}
    with pytest.raises(AssertionError, match="other tables"):
        judge(whole, spoilt)
