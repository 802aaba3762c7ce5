"""A run in a process of its own, and what a store serves after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rejse.pipelines.config import settings
from rejse.pipelines.publication import catalogue
from rejse.pipelines.store import delta_store


def run_in_process(
    place: Path, *before: str, limit: Callable[[], None] | None = None, more: Sequence[str] = ()
) -> tuple[int, str, str]:
    """`rejse run --json` in a process of its own: exit code, status, message."""
    command = [
        *before, sys.executable, "-m", "rejse.pipelines.cli.main", "run", "-c", str(place),
        "--json", "--frontier", "crm=2027-01-15", *more,
    ]  # fmt: skip
    env = {name: said for name, said in os.environ.items() if name != settings.KEY_VARIABLE}
    if limit is not None:  # under it Python writes compiled modules in part, and trusts them later
        env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.stdout.count("\n") == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    return done.returncode, told["status"], told.get("message", "")


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
