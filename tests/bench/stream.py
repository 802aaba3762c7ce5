"""From a message to its live row in a topic, on Flink: `python -m tests.bench.stream --rate 50`.

`rejse stream` runs on a cluster of one JobManager and two TaskManagers, `rejse live` beside it over
the same topic, both on this machine. Messages, each an event of some customer of a synthetic log,
are produced at a rate; the time in each is that of its production. Printed are median, 99th
percentile and the longest from a message to the first row that has it: of the stream in its topic,
of the hot process in a segment of its overlay. Every half minute: checkpoints, and the size of the
last. At the seconds of `--kills` a TaskManager is killed with its worker pool: the longest time
without a live row after it is printed. At `--restart` the job is stopped and started anew with
another parallelism, from the last publication and offsets. In the end all is published, and the
rows of the topic, folded by their keys, are compared with that.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer

from rejse.pipelines.config import settings
from tests.bench.bench import ROOT
from tests.bench.live_rates import LOOK, PATIENCE, Announced, Company, Seen, watch
from tests.support import flink_cluster, kafka_broker, streams
from tests.support.flink_cluster import Cluster
from tests.support.kafka_topics import Topics

PROGRAM = (sys.executable, "-m", "rejse.pipelines.cli.main")
#: Seconds from one look at the checkpoints to the next.
REPORT = 30.0
#: Seconds in which a job must write its first row.
START = 240.0
LIVE_ROWS = "rejse.live"
#: Seconds without a row after which a stream has nothing to say, and most to wait for that.
QUIET, SETTLED = 15.0, 60.0


@dataclass
class Arrivals:
    """What came in the topic of live rows: seconds of arrival, and the last event of each row."""

    servers: str
    times: list[float] = field(default_factory=list)
    ended: dict[int, float] = field(default_factory=dict)

    def follow(self, is_over: threading.Event) -> None:
        """Read the topic until it is over."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers, "group.id": "bench", "log_level": 0,
                "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10,
            }
        )  # fmt: skip
        consumer.subscribe([LIVE_ROWS])
        while not is_over.is_set():
            for message in consumer.consume(1000, timeout=0.05):
                now = time.time()
                if message.error() is None:
                    self.times.append(now)
                    if (value := message.value()) is not None:
                        last = datetime.fromisoformat(json.loads(value)["ended_at"])
                        self.ended.setdefault(round(last.timestamp() * 1e6), now)
        consumer.close()

    def latencies(self, seen: Seen, since: float, until: float) -> Any:
        """Seconds from messages of some time to the first row that ends with them."""
        took = [
            self.ended[key] - at
            for at in seen.produced
            if since <= at < until and (key := round(at * 1e6)) in self.ended
        ]
        return np.array(took)

    def silence(self, since: float, until: float) -> float:
        """The longest time without a row in some time."""
        inside = [at for at in self.times if since <= at < until]
        return float(np.diff([since, *inside, until]).max())


