"""The command line in this process, and a stand-in for the jobs that it calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.jobs.run import RunResult, Status
from tests.support.installation import KEY

Command = Callable[..., tuple[int, str, str]]


def run_result(status: Status = "published", **given: Any) -> RunResult:
    """What a run returns: some rows of each sort, but for what is given."""
    return RunResult(**{
        "run_id": "r1", "status": status, "publication": 3,
        "counts": {
            "read": 7, "kept": 4, "duplicate": 1, "late": 0, "rejected": 2, "erased": 0,
        },
        "reasons": {"missing_time": 2}, "tables": {"journeys": 2},
        "notes": {"unknown_channel": 5, "unjoined_cases:erp": 1},
        "seconds": 1.25, "unjoined": {"window_passed": 12}, **given,
    })  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rejse.toml").write_text(
        '[sources.web]\nfiles = ["*.csv"]\nmapping = "m.sql"\nschema = "s.json"\n'
    )
    (tmp_path / "rejse.key").write_text(KEY)
    return tmp_path / "rejse.toml"


@pytest.fixture
def rejse(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main.main(list(args))
        out = capsys.readouterr()
        assert KEY not in out.out + out.err
        return int(left.value.code or 0), out.out, out.err

    return call


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, **names: Any) -> None:
    monkeypatch.setitem(sys.modules, f"rejse.pipelines.jobs.{module}", SimpleNamespace(**names))
