"""From a message to its row in DuckDB: `python -m tests.bench.live_rates --rates 20 200`.

`rejse live` runs over a store of a synthetic log and a topic of a broker on this machine. Messages,
each an event of some customer of the log, are produced at a rate; the time in each is that of its
production. Two watch: one reads each segment that the overlay's manifest names (announced), the
other opens a session with provisional rows each second (in a session: up to a second later).
Printed for each rate: median, 99th percentile and the longest of both, in seconds, of messages
after the first seconds, and the longest of those before, which meet a core that has read nothing
yet; of the hot process the CPU seconds, as a share of a core, and its memory at the start and at
the end. Rate 0 is an idle one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from confluent_kafka import Producer

from rejse.pipelines.publication import overlay
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.pipelines.store import parquet_files
from rejse.pipelines.store.traces import OVERLAY
from rejse.transforms.columnar.arrays import Ints, values
from tests.bench.bench import ROOT
from tests.bench.log.write import DONE, write
from tests.support import kafka_broker
from tests.support.kafka_topics import Topics

PROGRAM = (sys.executable, "-m", "rejse.pipelines.cli.main")
PARTITIONS = 4
SOURCE = """
[sources.stream]
topic = "{topic}"
servers = "{servers}"
mapping = "mappings/events.sql"
schema = "schemas/events.json"
"""
#: Events of the log that are produced again, under an id and a time of their own.
SAMPLE = 20_000
#: Ids of produced messages begin here: above those of the log.
FIRST = 10**15
#: Seconds between two looks of the watchers, and from one send to the next.
LOOK, SEND = 0.005, 0.01
#: Seconds from one session to the next: without a pause sessions would take a core.
SESSION_PAUSE = 1.0
#: Seconds after the last message in which all must be seen.
PATIENCE = 60.0


@dataclass
class Seen:
    """When each message was produced and when it was first seen, in seconds; nan: not yet.

    `begin` is the id of the first message.
    """

    begin: int = FIRST
    produced: list[float] = field(default_factory=list)
    first: dict[str, dict[int, float]] = field(default_factory=dict)

    def note(self, watcher_name: str, ids: Ints) -> None:
        """Let these have been seen now."""
        now, seen = time.time(), self.first.setdefault(watcher_name, {})
        for number in (ids[ids >= self.begin] - self.begin).tolist():
            seen.setdefault(number, now)

    def latencies(self, watcher_name: str, lead: float) -> tuple[Ints, Ints]:
        """Seconds from production to sight: of messages of the first `lead` seconds, and later."""
        seen, begun = self.first.get(watcher_name, {}), self.produced[0] + lead
        took = np.array([(self.produced[number], at) for number, at in seen.items()]).reshape(-1, 2)
        is_early = took[:, 0] < begun
        seconds = took[:, 1] - took[:, 0]
        return seconds[is_early], seconds[~is_early]


class Company:
    """A store of so many events and a topic; `rejse live` runs over both."""

    def __init__(self, folder: Path, events: int, servers: str) -> None:
        self.folder, self.store, self._servers = folder, folder / "store", servers
        if not (folder / DONE).exists():
            write(folder, events)
        configuration = (folder / "rejse.toml").read_text().partition("\n[sources.stream]")[0]
        self.topic = Topics(servers).make(PARTITIONS, f"live-{os.getpid()}")
        (folder / "rejse.toml").write_text(
            configuration + SOURCE.format(topic=self.topic, servers=servers)
        )
        self._config = ("--config", str(folder / "rejse.toml"))
        self._run("run", "--complete", "--json")
        files = folder / "data" / "*.parquet"
        query = f"from '{files}' using sample reservoir({SAMPLE} rows) repeatable (7)"
        self._events = duckdb.sql(f"select * exclude (id, time) from ({query})").fetchall()
        self.next_id = FIRST  # a rate must not repeat the ids of another: they are duplicates
        self._columns = [c for c in duckdb.sql(query).columns if c not in ("id", "time")]

    def _run(self, *arguments: str) -> None:
        subprocess.run([*PROGRAM, *arguments, *self._config], check=True, stdout=subprocess.DEVNULL)

    @contextmanager
    def live(self, publish_every: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `rejse live`."""
        command = [*PROGRAM, "live", *self._config, "--publish-every", publish_every]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as loop:
            try:
                yield loop
            finally:
                loop.send_signal(signal.SIGTERM)

    def produce(self, seen: Seen, rate: float, seconds: float) -> None:
        """Produce messages at a rate for some time."""
        producer = Producer({"bootstrap.servers": self._servers, "linger.ms": 2})
        began, n = time.time(), 0
        while (passed := time.time() - began) < seconds:
            while n < rate * passed:
                producer.produce(self.topic, self._message(seen))
                n += 1
            producer.poll(0)
            time.sleep(SEND)
        producer.flush()

    def _message(self, seen: Seen) -> bytes:
        number = len(seen.produced)
        event = self._events[number % len(self._events)]
        now = time.time()
        seen.produced.append(now)
        row = {name: v for name, v in zip(self._columns, event, strict=True) if v is not None}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{now % 1:.6f}Z"[2:]
        row |= {"id": seen.begin + number, "time": stamp.replace("Z", "+00:00")}
        return json.dumps(row, default=str).encode()


