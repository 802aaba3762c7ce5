"""A run in a process of its own, and what a store serves after it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.config import settings
from rejse.pipelines.publication import catalogue
from rejse.pipelines.store import delta_store
from tests.support.installation import installation, lines, row

#: Up to when the source is complete at the publication, microseconds.
FIRST = 1_770_000_000_000_000


def run_in_process(
    place: Path, *before: str, limit: Callable[[], None] | None = None
) -> tuple[int, str, str]:
    """`rejse run --json` in a process of its own: exit code, status, message."""
    command = [
        *before, sys.executable, "-m", "rejse.pipelines.cli.main", "run", "-c", str(place),
        "--json", "--complete-until", "crm=2027-01-15",
    ]  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != settings.KEY_VARIABLE}
    if limit is not None:  # under it Python writes compiled modules in part, and trusts them later
        env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.stdout.count("\n") == 1, done.stderr
    return _ended(done.returncode, done.stdout)


def run_here(place: Path, *more: str) -> tuple[int, str, str]:
    """The same in this process, where no limit is to be set."""
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as left:
        main.main(["run", "-c", str(place), "--json", "--complete-until", "crm=2027-01-15", *more])
    return _ended(int(str(left.value.code)), out.getvalue())


def _ended(code: int, out: str) -> tuple[int, str, str]:
    answer = json.loads(out)
    assert answer["exit_code"] == code
    return code, answer["status"], answer.get("message", "")


def served_counts(place: Path) -> list[tuple[object, ...]]:
    """What a reader counts of the current publication."""
    with catalogue.connect(place / "store") as session:
        query = "select count(*), (select max(publication) from publications) from v_steps"
        return list(session.execute(query).fetchall())


def data_file(place: Path, table: str) -> Path:
    latest = delta_store.latest(place / "store")
    assert latest is not None
    (path, *_) = delta_store.files(place / "store", table, delta_store.head(place / "store", table))
    return place / "store" / path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> settings.Settings:
    """One publication, and new files that a second run would read."""
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run

    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        rows = lines([row(n) for n in range(8)])
        installed = installation(folder, {"a.jsonl": rows}, {"crm": f"{folder}/*.jsonl"})
        run(installed, RunRequest(complete_until={"crm": FIRST}, audit=None))
    later = [row(n, time=f"2026-02-{1 + n % 20:02d}T09:00:00Z") for n in range(8, 40)]
    (folder / "b.jsonl").write_text(lines(later))
    return installed


@pytest.fixture
def place(made: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    return Path(shutil.copytree(made.root, tmp_path / "place"))
