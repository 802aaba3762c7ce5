"""From an event's arrival to its row in DuckDB: `python -m tests.bench.latency --events 100`.

`rejse live` runs over the synthetic company; one file with one event after the other is renamed
into its folder at a random moment, and a reader opens a session with provisional rows, again and
again, until the row is there. Printed: median, 99th percentile and the longest, in seconds, of
events one at a time, the opening of the session included; and the CPU seconds of all processes of
`live`, its publications and their audits among them, by event.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rejse.pipelines.config import settings
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.pipelines.publication.overlay import connect
from tests.bench.bench import ROOT

#: How often the reader asks, seconds.
ASKED = 0.05


def arrive(folder: Path, number: int) -> str:
    """Put a file with one event in its source's folder, as whole as a rename makes it; its id."""
    event = json.loads((folder / "data" / "web" / "part-0000.jsonl").open().readline())
    event["event_id"] = f"latency-{number}"
    draft = folder / f"latency-{number}.draft"
    draft.write_text(json.dumps(event) + "\n", encoding="utf-8")
    draft.rename(folder / "data" / "web" / f"latency-{number}.jsonl")
    return str(event["event_id"])


def is_visible(store: Path, ident: str) -> bool:
    """Whether a session with provisional rows has the event, be it in time or late."""
    try:
        with connect(store) as con:
            sql = "select 1 from (select id from events union all select id from late) where id = ?"
            return bool(con.execute(sql, [ident]).fetchall())
    except NotPublishedError:
        return False


def latencies(folder: Path, events: int, interval: str) -> tuple[list[float], float]:
    """Seconds from arrival to sight of each event but the first, and CPU seconds of the loop."""
    store, chance, out = settings.load(folder / "rejse.toml").store, random.Random(7), []
    program = [sys.executable, "-m", "rejse.pipelines.cli.main"]
    config = ["--config", str(folder / "rejse.toml")]
    subprocess.run([*program, "run", *config, "--json"], check=True, stdout=subprocess.DEVNULL)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*program, "live", *config, "--publish-every", interval, "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as loop:
        try:
            for number in range(events + 1):
                time.sleep(chance.uniform(0, 2))
                ident, began = arrive(folder, number), time.monotonic()
                while not is_visible(store, ident):
                    if loop.poll() is not None:
                        raise SystemExit(
                            f"expected the loop to run on, it ended: {loop.returncode}"
                        )
                    time.sleep(ASKED)
                out.append(time.monotonic() - began)
        finally:
            loop.send_signal(signal.SIGTERM)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return out[1:], spent  # the first one waits for the loop's start


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--publish-every", default="60s", help="pause between publications")
    arguments = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as place:
        folder, made = Path(place) / "company", [sys.executable, "-m", "rejse.pipelines.cli.main"]
        made += ["demo-data", str(folder), "--customers", str(arguments.customers)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        seconds, spent = latencies(folder, arguments.events, arguments.publish_every)
    median, most = np.percentile(seconds, 50), np.percentile(seconds, 99)
    print(
        f"{len(seconds)} events: median {median:.1f} s, 99th percentile {most:.1f} s,"
        f" longest {max(seconds):.1f} s; CPU of the loop, its start included,"
        f" {spent / (len(seconds) + 1):.1f} s an event"
    )


if __name__ == "__main__":
    main()
