"""The worked examples: cron by a shell, units by their parser, the DAG by a real Airflow."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.cli import maintain, run
from rejse.pipelines.cli.exit_codes import TERMINATED
from rejse.pipelines.config import settings
from rejse.pipelines.publication import catalogue
from rejse.pipelines.store import delta_store
from tests.support.installation import installation, lines, row
from tests.support.paths import ROOT
from tests.support.strict import absent

SCHEDULES = ROOT / "pipelines" / "schedules"
AIRFLOW = Path(os.environ.get("REJSE_AIRFLOW", ROOT / ".airflow"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "place").mkdir()
    return installation(tmp_path / "place", {"a.jsonl": lines([row(0), row(4)])})


def stand_in(folder: Path, code: int) -> Path:
    """A folder with a command `rejse` that writes its arguments and ends with a code."""
    folder.mkdir(exist_ok=True)
    script = folder / "rejse"
    script.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(folder / "told"))}\nexit {code}\n')
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (75, 0), (1, 1), (2, 1)])
def test_cron_lines_fail_where_somebody_must_look(tmp_path: Path, code: int, ends: int) -> None:
    place = stand_in(tmp_path / "bin", code)
    text = (SCHEDULES / "rejse.cron").read_text().replace("/var/log/rejse", str(tmp_path))
    jobs = [line.split(None, 6) for line in text.splitlines() if line[:1].isdigit()]
    env = {"PATH": f"{place}:/usr/bin:/bin", "CONFIG": "c.toml"}
    for *_, user, command in jobs:
        assert user == "rejse"
        done = subprocess.run(["/bin/sh", "-c", command], env=env, check=False)
        assert done.returncode == ends
    commands = (place / "told").read_text().splitlines()
    assert commands == [f"{name} --config c.toml --json" for name in ("run", "compact", "vacuum")]
    assert {run.run.__name__, maintain.compact.__name__, maintain.vacuum.__name__} == {
        line.split()[0] for line in commands
    }


def test_units_call_the_same_and_take_75_for_no_failure() -> None:
    service = unit("rejse.service")["Service"]
    program, *args = shlex.split(service["ExecStart"])
    assert Path(program).name == "rejse"
    assert args == ["run", "--config", "/etc/rejse/rejse.toml", "--json"]
    assert service["SuccessExitStatus"] == "75"
    assert unit("rejse.timer")["Timer"]["OnCalendar"]


def test_the_unit_of_the_service_is_watched_and_starts_again() -> None:
    service = unit("rejse-live.service", strict=False)["Service"]
    program, *args = shlex.split(service["ExecStart"])
    assert (Path(program).name, args[0]) == ("rejse", run.live.__name__)
    assert (service["Type"], service["Restart"]) == ("notify", "on-failure")
    assert service["SuccessExitStatus"] == str(TERMINATED)
    assert service["WatchdogSec"]


def unit(name: str, strict: bool = True) -> configparser.ConfigParser:
    """A unit of systemd; one that is not strict may set a name several times."""
    parser = configparser.ConfigParser(interpolation=None, strict=strict)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(SCHEDULES / name)
    return parser


def _airflow(home: Path, place: Path) -> dict[str, str]:
    """Environment of an Airflow of the test's own: no example, no network, SQLite."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    own = f"{AIRFLOW / 'bin'}:{Path(sys.executable).parent}:{kept['PATH']}"
    return {
        **kept, "PATH": own, "HOME": str(home), "AIRFLOW_HOME": str(home),
        "REJSE_CONFIG": str(place), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"), "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API__PORT": "18793", "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://127.0.0.1:18793/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of this test only, and long enough for its digest",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"), "NO_PROXY": "*",
    }  # fmt: skip


@contextmanager
def _server(
    env: dict[str, str], *args: str, stdout: Any = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A part of Airflow, until the test has seen what it waits for; `said` takes its output."""
    with subprocess.Popen(
        [str(AIRFLOW / "bin" / "airflow"), *args],
        env=env,
        text=True,
        start_new_session=True,
        stdout=stdout,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until(process: subprocess.Popen[str], *words: str) -> str:
    """Read what a server says until a line has all words; its end is a failure."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if all(word in line for word in words):
            return line
    raise AssertionError("expected " + " ".join(words) + ", came:\n" + "".join(seen[-40:]))


def _drain(process: subprocess.Popen[str]) -> None:
    for _ in process.stdout or ():
        pass


def test_a_real_scheduler_runs_the_dag(tmp_path: Path, project: settings.Settings) -> None:
    if not (AIRFLOW / "bin" / "airflow").exists():
        absent(f"no Airflow in {AIRFLOW}: make .airflow/ready, or name one by REJSE_AIRFLOW")
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    shutil.copy(SCHEDULES / "airflow_dag.py", home / "dags")
    env = _airflow(home, project.root)
    subprocess.run(
        [str(AIRFLOW / "bin" / "airflow"), "db", "migrate"],
        env=env,
        check=True,
        capture_output=True,
    )
    with ExitStack() as servers:
        api = servers.enter_context(_server(env, "api-server", "--workers", "1"))
        _until(api, "Application startup complete")
        # What nobody reads would fill its pipe and halt it.
        threading.Thread(target=_drain, args=(api,), daemon=True).start()
        servers.enter_context(_server(env, "dag-processor", stdout=subprocess.DEVNULL))
        scheduler = servers.enter_context(_server(env, "scheduler", "--skip-serve-logs"))
        _until(scheduler, "Marking run", "DagRun rejse @")
        # The line comes before the commit; the command starts long after it.
        listed = subprocess.run(
            [str(AIRFLOW / "bin" / "airflow"), "dags", "list-runs", "rejse", "--output", "json"],
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
    (only,) = json.loads(listed.stdout[listed.stdout.index("[{") :])
    assert (only["state"], only["run_id"].startswith("scheduled__")) == ("success", True)
    assert catalogue.current(project.store) == 1
    newest = delta_store.latest(project.store)
    assert newest is not None and newest.counts["read"] == 2
