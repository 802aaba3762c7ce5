"""Cards while events arrive: `python -m tests.bench.card --rate 50 --events-rate 200`.

`rejse live --http` runs over the synthetic company. Files of events, of customers at random and of
this moment, are renamed into a source's folder four times a second; cards of customers at random
are asked for at a rate, whether earlier ones were answered or not, over connections that stay open.
Printed: the machine, the rates, and of the seconds from the moment when a card was due to be asked
for to its last byte the median, the 99th percentile, and the longest; how many cards were made of
provisional rows; CPU and memory of the process that answers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from rejse.pipelines.config import settings
from rejse.pipelines.publication import overlay
from rejse.pipelines.store.traces import OVERLAY
from tests.bench.bench import ROOT

PROGRAM = (sys.executable, "-m", "rejse.pipelines.cli.main")
TOKEN = "bench" * 8
#: Connections that ask, and seconds between two files of events.
CONNECTIONS, EVERY = 8, 0.25


@dataclass
class Measured:
    """Seconds of each card, and how many were made of provisional rows."""

    seconds: list[float] = field(default_factory=list)
    provisional: int = 0
    failed: int = 0


class Events:
    """Writes events of this moment, made of those of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "data" / "web"
        with (self._folder / "part-0000.jsonl").open(encoding="utf-8") as lines:
            self._templates = [json.loads(line) for line in lines]
        self._chance, self._written = random.Random(7), 0

    def arrive(self, n: int) -> None:
        """Let a file of so many events arrive, as whole as a rename makes it."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        rows = []
        for template in self._chance.choices(self._templates, k=n):
            self._written += 1
            rows.append(template | {"event_id": f"bench-{self._written}", "logged_at": now})
        draft = self._folder / "bench.draft"
        draft.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        draft.rename(self._folder / f"bench-{self._written}.jsonl")

    def keep_arriving(self, rate: float, is_over: threading.Event) -> None:
        """Let files arrive at a rate of events a second."""
        began, n = time.monotonic(), 0
        while not is_over.wait(EVERY):
            due = int(rate * (time.monotonic() - began))
            if due > n:
                self.arrive(due - n)
            n = due


@contextmanager
def live(config: Path, publish_every: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `rejse live --http`; yield it and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*PROGRAM, "live", "--config", str(config), "--http", str(port),
               "--publish-every", publish_every]  # fmt: skip
    environment = {**os.environ, "REJSE_HTTP_TOKEN": TOKEN}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as loop:
        try:
            yield loop, port
        finally:
            loop.send_signal(signal.SIGTERM)


def ask(port: int, customers: Sequence[str], times: Sequence[float], measured: Measured) -> None:
    """Ask for a card at each of some times."""
    chance, caller = random.Random(times[0]), HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for due in times:
        time.sleep(max(0.0, due - time.monotonic()))
        caller.request("POST", "/card", json.dumps({"identity": chance.choice(customers)}), headers)
        answer = caller.getresponse()
        body = answer.read()
        measured.seconds.append(time.monotonic() - due)
        measured.failed += answer.status != 200
        measured.provisional += b'"is_provisional": true' in body
    caller.close()


def measure(
    folder: Path, rate: float, events_rate: float, seconds: float, publish_every: str
) -> tuple[Measured, float, float]:
    """Return what was measured, and CPU seconds and megabytes of the process that answers."""
    config = folder / "rejse.toml"
    store = settings.load(config).store
    customers = known(folder)
    overlay.remove(store)
    is_over, measured, events = threading.Event(), Measured(), Events(folder)
    with live(config, publish_every) as (loop, port):
        while not (store / OVERLAY).is_dir() or not answers(port, customers[0]):
            time.sleep(EVERY)
        arriving = threading.Thread(target=events.keep_arriving, args=(events_rate, is_over))
        arriving.start()
        began, server = time.monotonic() + 2, child(loop.pid, "http_process")
        spent = cpu(server)
        times = [began + number / rate for number in range(int(seconds * rate))]
        callers = [
            threading.Thread(target=ask, args=(port, customers, times[n::CONNECTIONS], measured))
            for n in range(CONNECTIONS)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        is_over.set()
        arriving.join()
        return measured, cpu(server) - spent, memory(server)


def known(folder: Path) -> list[str]:
    """Return the customers of a file of events."""
    with (folder / "data" / "web" / "part-0000.jsonl").open(encoding="utf-8") as lines:
        visitors = {json.loads(line)["visitor"] for line in lines}
    return sorted(name for name in visitors if name and name.startswith("C"))


def answers(port: int, customer: str) -> bool:
    """Whether the server answers yet."""
    measured = Measured()
    try:
        ask(port, [customer], [time.monotonic()], measured)
    except OSError:
        return False
    return not measured.failed


def child(parent: int, module: str) -> int:
    """The child of a process that runs a module (Linux)."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(c) for c in children if module in Path(f"/proc/{c}/cmdline").read_text())


def cpu(process: int) -> float:
    """CPU seconds of a process."""
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """Resident megabytes of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=8_000)
    parser.add_argument("--rate", type=float, default=50, help="cards a second")
    parser.add_argument("--events-rate", type=float, default=200, help="events a second")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--publish-every", default="60s", help="pause between publications")
    parser.add_argument("--folder", type=Path, help="of the company, to use it again")
    arguments = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}", flush=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as place:
        folder = arguments.folder or Path(place) / "company"
        if not folder.exists():
            made = ["demo-data", str(folder), "--customers", str(arguments.customers)]
            subprocess.run([*PROGRAM, *made], check=True, stdout=subprocess.DEVNULL)
        run = ["run", "--config", str(folder / "rejse.toml"), "--json"]
        subprocess.run([*PROGRAM, *run], check=True, stdout=subprocess.DEVNULL)
        measured, spent, held = measure(
            folder, arguments.rate, arguments.events_rate, arguments.seconds,
            arguments.publish_every,
        )  # fmt: skip
    taken = np.array(measured.seconds) * 1000
    print(
        f"{len(taken)} cards at {arguments.rate:g}/s while {arguments.events_rate:g} events/s"
        f" arrived: p50 {np.percentile(taken, 50):.1f} ms, p99 {np.percentile(taken, 99):.1f} ms,"
        f" longest {taken.max():.1f} ms; {measured.failed} failed, {measured.provisional} of"
        f" provisional rows; {1000 * spent / len(taken):.1f} CPU ms a card, {held:.0f} MB"
    )


if __name__ == "__main__":
    main()
