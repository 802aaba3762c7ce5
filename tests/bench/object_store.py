"""What a store on an object store costs: `python -m tests.bench.object_store --customers 2000`.

The synthetic company is published in a folder and on the S3 server of the tests, which runs on this
machine: a first publication, one of a single new event, a run that finds nothing new, a question
and the status. Printed: seconds of each command in both, and its requests. A request to a real
object store takes some 20 to 100 ms longer; eight are under way at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support import s3_server

COUNT = "select count(*), round(avg(friction_score), 3) from journeys"
STEPS: dict[str, list[str]] = {
    "first publication": ["run", "--complete"],
    "one new event": ["run"],
    "nothing new": ["run"],
    "a question": ["sql", COUNT],
    "the status": ["status"],
}


def command(folder: Path, words: list[str]) -> tuple[float, str]:
    """Seconds that a command takes, and what it prints."""
    began = time.perf_counter()
    program = [sys.executable, "-m", "rejse.pipelines.cli.main"]
    done = subprocess.run(
        [*program, *words, "--config", str(folder)], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began, done.stdout


def arrive(folder: Path) -> None:
    """One new event of one customer."""
    event = json.loads((folder / "data" / "web" / "part-0000.jsonl").open().readline())
    event["event_id"] = "another"
    (folder / "data" / "web" / "another.jsonl").write_text(json.dumps(event) + "\n")


def measured(
    folder: Path, asked: Callable[[], Counter[str]]
) -> dict[str, tuple[float, Counter[str], str]]:
    """Seconds, requests and answer by step."""
    out = {}
    for name, words in STEPS.items():
        if name == "one new event":
            arrive(folder)
        before = asked()
        seconds, answer = command(folder, words)
        out[name] = (seconds, asked() - before, answer)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2000)
    customers = parser.parse_args().customers
    with tempfile.TemporaryDirectory() as name, s3_server.running() as environment:
        os.environ.update(environment, XDG_CACHE_HOME=f"{name}/cache")
        folders = [Path(name) / form for form in ("folder", "objects")]
        for folder in folders:
            program = [sys.executable, "-m", "rejse.pipelines.cli.main", "demo-data", str(folder)]
            subprocess.run([*program, "--customers", str(customers)], check=True, stdout=2)
        config = folders[1] / "rejse.toml"
        place = f'store = {{ path = "s3://{s3_server.BUCKET}/bench", local = "near" }}'
        config.write_text(config.read_text().replace('store = "store"', place))
        here, there = (measured(f, lambda: s3_server.requests(environment)) for f in folders)
    assert here["a question"][2] == there["a question"][2], "expected the same answer of both"
    print(f"{'':18} {'folder':>8} {'objects':>8}  requests")
    for step, (seconds, _, _) in here.items():
        longer, requests, _ = there[step]
        listed = ", ".join(f"{n} {method}" for method, n in sorted(requests.items()))
        print(f"{step:18} {seconds:7.2f}s {longer:7.2f}s  {requests.total()}: {listed}")


if __name__ == "__main__":
    main()