@contextmanager
def streaming(
    cluster: Cluster, company: Company, servers: str, parallelism: int, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `rejse stream` on the cluster."""
    options = [
        *cluster.options(parallelism), "--checkpointing_interval=10000",
        "--max_bundle_time_mills=50",
    ]  # fmt: skip
    command = [
        *PROGRAM, "stream", "--config", str(company.folder / "rejse.toml"), "--servers", servers,
        "--live-rows", LIVE_ROWS, "--groups", "4", "--", *options,
    ]  # fmt: skip
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out) as job:
        try:
            yield job
        finally:
            job.send_signal(signal.SIGTERM)


def checkpoints(url: str) -> Mapping[str, Any]:
    """What Flink says of the checkpoints of the job that runs."""
    jobs = running_jobs(url)
    if not jobs:
        return {"state": "no job runs"}
    with urllib.request.urlopen(f"{url}/jobs/{jobs[0]}/checkpoints", timeout=10) as answer:
        answered = json.load(answer)
    last = answered["latest"]["completed"] or {}
    return {
        "completed": answered["counts"]["completed"], "failed": answered["counts"]["failed"],
        "KB": round(last.get("state_size", 0) / 1e3), "ms": last.get("end_to_end_duration", 0),
    }  # fmt: skip


def running_jobs(url: str) -> list[str]:
    """The jobs that Flink runs."""
    with urllib.request.urlopen(f"{url}/jobs", timeout=10) as answer:
        jobs = json.load(answer)["jobs"]
    return [job["id"] for job in jobs if job["status"] in ("RUNNING", "CANCELLING", "RESTARTING")]


def cancel(url: str) -> None:
    """Cancel what runs, and wait for its end: Beam's job server may leave a job in Flink."""
    for job in running_jobs(url):
        urllib.request.urlopen(
            urllib.request.Request(f"{url}/jobs/{job}?mode=cancel", method="PATCH"), timeout=10
        ).close()
    while running_jobs(url):
        time.sleep(LOOK)


def shown(name: str, took: Any) -> str:
    """Percentiles of seconds."""
    if not len(took):
        return f"{name}: none"
    p50, p99, most = np.percentile(took, (50, 99, 100))
    return f"{name}: p50 {p50:.2f} s, p99 {p99:.2f} s, most {most:.2f} s of {len(took):,} messages"


def produce(company: Company, seen: Seen, rate: float, enough: threading.Event) -> None:
    """Produce messages at a rate until there are enough."""
    while not enough.is_set():
        company.produce(seen, rate, seconds=1)


def wait_for_rows(rows: Arrivals, since: float, job: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a job has written a row. Raises RuntimeError where it does not."""
    end = time.time() + START
    while not any(at > since for at in reversed(rows.times)):
        if job.poll() is not None or time.time() > end:
            raise RuntimeError(log.read_text()[-3000:])
        time.sleep(LOOK)


def measure(
    cluster: Cluster, company: Company, servers: str, given: argparse.Namespace, log: Path
) -> None:
    """Run both at a rate, and print what was measured."""
    seen, is_over, rows = Seen(company.next_id), threading.Event(), Arrivals(servers)
    threads = [
        threading.Thread(target=rows.follow, args=(is_over,), daemon=True),
        threading.Thread(
            target=watch,
            args=(seen, "announced", Announced(company.store).look, LOOK, is_over),
            daemon=True,
        ),
    ]
    kills, restart = sorted(given.kills), given.restart
    with contextlib.ExitStack() as stack:
        stack.callback(is_over.set)
        stack.enter_context(company.live(given.publish_every))
        first = stack.enter_context(contextlib.ExitStack())
        job = first.enter_context(streaming(cluster, company, servers, 2, log))
        for thread in threads:
            thread.start()
        enough = threading.Event()
        producer = threading.Thread(
            target=produce, args=(company, seen, given.rate, enough), daemon=True
        )
        producer.start()
        begun = time.time()
        wait_for_rows(rows, begun, job, log)
        print(f"first live row after {time.time() - begun:.0f} s", flush=True)
        start, reported = time.time() + given.lead, 0.0
        marks: list[tuple[str, float]] = []
        while (passed := time.time() - start) < given.seconds:
            if kills and passed >= kills[0]:
                number = 1 + len(marks) % 2
                marks.append((f"TaskManager {number} killed", time.time()))
                cluster.kill(f"tasks{number}")
                cluster.kill(f"pool{number}")
                kills.pop(0)
            if restart is not None and passed >= restart:
                marks.append(("stopped, started with parallelism 1", time.time()))
                restart = None
                first.close()
                job.wait()
                cancel(cluster.url)
                job = first.enter_context(streaming(cluster, company, servers, 1, log))
            if time.time() - reported > REPORT:
                reported = time.time()
                with contextlib.suppress(OSError):
                    print(f"{passed:.0f} s: {checkpoints(cluster.url)}", flush=True)
            if job.poll() is not None:
                raise RuntimeError(log.read_text()[-3000:])
            time.sleep(0.2)
        until = time.time()
        enough.set()
        producer.join()
        calm = marks[0][1] if marks else until
        print(shown("stream", rows.latencies(seen, start, calm)))
        hot = seen.first.get("announced", {})
        took = [at - seen.produced[n] for n, at in hot.items() if start <= seen.produced[n] < calm]
        print(shown("hot process", np.array(took)))
        ends = [*(at for _, at in marks[1:]), until][: len(marks)]
        for (name, at), end in zip(marks, ends, strict=True):
            print(f"{name}: {rows.silence(at, end):.1f} s without a live row", flush=True)
        # All is published once more, and the stream sees that.
        given_up = time.time() + SETTLED + PATIENCE
        while (
            time.time() < given_up and time.time() - max(until + PATIENCE, rows.times[-1]) < QUIET
        ):
            time.sleep(LOOK)
        cancel(cluster.url)
    for thread in threads:
        thread.join()


def main(words: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of the store")
    parser.add_argument("--rate", type=float, default=50, help="messages a second")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--lead", type=float, default=15, help="first seconds, not counted")
    parser.add_argument("--kills", type=float, nargs="*", default=[], help="seconds")
    parser.add_argument("--restart", type=float, help="second")
    parser.add_argument("--publish-every", default="60s", help="pause between publications")
    given = parser.parse_args(words)
    (ROOT / "build").mkdir(exist_ok=True)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with (
        flink_cluster.running() as cluster,
        tempfile.TemporaryDirectory(dir=ROOT / "build", ignore_cleanup_errors=True) as place,
    ):
        cluster.hub.enter()
        with kafka_broker.running(address=cluster.hub.address) as broker:
            company = Company(Path(place) / "company", given.events, broker.servers)
            Topics(broker.servers).make(2, LIVE_ROWS)
            log = Path(place) / "log"
            before = streams.published_rows(settings.load(company.folder / "rejse.toml"))
            measure(cluster, company, broker.servers, given, log)
            subprocess.run(
                [*PROGRAM, "run", "--config", str(company.folder / "rejse.toml"), "--json"],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            final = streams.published_rows(settings.load(company.folder / "rejse.toml"))
            records = streams.consumed(broker.servers, LIVE_ROWS)
            rows = streams.folded(before, records)
            differing = [
                key for key in rows.keys() | final.keys() if rows.get(key) != final.get(key)
            ]
            print(
                f"{len(records):,} messages of {len({r.key for r in records}):,} journeys; folded:"
                f" {len(rows):,} live rows, {len(final):,} published, {len(differing):,} differ"
            )


if __name__ == "__main__":
    main()