class Announced:
    """Sees messages in the segments that a manifest names."""

    def __init__(self, store: Path) -> None:
        self._store, self._read = store, frozenset[str]()

    def look(self) -> Ints:
        """Ids in the segments that were not read before."""
        at = overlay.base(self._store)
        files = {
            file
            for segment in ([] if at is None else overlay.segments(self._store, at))
            for name in ("events", "late")
            for file in segment.get(name, ())
        }
        new, self._read = files - self._read, frozenset(files)
        return _ids([_column(self._store / file) for file in new])


class InSession:
    """Sees messages in sessions with provisional rows, each opened anew."""

    def __init__(self, store: Path, since: float) -> None:
        self._store, self._since = store, since

    def look(self) -> Ints:
        """Ids of all messages that a session has."""
        sql = (
            f"select id from events where source = 'stream' and time >= to_timestamp({self._since})"
        )
        with overlay.connect(self._store) as con:
            return _ids([con.sql(sql).to_arrow_table().column("id")])


def _column(file: Path) -> Any:
    return parquet_files.rows(file, ["id"]).column("id")


def _ids(columns: Sequence[Any]) -> Ints:
    plain = [column.cast(pa.string()).cast(pa.int64()) for column in columns]
    return np.concatenate([np.zeros(0, np.int64), *(values(column) for column in plain)])


def watch(
    seen: Seen, watcher_name: str, look: Callable[[], Ints], pause: float, is_over: threading.Event
) -> None:
    """Look again and again until it is over."""
    while not is_over.is_set():
        # A segment is replaced now and then.
        with contextlib.suppress(FileNotFoundError, duckdb.Error, NotPublishedError):
            seen.note(watcher_name, look())
        time.sleep(pause)


@dataclass(frozen=True)
class Usage:
    """CPU seconds and resident megabytes of a process (Linux)."""

    cpu: float
    memory: float

    @classmethod
    def of(cls, process: int) -> Usage:
        """Read it of a process."""
        ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return cls(
            sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
            pages * resource.getpagesize() / 1e6,
        )


def hot_process(loop: int) -> int:
    """The hot process of a loop."""
    while True:
        for child in Path(f"/proc/{loop}/task/{loop}/children").read_text().split():
            if "hot_process" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        time.sleep(LOOK)


def measure(
    company: Company, rate: float, seconds: float, lead: float, publish_every: str
) -> Mapping[str, Any]:
    """Run live at a rate, and return what was measured."""
    overlay.remove(company.store)
    seen, is_over, began = Seen(company.next_id), threading.Event(), time.time()
    with company.live(publish_every) as loop:
        hot = hot_process(loop.pid)
        while not (company.store / OVERLAY).is_dir():
            time.sleep(LOOK)
        warm = time.time() - began
        looks = {"announced": (Announced(company.store).look, LOOK),
                 "session": (InSession(company.store, began).look, SESSION_PAUSE)}  # fmt: skip
        watchers = [
            threading.Thread(
                target=watch, args=(seen, watcher_name, look, pause, is_over), daemon=True
            )
            for watcher_name, (look, pause) in looks.items() if rate
        ]  # fmt: skip
        for watcher in watchers:
            watcher.start()
        before = Usage.of(hot)
        samples: list[float] = []
        sampler = threading.Thread(target=_sample, args=(samples, hot, is_over), daemon=True)
        sampler.start()
        if rate:
            company.produce(seen, rate, seconds)
        else:
            time.sleep(seconds)
        spent = Usage.of(hot).cpu - before.cpu
        company.next_id += len(seen.produced)
        end = time.time() + PATIENCE
        while time.time() < end and any(len(seen.first.get(w, ())) < len(seen.produced)
                                        for w in looks if rate):  # fmt: skip
            time.sleep(LOOK)
        is_over.set()
        after = Usage.of(hot)
        for watcher in watchers:
            watcher.join()
    out: dict[str, Any] = {
        "rate": rate, "messages": len(seen.produced), "warm s": warm,
        "CPU %": 100 * spent / seconds, "MB at start": before.memory, "MB at end": after.memory,
        "MB at most": max(samples),
    }  # fmt: skip
    for watcher_name in looks if rate else ():
        early, took = seen.latencies(watcher_name, lead)
        out[f"{watcher_name} most at first"] = early.max(initial=0)
        for name, share in (("p50", 50), ("p99", 99), ("most", 100)):
            out[f"{watcher_name} {name}"] = np.percentile(took, share) if len(took) else np.nan
        out[f"{watcher_name} unseen"] = len(seen.produced) - len(early) - len(took)
    return out


def _sample(samples: list[float], process: int, is_over: threading.Event) -> None:
    while not is_over.wait(1):
        samples.append(Usage.of(process).memory)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="of the store")
    parser.add_argument("--rates", type=float, nargs="+", default=[0, 20, 200, 2_000, 10_000])
    parser.add_argument("--seconds", type=float, default=60, help="of each rate")
    parser.add_argument("--lead", type=float, default=15, help="first seconds of each, shown apart")
    parser.add_argument("--publish-every", default="60s", help="pause between publications")
    parser.add_argument("--folder", type=Path, help="of the company, to use it again")
    arguments = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with (
        kafka_broker.running() as broker,
        tempfile.TemporaryDirectory(dir=ROOT / "build") as place,
    ):
        folder = arguments.folder or Path(place) / "company"
        company = Company(folder, arguments.events, broker.servers)
        for rate in arguments.rates:
            figures = measure(
                company, rate, arguments.seconds, arguments.lead, arguments.publish_every
            )
            print(", ".join(f"{name} {value:,.2f}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
