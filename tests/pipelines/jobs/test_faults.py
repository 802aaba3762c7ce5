"""A run killed anywhere: readers keep the old publication, the next run ends as if nothing was."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest

from rejse.pipelines.config import settings
from tests.support.installation import installation, lines, row
from tests.support.law import SOAK
from tests.support.paths import ROOT

MOMENTS = 200 if SOAK else 2
RECOVERY_S = 180
Report = dict[str, Any]


def boundaries(n: int) -> list[int]:
    """All boundaries under soak; else the first one, the last one, and some between."""
    some = {0, *random.Random(7).sample(range(1, n - 1), 2), n - 1}
    return list(range(n)) if SOAK else sorted(some)


def moments() -> list[str]:
    """Shares of the undisturbed run's time."""
    draw = random.Random(11)
    return [f"{draw.uniform(0, 1.05):.4f}" for _ in range(MOMENTS)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """What the harness tells: the undisturbed run, then each kill."""
    folder = tmp_path_factory.mktemp("killed")
    first = [row(n) for n in range(24)]
    then = [row(n, time=f"2026-02-{1 + n % 20:02d}T09:00:00Z") for n in range(24, 60)]
    installation(folder, {"a.jsonl": lines(first), "b.later": lines(then)})
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    command = [sys.executable, "-m", "tests.support.faults", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as process:
        assert process.stdin and process.stdout
        whole = json.loads(process.stdout.readline())
        kills = [*map(str, boundaries(len(whole["boundaries"]))), *moments()]
        process.stdin.write(" ".join(kills))
        process.stdin.close()
        killed = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert [report["kill"] for report in killed] == kills
    return [whole, *killed]


def judge(whole: Report, killed: Report) -> bool:
    """Whether the killed run had published already; every promise is held."""
    assert killed["tables"] == whole["tables"], f"kill at {killed['kill']}: other tables"
    assert killed["before"] in (whole["first"], whole["tables"]), "readers see one or the other"
    assert (killed["orphans"], killed["left"]) == (0, [])
    assert killed["seconds"] < RECOVERY_S
    return bool(killed["before"] == whole["tables"])


def test_a_run_killed_at_boundaries_is_as_if_it_had_not_been(reports: list[Report]) -> None:
    whole, *killed = reports
    published = [
        (report["died"], judge(whole, report)) for report in killed if "." not in report["kill"]
    ]
    assert all(died for died, _ in published)
    assert published[0] == (True, False), "nothing was there yet"
    assert published[-1] == (True, True), "only the pointer was to be moved"
    assert killed[0]["n_killed"] == 1, "`runs` tells of the run that was killed"


def test_a_run_killed_at_some_moment_is_as_if_it_had_not_been(reports: list[Report]) -> None:
    whole, *killed = reports
    verdicts = [
        (report["died"], judge(whole, report)) for report in killed if "." in report["kill"]
    ]
    assert len(verdicts) == MOMENTS
    assert any(died for died, _ in verdicts)


def test_the_harness_sees_a_run_that_is_not_whole(reports: list[Report]) -> None:
    """Broken on purpose: were a table lost, the comparison would say so."""
    whole = reports[0]
    assert {"journeys", "steps", "events", "runs", "publications"} <= set(whole["tables"])
    assert whole["first"] != whole["tables"]
    spoilt = {"kill": "0", "before": whole["first"], "tables": {**whole["tables"], "steps": ""}}
    with pytest.raises(AssertionError, match="other tables"):
        judge(whole, spoilt)
