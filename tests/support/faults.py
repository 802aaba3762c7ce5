"""Runs that die, each in a process of its own: at a boundary, or at some moment.

A process that uses neither engine nor store itself forks every run, so that each is as fresh as
one of a scheduler, and cheap. `python -m tests.support.faults FOLDER` prints a line of JSON about
the undisturbed run, reads kills from standard input, then prints a line about each: a number is a
boundary (before its call), a share such as 0.25 the moment after that share of the undisturbed
run's time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.store import delta_store, staging
from rejse.transforms import published_tables

DEAD = 137
#: Everything after which the disk is another than before: a file, a commit, a rename.
BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (delta_store, "transact"), (catalogue_build, "build"), (catalogue, "activate"),
    (Path, "replace"), (staging._File, "close"),
)  # fmt: skip
#: What two runs over the same input may differ in: clocks, and names made from them.
OWN = ("known_at", "run_id", "started_at", "finished_at", "published_at")
#: January's events leave journeys open; all are closed when February's have come.
FIRST, THEN = 1_770_000_000_000_000, 1_800_000_000_000_000


def counted(at: int | None = None, boundaries: Sequence[tuple[Any, str]] = BOUNDARIES) -> list[str]:
    """Names of the boundaries that this process passes from now on; it dies before number `at`."""
    passed: list[str] = []

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **given: Any) -> Any:
            if len(passed) == at:
                os._exit(DEAD)
            passed.append(name)
            return function(*args, **given)

        return step

    for owner, name in boundaries:
        setattr(owner, name, watched(name, getattr(owner, name)))
    return passed


def forked(work: Callable[[], Any]) -> Any:
    """What `work` returns (as JSON can hold it) in a process of its own; None where that died."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        try:
            with os.fdopen(theirs, "w") as out:
                out.write(json.dumps(work()))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, DEAD, -signal.SIGALRM):
        raise RuntimeError(f"expected a run that ends, or dies as asked for; came exit code {code}")
    return json.loads(text) if code == 0 else None


def contents(root: Path) -> dict[str, str]:
    """A hash of each table of the current publication, but for what every run has of its own."""
    hashes = {}
    with catalogue.connect(root) as session:
        tables = published_tables.names()
        for name in tables:
            columns = [row[0] for row in session.execute(f"describe {name}").fetchall()]
            own = (*OWN, "versions") if name == "publications" else OWN
            kept = [f'"{c}"' for c in columns if c not in own or (name, c) in KEPT]
            rows = session.execute(
                f"select {', '.join(kept)} from ({LASTING.get(name, f'from {name}')}) order by all"
            ).fetchall()
            hashes[name] = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    return hashes


#: Tables that keep attempts which failed, without these.
LASTING = {
    "runs": "from runs where publication is not null",
    "publications": "select * replace (map_from_entries(list_filter(map_entries(rows),"
    " lambda entry: entry.key != 'runs')) as rows) from publications",
}
#: Columns that bear such a name and are no clock of a run.
KEPT = {(name, "started_at") for name in ("journeys", "journeys_live", "steps", "steps_live")}


def once(installed: settings.Settings, complete_until: int = THEN) -> None:
    """One run over what lies there."""
    run(installed, RunRequest(complete_until={"crm": complete_until}, audit=None))


def undisturbed(installed: settings.Settings) -> dict[str, Any]:
    """The run as it should be: its boundaries, its time and what it publishes."""
    passed, began = counted(), time.monotonic()
    once(installed)
    took = time.monotonic() - began
    return {"boundaries": passed, "seconds": took, "tables": contents(installed.store)}


def disturbed(installed: settings.Settings, kill: str, seconds: float) -> None:
    """The run, which dies at a boundary or a moment."""
    if "." in kill:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process as kill -9 does
        signal.setitimer(signal.ITIMER_REAL, max(float(kill) * seconds, 1e-6))
    else:
        counted(int(kill))
    once(installed)


def recovered(installed: settings.Settings) -> dict[str, Any]:
    """The run after a kill: what readers saw before it, what it publishes, what is left over."""
    before, began = contents(installed.store), time.monotonic()
    once(installed)
    took = time.monotonic() - began
    with catalogue.connect(installed.store) as session:
        sql = "select count(*) from runs where status = 'killed'"
        ((n_killed,),) = session.execute(sql).fetchall()
    with delta_store.writing(installed.store):
        orphans = len(delta_store.remove_orphans(installed.store))
    left = [
        p.name
        for p in installed.store.iterdir()
        if p.name.startswith(".scratch") or "making" in p.name
    ]
    return {
        "before": before, "seconds": took, "tables": contents(installed.store),
        "orphans": orphans, "left": left, "n_killed": n_killed,
    }  # fmt: skip


def main(folder: Path) -> None:
    """Publish `folder` once, let `b.later` come, and kill the run over both again and again."""
    installed = settings.load(folder)
    forked(lambda: once(installed, FIRST))
    first = forked(lambda: contents(installed.store))
    (folder / "b.later").rename(folder / "b.jsonl")

    def copied() -> settings.Settings:
        place = folder / "scenario"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(installed.store, place)
        return installed.model_copy(update={"store": place})

    whole = forked(lambda: undisturbed(copied()))
    print(json.dumps({"first": first, **whole}), flush=True)
    for kill in sys.stdin.read().split():
        copy = copied()
        survived = forked(
            lambda copy=copy, kill=kill: disturbed(copy, kill, whole["seconds"]) or True
        )
        recovery = forked(lambda copy=copy: recovered(copy))
        print(json.dumps({"kill": kill, "died": survived is None, **recovery}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))


def spoil_scores(
    self: staging.Stage, name: str, table: pa.Table, add: Callable[..., Any] = staging.Stage.add
) -> Any:
    """In the place of `Stage.add`: journeys have a score that no journey can have."""
    if name.startswith("journeys"):
        place = table.schema.get_field_index("friction_score")
        wrong = pa.array([123.0] * table.num_rows, pa.float64())
        table = table.set_column(place, table.schema.field(place), wrong)
    return add(self, name, table)
